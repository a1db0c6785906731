"""Metrics with limits: a guard is held against its limit by its own value, and by nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.judge import Against, Outcome, Reason, SeriesState, assess
from bot.domain.policy import MetricLimit, MetricPolicy, Policies
from bot.domain.runs import Baseline
from bot.domain.whole_series import as_runs, judge_series
from tests.unit.judge.judged_runs import POLICIES, make_run

LATENCY = MetricPolicy("latency")
AT_MOST = MetricLimit(LATENCY, high=120.0)
A_TENTH = MetricLimit(LATENCY, share=0.1)
VALUES = st.floats(1.0, 1e6)


def held(values, limit=AT_MOST, policies=POLICIES):
    """Judge a series of latencies; return the finding on each, None where nothing is said of one."""
    runs = as_runs({} if value is None else {"latency": value} for value in values)
    policies = replace(policies, metrics=(), limits=(limit,))
    return [next(iter(said.assessment.findings), None) for said in judge_series(runs, policies)]


def outcomes(values, limit=AT_MOST):
    return [None if finding is None else finding.outcome.value for finding in held(values, limit)]


def test_one_breach_is_one_runs_and_a_second_in_a_row_is_certain():
    assert outcomes([110, 143, 141, 139, 118, 121]) == ["ok", "outside", "breached", "breached", "ok", "outside"]


def test_what_does_not_vary_is_certain_at_once_where_config_says_so():
    assert outcomes([110, 143], replace(AT_MOST, breaches=1)) == ["ok", "breached"]


def test_a_finding_carries_the_limit_the_value_and_what_was_usual():
    finding = held([110, 112, 114, 143])[-1]
    assert (finding.reason, finding.limit, finding.value) == (Reason.ABOVE_LIMIT, 120.0, 143.0)
    assert (finding.baseline, finding.change, finding.n_baseline) == (112.0, 31.0, 3)


def test_a_limit_itself_is_kept_to():
    assert outcomes([120.0, 120.0]) == ["ok", "ok"]
    assert outcomes([100.0], replace(AT_MOST, low=100.0)) == ["ok"]


@pytest.mark.parametrize("bounds", [{"low": 5.0, "high": math.inf}, {"low": 5.0, "high": 9.0}])
def test_a_value_may_be_too_low(bounds):
    finding = held([4.0, 4.0], replace(AT_MOST, **bounds))[-1]
    assert (finding.outcome, finding.reason, finding.limit) == (Outcome.BREACHED, Reason.BELOW_LIMIT, 5.0)


def test_a_share_is_one_of_the_middle_of_accepted_runs_which_a_breach_never_joins():
    said = held([100, 102, 98, 120, 121, 122, 105], A_TENTH)
    assert [f.outcome.value for f in said[:3]] == ["no_baseline", "insufficient_data", "insufficient_data"]
    assert [f.outcome.value for f in said[3:]] == ["outside", "breached", "breached", "ok"]
    assert [f.limit for f in said[3:6]] == [pytest.approx(110.0)] * 3


def test_a_share_is_one_of_the_release_where_there_is_one():
    baseline = Baseline(pinned=make_run(1, {"latency": 100.0}))
    policies = replace(POLICIES, metrics=(), limits=(A_TENTH,))
    (finding,) = assess(SeriesState(), make_run(2, {"latency": 111.0}), baseline, policies).findings
    assert (finding.outcome, finding.against) == (Outcome.OUTSIDE, Against.PINNED)


def test_a_guard_that_is_missing_or_broken_says_nothing_of_its_limit_and_ends_no_row():
    assert outcomes([110, 143, None, math.nan, 143]) == ["ok", "outside", "invalid", "invalid", "breached"]
    assert outcomes([110, None], replace(AT_MOST, policy=replace(LATENCY, optional=True))) == ["ok", None]


def test_a_doubtful_breach_asks_for_the_rerun_that_config_allows():
    policies = replace(POLICIES, metrics=(), limits=(AT_MOST,), confirm_reruns=1)
    first, second = judge_series(as_runs({"latency": 143.0} for _ in range(2)), policies)
    assert (first.assessment.wants_confirmation, second.assessment.wants_confirmation) == (True, False)


@settings(deadline=None)
@given(past=st.lists(VALUES, max_size=8), value=VALUES, more=st.floats(0, 1e6), share=st.booleans())
def test_a_worse_value_is_never_found_less_severe(past, value, more, share):
    limit = A_TENTH if share else AT_MOST
    worse, better = held([*past, value + more], limit)[-1], held([*past, value], limit)[-1]
    if not share or better.reason is not Reason.BELOW_LIMIT:
        assert worse.outcome.severity >= better.outcome.severity


@settings(deadline=None)
@given(rows=st.lists(st.tuples(st.sampled_from([0.5, 0.51, 0.49, 0.3]), VALUES), min_size=4, max_size=20))
def test_a_limit_changes_nothing_in_what_is_found_of_other_metrics(rows):
    """Of later runs not either, but that a run which broke it is let go after twenty runs, accepted or not."""

    def found(policies):
        runs = as_runs({"hr": hr, "latency": latency} for hr, latency in rows)
        return [[f for f in said.assessment.findings if f.metric == "hr"] for said in judge_series(runs, policies)]

    assert found(POLICIES) == found(replace(POLICIES, limits=(AT_MOST,)))


@settings(deadline=None)
@given(rows=st.lists(st.tuples(st.floats(0.0, 1.0), VALUES), min_size=1, max_size=20))
def test_other_metrics_change_nothing_in_what_is_found_of_a_limit(rows):
    def found(policies):
        runs = as_runs({"hr": hr, "latency": latency} for hr, latency in rows)
        told = [[f for f in said.assessment.findings if f.limit is not None] for said in judge_series(runs, policies)]
        return [[(f.outcome, f.limit, f.onset) for f in some] for some in told]

    limited = replace(POLICIES, metrics=(), limits=(AT_MOST,))
    assert found(limited) == found(replace(POLICIES, limits=(AT_MOST,)))


def test_a_metric_may_be_judged_and_limited_and_only_a_broken_limit_is_said_besides():
    policies = Policies((MetricPolicy("latency"),), limits=(AT_MOST,))
    runs = as_runs({"latency": value} for value in [110.0, 111.0, 109.0, 110.5, 143.0])
    said = [[f.outcome.value for f in each.assessment.findings] for each in judge_series(runs, policies)]
    assert said[-2:] == [["ok"], ["improved", "outside"]]
