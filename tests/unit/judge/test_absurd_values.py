"""Values that no metric has: they end no judge, and what can be compared is compared as ever."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.cli.judge_answers import judge_lines
from bot.config.metric import MetricSection
from bot.domain.judge import Outcome, Reason, SeriesState, assess
from bot.domain.judge.offline import change_points, measure_stretches
from bot.domain.judge.paired import measure_pairs, moderated_p
from bot.domain.policy import LARGEST, Direction, Guard, MetricPolicy, MinEffect, Preset
from bot.domain.runs import Baseline, DataCard, ExampleTable
from bot.judging.views.metric_rows import metric_row
from bot.store.codec import dump, load
from tests.unit.judge.judged_runs import HR, POLICIES, judge_all, judge_series, make_run, make_table

WILD = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
HUGEST = 1.7976931348623157e308
ODD = [HUGEST, -HUGEST, 1e200, -1e155, 1e76, LARGEST, -LARGEST, 1e59, 1e-50, 1e-51, -1e-170, 5e-324, 0.0, -0.0]
ODD += [math.inf, -math.inf, math.nan]
VALUES = st.lists(st.one_of(st.sampled_from(ODD), st.floats(), st.sampled_from([0.3, 0.31, 0.299])), max_size=24)
ANYTHING = MetricPolicy("hr")


@WILD
@given(
    values=VALUES,
    effect=st.sampled_from([MinEffect(0.02), MinEffect(0.0), MinEffect(1e300, relative=False)]),
    direction=st.sampled_from(list(Direction)),
    preset=st.sampled_from(list(Preset)),
)
def test_no_series_of_values_ends_the_judge_its_words_or_what_stores_them(values, effect, direction, preset):
    metric = MetricPolicy("hr", direction, effect)
    said = judge_all(
        [make_run(n, {"hr": v}) for n, v in enumerate(values)], replace(POLICIES, metrics=(metric,), preset=preset)
    )
    for assessment in said:
        stored = dump(assessment.state)
        assert dump(load(SeriesState, stored)) == stored
        for finding in assessment.findings:
            for locale in ("en", "zh"):
                row = metric_row(finding, MetricSection(direction=direction), locale)
                assert all(len(text) < 60 for text in (row.value, row.change, row.interval, row.baseline))
    assert len(judge_series(values, metric, preset)) == len(values)


@WILD
@given(data=st.data())
def test_no_rows_end_the_judge(data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))

    def table(n: int = 40) -> ExampleTable:
        odd = np.array([*ODD, 0.3, 0.5], dtype=float)
        values = np.where(random.random(n) < data.draw(st.sampled_from([0.0, 0.1, 1.0])), random.choice(odd, n), 0.3)
        weights = np.where(random.random(n) < data.draw(st.sampled_from([0.0, 0.1, 1.0])), random.choice(odd, n), 1.0)
        ids = random.integers(0, data.draw(st.sampled_from([1, 10, 1000])), n).astype(str)
        return ExampleTable(ids, weights, {"hr": values}, {"department": random.choice(["a", "b"], n)})

    runs = [make_run(n, {"hr": 0.3 + 0.001 * n}, examples=table()) for n in range(6)]
    judge_all(runs, replace(POLICIES, slice_by=("department", "missing"), min_slice_examples=2), pinned=runs[0])


@pytest.mark.parametrize("value", [1e61, HUGEST, -1e200])
def test_a_value_beyond_all_measure_is_invalid_by_that_name(value):
    (*_, before, last) = judge_all(
        [make_run(n, {"hr": v}) for n, v in enumerate([0.3] * 5 + [value])], replace(POLICIES, metrics=(ANYTHING,))
    )
    assert before.outcome is Outcome.OK
    assert (last.outcome, last.findings[0].reason, last.findings[0].value) == (Outcome.INVALID, Reason.ABSURD, value)


def test_a_value_that_vanishes_is_nothing():
    said = judge_all([make_run(n, {"hr": v}) for n, v in enumerate([0.0, 5e-324, -0.0, 1e-60] * 3)])
    assert {assessment.outcome for assessment in said[3:]} == {Outcome.OK}


def test_what_an_earlier_herald_remembers_of_such_values_is_forgotten():
    runs = [make_run(n, {"hr": 0.3 + 0.001 * (n % 3)}) for n in range(8)]
    policies = replace(POLICIES, metrics=(HR,))
    state = judge_all(runs, policies)[-1].state
    numbers = list(state.memory["hr"])
    numbers[5] = 1e200
    poisoned = replace(state, memory={"hr": tuple(numbers)})
    newest = make_run(9, {"hr": 0.2})
    assert assess(poisoned, newest, Baseline(tuple(runs)), policies).outcome is Outcome.SUSPICIOUS


@pytest.mark.parametrize("fact", [HUGEST, -HUGEST, 1e300, 5e-324, math.inf, math.nan])
def test_absurd_facts_move_no_guard(fact):
    policies = replace(POLICIES, guards=(Guard("users", 0.1, 0.1),))
    cards = [DataCard({"users": each}) for each in (10.0, fact, -fact, fact)]
    said = judge_all([make_run(n, {"hr": 0.3}, card) for n, card in enumerate(cards)], policies)
    assert len(said) == 4


@WILD
@given(values=VALUES)
def test_no_whole_series_and_no_pairs_end_what_measures_them(values):
    lines = [
        json.dumps({"values": values}),
        json.dumps({"values": values, "mode": "offline"}),
        json.dumps(
            {"baseline": values, "candidate": values[::-1], "slices": {"a": [0], "b": list(range(len(values)))}}
        ),
    ]
    for answer in judge_lines([line for line in lines if values or "baseline" not in line], preset=Preset.QUIET):
        json.loads(answer, parse_constant=pytest.fail)


def test_tables_of_the_largest_values_are_compared():
    random = np.random.default_rng(1)
    tables = [make_table(random.choice([LARGEST, -LARGEST, 0.0], 60), ["a"] * 60) for _ in range(5)]
    said = judge_all([make_run(n, {"hr": 0.3}, examples=table) for n, table in enumerate(tables)])
    assert said[-1].findings[0].p_rows is not None
    huge = np.array([LARGEST, -LARGEST] * 10)
    assert math.isfinite(measure_pairs(huge, -huge, 1, 0.05).p)
    assert all(map(math.isfinite, moderated_p(huge, [huge[:5], huge[5:]])))
    points = change_points(huge)
    assert measure_stretches(huge, points) is not None
