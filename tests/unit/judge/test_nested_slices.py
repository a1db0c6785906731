"""Slices that nest and cross: the smallest set that explains a fall is named, and what it drags along is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.incidents import IncidentPolicy, SeriesKey, Turn, advance
from bot.domain.judge import Outcome, SeriesState, assess
from bot.domain.judge.alignment import Alignment
from bot.domain.judge.paired import holm
from bot.domain.policy import MinEffect
from bot.domain.runs import Baseline, ExampleTable, Slice
from bot.domain.weaving import rows_of
from tests.unit.judge.judged_runs import POLICIES, START, judge_all, make_run, with_metric

NESTED = with_metric(
    replace(
        POLICIES,
        slice_by=("department", "brand", "country"),
        slice_pairs=(("department", "category"), ("brand", "country")),
    ),
    min_effect=MinEffect(0.005),
)
USERS = 4000
LEAF = Slice("category", "berries", Slice("department", "PRODUCE"))
PARENT = Slice("department", "PRODUCE")
CROSSING = Slice("country", "fr", Slice("brand", "Kettle"))


def make_columns(seed: int = 3) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    department = random.choice(["PRODUCE", "MEAT", "DRUG", "DAIRY"], USERS, p=[0.35, 0.3, 0.2, 0.15])
    category = random.choice(["berries", "roots", "greens", "nuts"], USERS)
    return {
        "department": department,
        "category": category,
        "brand": random.choice(["Kettle", "Acme", "Own"], USERS),
        "country": random.choice(["de", "fr", "it", "es"], USERS),
    }


def inside(columns, *parts: Slice) -> np.ndarray:
    found = np.zeros(USERS, dtype=bool)
    for part in parts:
        found |= np.logical_and.reduce([columns[name] == value for name, value in part.conditions])
    return found


def make_history(*fallen, loss: float = 0.6, seed: int = 3):
    """Return eight healthy runs, then one a mask of what has fallen in it."""
    columns, random = make_columns(seed), np.random.default_rng(seed + 100)
    level = random.beta(4, 8, USERS)
    ids = np.array([f"user{i:05d}" for i in range(USERS)])
    runs = []
    for number, mask in enumerate((*[np.zeros(USERS, dtype=bool)] * 8, *fallen)):
        usual = level * (1 + random.normal(0, 0.005)) * np.where(mask, 1 - loss, 1.0)
        values = np.clip(usual + random.normal(0, 0.05, USERS), 0, 1)
        table = ExampleTable(ids, np.ones(USERS), {"hr": values}, columns)
        runs.append(make_run(number, {"hr": float(values.mean())}, examples=table))
    return runs


def judge_last(runs, policies=NESTED):
    return assess(SeriesState(), runs[-1], Baseline(tuple(runs[:-1])), policies)


@pytest.mark.parametrize("part", [LEAF, PARENT, CROSSING], ids=["leaf", "parent", "crossing"])
def test_the_smallest_set_that_explains_a_fall_is_named_with_its_share(part):
    said = judge_last(make_history(inside(make_columns(), part)))
    where = said.findings[0].where
    assert where.parts == (part,)
    assert where.share == pytest.approx(1.0, abs=0.2)
    assert abs(where.relative_without) < 0.01
    assert where.looked_at == 4 + 3 + 4 + 16 + 12


def test_two_sets_that_have_nothing_in_common_are_named_together():
    other = Slice("category", "nuts", Slice("department", "MEAT"))
    where = judge_last(make_history(inside(make_columns(), LEAF, other))).findings[0].where
    assert set(where.parts) == {LEAF, other}


def test_a_fall_that_is_everywhere_is_in_no_part():
    where = judge_last(make_history(np.ones(USERS, dtype=bool), loss=0.2)).findings[0].where
    assert where.parts == ()


def test_a_healthy_run_names_no_part():
    named = 0
    for seed in range(10):
        said = judge_last(make_history(np.zeros(USERS, dtype=bool), seed=seed))
        named += any(f.part is not None and f.outcome is Outcome.SUSPICIOUS for f in said.findings)
    assert named <= 1


def test_combinations_without_news_are_not_put_on_record():
    said = judge_last(make_history(inside(make_columns(), LEAF)))
    pairs = [f for f in said.findings if f.part is not None and f.part.within is not None]
    assert {f.outcome for f in pairs} == {Outcome.SUSPICIOUS}
    assert LEAF in {f.part for f in pairs}


def test_combinations_too_small_to_be_judged_are_counted():
    where = judge_last(make_history(inside(make_columns(), LEAF)), replace(NESTED, min_slice_examples=200))
    found = where.findings[0].where
    assert found.too_small > 0
    assert found.looked_at + found.too_small == 4 + 3 + 4 + 16 + 12


def test_of_very_many_combinations_the_largest_are_looked_at_and_the_rest_counted(monkeypatch):
    monkeypatch.setattr("bot.domain.judge.slice_views.MOST_CELLS", 10)
    found = judge_last(make_history(inside(make_columns(), PARENT))).findings[0].where
    assert (found.looked_at, found.beyond) == (4 + 3 + 4 + 10 + 10, 6 + 2)


def test_a_leaf_that_falls_alone_opens_an_incident_that_names_no_larger_set():
    masks = [inside(make_columns(), LEAF)] * 4
    known, turns = {}, []
    for said in judge_all(make_history(*masks, loss=0.7), with_metric(NESTED, min_effect=MinEffect(0.15))):
        standing = [incident for incident in known.values() if not incident.state.is_over]
        for step in advance(
            standing, said, SeriesKey("shop"), IncidentPolicy(), START, {f"run{n}": START for n in range(12)}
        ):
            known[step.incident.incident_id] = step.incident
            turns.append(step.turn)
    assert Turn.FILED in turns
    fallen = {key for incident in known.values() for key in incident.metrics if "[" in key}
    assert fallen == {f"hr [{LEAF}]"}


def test_a_run_whose_examples_are_no_longer_at_hand_keeps_what_they_said_of_where():
    runs = make_history(inside(make_columns(), LEAF))
    said = judge_last(runs)
    bare = replace(runs[-1], examples=None, rows_said=rows_of(said.findings))
    again = judge_last([*(replace(run, examples=None) for run in runs[:-1]), bare])
    assert again.findings[0].where == said.findings[0].where


def test_a_run_without_one_of_the_columns_is_cut_by_the_others():
    runs = make_history(inside(make_columns(), PARENT))
    bare = replace(runs[-1].examples, slices={"department": runs[-1].examples.slices["department"]})
    said = judge_last([*runs[:-1], replace(runs[-1], examples=bare)])
    assert said.findings[0].where.parts == (PARENT,)
    bare = replace(runs[3].examples, slices={})
    said = judge_last([*runs[:3], replace(runs[3], examples=bare), *runs[4:]])
    assert said.findings[0].where.parts == (PARENT,)


def test_rows_that_share_an_id_are_parts_of_one_example():
    ids = np.array(["a", "b", "c", "d", "e", "e", "f"])
    columns = {"department": np.array(["X", "X", "X", "X", "X", "Y", "X"])}
    now = ExampleTable(ids, np.array([1.0, 1, 1, 1, 1, 3, 1]), {"hr": np.arange(7.0)}, columns)
    before = ExampleTable(ids, now.weights, {"hr": np.zeros(7)}, columns)
    alignment = Alignment(now)
    whole = alignment.whole("hr", {"r": before})
    assert whole.differences.tolist() == [0, 1, 2, 3, (4 + 3 * 5) / 4, 6]
    cut = alignment.cut("hr", {"r": before}, ("department",))
    assert cut.parts == (Slice("department", "X"), Slice("department", "Y"))
    assert cut.rows(0, [True]).lost == pytest.approx(0 + 1 + 2 + 3 + 4 / 4 + 6)
    assert cut.rows(1, [True]) is None, "one example says nothing"


@given(st.lists(st.floats(1e-12, 1), min_size=1, max_size=30), st.data())
@settings(max_examples=60, deadline=None)
def test_weights_that_are_alike_change_nothing_and_no_weight_makes_a_value_smaller_than_it_is(p_values, data):
    assert holm(p_values, [0.125] * len(p_values)) == pytest.approx(holm(p_values))
    weights = data.draw(st.lists(st.floats(0.01, 1), min_size=len(p_values), max_size=len(p_values)))
    adjusted = holm(p_values, weights)
    assert all(p <= a * (1 + 1e-9) for p, a in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=lambda i: p_values[i] / weights[i])
    assert [adjusted[i] for i in order] == sorted(adjusted)
