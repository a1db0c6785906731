"""Metrics that are mostly at one value: hits of few examples, or whatever is nearly always as good as can be."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.judge import Outcome, SeriesState, assess
from bot.domain.judge.best_level import around_line, noise_of_a_mean
from bot.domain.judge.few_values import most_evidence, study_few
from bot.domain.policy import Direction, MetricPolicy, MinEffect, Policies
from bot.domain.runs import Baseline
from tests.unit.judge.judged_runs import judge_all, make_run, make_runs

LAW = settings(max_examples=40, deadline=None)
HITS = st.lists(st.sampled_from([1.0, 1.0, 1.0, 0.9, 0.8]), min_size=4, max_size=24)
POLICIES = Policies((MetricPolicy("hr", min_effect=MinEffect(0.0), lower=0.0, upper=1.0),))


def count_tickets(said) -> int:
    bad = [one.outcome is Outcome.REGRESSED for one in said]
    return sum(now and not before for before, now in zip([False, *bad], bad, strict=False))


def test_a_healthy_hit_rate_of_ten_examples_seldom_gets_a_ticket():
    random = np.random.default_rng(5)
    told = [count_tickets(judge_all(make_runs(*random.binomial(10, 0.95, 30) / 10), POLICIES)) for _ in range(20)]
    assert sum(told) <= 3  # of 600 runs; the accepted runs alone, all at 1, would make it 14


def test_runs_that_nobody_accepted_show_how_often_a_metric_falls_short():
    values = [1.0, 1.0, 1.0, 1.0, 0.8, 1.0, 0.9, 1.0, 0.8, 1.0, 0.8, 1.0, 1.0, 0.9, 0.9]
    assert judge_all(make_runs(*values), POLICIES)[-1].outcome is not Outcome.REGRESSED


def test_a_fall_of_a_metric_that_never_moved_is_told_by_its_second_run():
    said = judge_all(make_runs(*[0.8] * 12, 0.4, 0.4), POLICIES)
    assert said[-1].outcome is Outcome.REGRESSED


def test_a_lasting_fall_of_a_hit_rate_is_told():
    random = np.random.default_rng(3)
    values = [*random.binomial(10, 0.95, 20) / 10, *random.binomial(10, 0.6, 10) / 10]
    assert count_tickets(judge_all(make_runs(*values), POLICIES)) == 1


def test_an_error_rate_that_is_mostly_0_is_judged_as_the_hit_rate_that_is_mostly_1():
    errors = Policies((MetricPolicy("error_rate", Direction.DOWN, MinEffect(0.0)),))
    hits = Policies((MetricPolicy("hit_rate", Direction.UP, MinEffect(0.0)),))
    wrong = [0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5]
    one = judge_all([make_run(i, {"error_rate": v}) for i, v in enumerate(wrong)], errors)
    other = judge_all([make_run(i, {"hit_rate": 1 - v}) for i, v in enumerate(wrong)], hits)
    assert [said.outcome for said in one] == [said.outcome for said in other]


@LAW
@given(values=HITS, newest=st.sampled_from([0.3, 0.7, 0.8, 0.9, 0.95]), better=st.sampled_from([0.01, 0.05, 0.1]))
def test_a_better_newest_value_never_makes_the_verdict_worse(values, newest, better):
    state, accepted = SeriesState(), []
    for run in make_runs(*values):
        said = assess(state, run, Baseline(tuple(accepted)), POLICIES)
        state = said.state
        accepted += [run] if said.accepted else []
    baseline = Baseline(tuple(accepted))
    plain, improved = (
        assess(state, make_run(90, {"hr": min(1.0, value)}), baseline, POLICIES).outcome
        for value in (newest, newest + better)
    )
    assert improved.severity <= plain.severity


@LAW
@given(values=HITS, low=st.floats(0, 1), lower=st.floats(0, 1), row=st.integers(1, 8))
def test_a_lower_value_and_a_longer_row_are_never_likelier(values, low, lower, row):
    few = study_few(values)
    if few is None:
        return
    low, lower = max(low, lower), min(low, lower)
    assert 0 <= few.chance_of(lower, row) <= few.chance_of(low, row) <= 1
    assert few.chance_of(low, row + 1) <= few.chance_of(low, row)


@LAW
@given(values=HITS, low=st.floats(0.0, 0.99))
def test_more_runs_at_the_usual_value_make_another_less_likely(values, low):
    few = study_few([1.0, 1.0, 1.0, *values])
    more = replace(few, runs=few.runs + 5)
    assert more.chance_of(low, 1) < few.chance_of(low, 1)


@LAW
@given(one=st.floats(1e-12, 1.0), other=st.floats(1e-12, 1.0))
def test_what_is_less_likely_may_tell_more(one, other):
    low, high = sorted((one, other))
    assert most_evidence(low) >= most_evidence(high) >= 0
    assert math.isinf(most_evidence(0.0))


def test_metrics_whose_values_hardly_repeat_are_not_mostly_at_one():
    assert study_few([0.2, 0.201, 0.12, 0.199, 0.2]) is None
    assert study_few([]) is None


def test_the_noise_of_a_metric_that_is_mostly_at_one_value_is_not_clipped_away():
    random = np.random.default_rng(1)
    runs = np.where(random.random(60) < 0.3, 0.98, 1.0)
    assert noise_of_a_mean(*around_line(runs)) > 0.9 * runs.std()
