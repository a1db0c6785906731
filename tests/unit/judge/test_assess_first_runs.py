"""What the judge says while there is little to go by, and of runs that cannot be compared."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bot.domain.judge import Outcome, Reason, SeriesState, assess
from bot.domain.policy import Guard
from bot.domain.runs import Baseline, DataCard
from tests.unit.judge.judged_runs import HR, NO_CARD, POLICIES, judge_all, make_run, make_runs


def judge_one(value_by_metric, baseline=(), policies=POLICIES, card=NO_CARD):
    return assess(SeriesState(), make_run(99, value_by_metric, card), Baseline(tuple(baseline)), policies)


def test_a_first_run_has_no_baseline_and_is_accepted():
    said = judge_one({"hr": 0.2})
    assert said.findings[0].outcome is Outcome.NO_BASELINE
    assert said.findings[0].reason is Reason.FIRST_RUNS
    assert said.accepted


def test_while_runs_are_few_the_change_is_told_but_not_judged():
    finding = judge_one({"hr": 0.1}, make_runs(0.2, 0.2)).findings[0]
    assert finding.outcome is Outcome.INSUFFICIENT_DATA
    assert finding.change == pytest.approx(-0.1)
    assert finding.change_low < finding.change < finding.change_high
    assert finding.relative == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        ({}, Reason.MISSING),
        ({"hr": math.nan}, Reason.NOT_A_NUMBER),
        ({"hr": math.inf}, Reason.ABSURD),
        ({"hr": 1.2}, Reason.OUT_OF_BOUNDS),
        ({"hr": -0.1}, Reason.OUT_OF_BOUNDS),
    ],
)
def test_a_value_that_cannot_be_is_invalid(metrics, reason):
    said = judge_one(metrics, make_runs(0.2, 0.21, 0.2, 0.19))
    assert (said.outcome, said.findings[0].reason) == (Outcome.INVALID, reason)
    assert not said.accepted


def test_a_shrunken_catalogue_makes_even_an_improvement_invalid():
    full, cut = DataCard(numbers={"catalogue_size": 4000.0}), DataCard(numbers={"catalogue_size": 3000.0})
    baseline = [make_run(i, {"hr": 0.2 + i / 1000}, full) for i in range(4)]
    said = judge_one({"hr": 0.3}, baseline, card=cut)
    fact, metric = said.findings
    assert (fact.metric, fact.reason, fact.value, fact.baseline) == (
        "data.catalogue_size",
        Reason.DATA_CHANGED,
        3000.0,
        4000.0,
    )
    assert (metric.outcome, metric.reason) == (Outcome.INVALID, Reason.DATA_CHANGED)
    assert said.outcome is Outcome.INVALID


def test_a_broken_value_keeps_its_own_reason_when_the_data_changed_too():
    full, cut = DataCard(numbers={"catalogue_size": 4000.0}), DataCard(numbers={"catalogue_size": 3000.0})
    said = judge_one({"hr": math.nan}, [make_run(1, {"hr": 0.2}, full)], card=cut)
    assert said.findings[1].reason is Reason.NOT_A_NUMBER


@pytest.mark.parametrize(
    ("before", "after", "trips"),
    [(0.1, 0.14, False), (0.1, 0.16, True), (0.0, 0.0, False), (0.0, 0.1, True), (0.1, math.nan, False)],
)
def test_a_guard_on_a_rising_fact(before, after, trips):
    policies = replace(POLICIES, guards=(Guard("dropped_share", max_rise=0.5),))
    baseline = [make_run(i, {"hr": 0.2}, DataCard(numbers={"dropped_share": before})) for i in range(3)]
    said = judge_one({"hr": 0.2}, baseline, policies, DataCard(numbers={"dropped_share": after}))
    assert (said.outcome is Outcome.INVALID) is trips


def test_a_fact_that_only_one_side_knows_guards_nothing():
    baseline = [make_run(i, {"hr": 0.2}) for i in range(3)]
    said = judge_one({"hr": 0.2}, baseline, card=DataCard(numbers={"catalogue_size": 1.0}))
    assert said.outcome is Outcome.OK


def test_accepted_runs_without_the_metric_do_not_count():
    baseline = (make_run(1, {}), make_run(2, {"hr": math.nan}), *make_runs(0.2, 0.2))
    assert judge_one({"hr": 0.2}, baseline).findings[0].n_baseline == 2


def test_an_invalid_run_neither_ends_nor_lengthens_a_streak():
    runs = make_runs(0.2, 0.201, 0.199, 0.15, math.nan, 0.151)
    outcomes = [said.outcome for said in judge_all(runs)]
    assert outcomes[3:] == [Outcome.SUSPICIOUS, Outcome.INVALID, Outcome.REGRESSED]


def test_a_metric_that_never_moved_from_zero_has_defined_findings():
    policies = replace(POLICIES, metrics=(replace(HR, prior_spread=0.0),))
    flat = make_runs(0.0, 0.0, 0.0)
    assert judge_one({"hr": 0.0}, flat, policies).outcome is Outcome.OK
    assert judge_one({"hr": 0.1}, flat, policies).outcome is Outcome.IMPROVED
