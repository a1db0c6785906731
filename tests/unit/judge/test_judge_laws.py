"""Laws that hold for every series, searched for counterexamples."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bot.domain.judge import Outcome, SeriesState, assess
from bot.domain.policy import Direction, MetricPolicy, MinEffect, Preset
from bot.domain.runs import Baseline
from tests.unit.judge.judged_runs import HR, POLICIES, judge_all, judge_series, make_run, make_runs, make_table

LAW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
GOOD = {Outcome.OK, Outcome.IMPROVED}
PRESETS = st.sampled_from(list(Preset))


@st.composite
def series(draw, min_size=2, max_size=30):
    """A level with noise of some kind, perhaps a step, ties, wild runs."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(min_size, max_size))
    sd = draw(st.sampled_from([0.0, 0.002, 0.02]))
    values = 0.5 + sd * random.standard_normal(n)
    if draw(st.booleans()):
        values[draw(st.integers(0, n - 1)) :] += draw(st.sampled_from([-0.06, -0.02, 0.03]))
    if draw(st.booleans()):
        values[random.random(n) < 0.1] = draw(st.sampled_from([0.1, 0.9]))
    if draw(st.booleans()):
        values = np.round(values, 2)
    return values.tolist()


def policy_with(effect: float = 0.0, direction: Direction = Direction.UP) -> MetricPolicy:
    return MetricPolicy("m", direction, MinEffect(effect, relative=False))


@LAW
@given(values=series(), more=series(), preset=PRESETS)
def test_the_past_alone_decides(values, more, preset):
    policy = policy_with()
    assert judge_series(values + more, policy, preset)[: len(values)] == judge_series(values, policy, preset)


@LAW
@given(
    values=series(6),
    constant=st.sampled_from([1e-6, 0.001, 0.01, 0.05, 0.2]),
    preset=PRESETS,
    effect=st.sampled_from([0, 0.02]),
)
def test_a_better_newest_value_never_worsens_its_finding(values, constant, preset, effect):
    policy = policy_with(effect)
    before = judge_series(values, policy, preset)[-1]
    after = judge_series([*values[:-1], values[-1] + constant], policy, preset)[-1]
    assert after.outcome.severity <= before.outcome.severity


@LAW
@given(
    values=series(),
    factor=st.sampled_from([0.001, 3.0, 4096.0]),
    shift=st.sampled_from([-7.0, 0.0, 100.0]),
    preset=PRESETS,
)
def test_another_unit_changes_nothing(values, factor, shift, preset):
    assume(len(set(values)) > 3)  # rounding decides what is the same
    assume(shift == 0 or len(set(values)) == len(values))  # runs that are all the same differ by a share of their level
    plain = judge_series(values, policy_with(0.004), preset)
    other = judge_series([factor * v + shift for v in values], policy_with(0.004 * factor), preset)
    assert [f.outcome for f in other] == [f.outcome for f in plain]
    for one, two in zip(plain, other, strict=True):
        if one.change is not None:
            assert math.isclose(two.change, factor * one.change, rel_tol=1e-6, abs_tol=1e-9 * factor + 1e-9)


@LAW
@given(values=series(), preset=PRESETS)
def test_negating_values_bounds_and_direction_changes_nothing(values, preset):
    up = MetricPolicy("m", Direction.UP, MinEffect(0.02), lower=0.0, upper=0.8)
    down = MetricPolicy("m", Direction.DOWN, MinEffect(0.02), lower=-0.8, upper=0.0)
    plain = judge_series(values, up, preset)
    mirrored = judge_series([-v for v in values], down, preset)
    assert [(f.outcome, f.reason, f.onset) for f in mirrored] == [(f.outcome, f.reason, f.onset) for f in plain]
    assert [f.change for f in mirrored] == [None if f.change is None else -f.change for f in plain]


@LAW
@given(values=series(3, 12), constant=st.sampled_from([0.001, 0.01, 0.05]), rows_seed=st.integers(0, 1000))
def test_adding_a_constant_to_every_row_never_worsens_a_finding(values, constant, rows_seed):
    random = np.random.default_rng(rows_seed)
    users = random.normal(0, 0.01, 60)
    parts = ["a"] * 30 + ["b"] * 30
    policies = replace(POLICIES, metrics=(replace(HR, upper=2.0),), slice_by=("department",), min_slice_examples=5)
    runs = [
        make_run(i, {"hr": v}, examples=make_table(v + users + random.normal(0, 0.005, 60), parts))
        for i, v in enumerate(values)
    ]
    last = runs[-1]
    better = make_run(
        99, {"hr": values[-1] + constant}, examples=make_table(last.examples.metrics["hr"] + constant, parts)
    )
    state, accepted = SeriesState(), []
    for run in runs[:-1]:
        said = assess(state, run, Baseline(tuple(accepted)), policies)
        state = said.state
        accepted += [run] if said.accepted else []
    baseline = Baseline(tuple(accepted))
    plain = {f.key: f for f in assess(state, last, baseline, policies).findings}
    for finding in assess(state, better, baseline, policies).findings:
        assert finding.outcome.severity <= plain[finding.key].outcome.severity


@LAW
@given(values=series(1, 8), broken=st.sampled_from([math.nan, math.inf, -math.inf, 1.5, -0.5]))
def test_a_broken_value_is_never_good(values, broken):
    said = judge_all([*make_runs(*values), make_run(50, {"hr": broken}), make_run(51, {})])
    assert all(f.outcome not in GOOD for one in said[-2:] for f in one.findings)


@LAW
@given(values=series(1, 20))
def test_the_same_inputs_give_the_same_assessment(values):
    runs = make_runs(*values)
    assert judge_all(runs) == judge_all(runs)
