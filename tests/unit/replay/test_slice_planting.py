"""Drops in one slice: planted into the rows of its examples, and heard where a slice is named, or the metric."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bot.domain.backtest.drops import SIZES, DropShape, Heard
from bot.domain.backtest.walk import walk
from bot.domain.runs import ExampleTable
from bot.errors import ArtifactsAwayError
from bot.replay.slice_trial import SliceStanding, try_slices
from tests.unit.replay.histories import SERIES, START, run_at, settings

USERS, PARTS, RUNS = 400, 4, 50
SLICED = settings(slice_by=("part",))


@pytest.fixture(scope="module")
def tables() -> dict[str, ExampleTable]:
    random = np.random.default_rng(5)
    level = random.beta(4, 8, USERS)
    parts = np.repeat(np.arange(PARTS), USERS // PARTS)
    ids, names = np.array([f"u{i:03}" for i in range(USERS)]), np.array([f"part {i}" for i in parts])
    found = {}
    for number in range(RUNS):
        values = level * (1 + 0.06 * random.standard_normal(PARTS)[parts]) + random.normal(0, 0.02, USERS)
        found[f"r{number:04}"] = ExampleTable(ids, np.ones(USERS), {"ndcg": values}, {"part": names})
    return found


@pytest.fixture(scope="module")
def passed(tables):
    runs = [(SERIES, run_at(i, ndcg=float(tables[f"r{i:04}"].metrics["ndcg"].mean()))) for i in range(RUNS)]
    return walk(runs, SLICED, START)


def trial(passed, load, own=SLICED, most=4):
    on_place = lambda _done, _total: None  # noqa: E731
    return try_slices(passed, own, START, np.random.default_rng(1), load, most=most, on_place=on_place)


def test_a_large_drop_in_one_slice_is_told_and_a_small_one_seldom(passed, tables):
    found = trial(passed, lambda run: tables[run.run_id])
    assert found.standing is SliceStanding.PLANTED
    assert {each.drop.shape for each in found.planted} == {DropShape.SLICE}
    by_size = {size: [each for each in found.planted if each.drop.size == size] for size in SIZES[DropShape.SLICE]}
    caught = [sum(each.heard is Heard.TICKET for each in some) / len(some) for some in by_size.values()]
    assert caught == sorted(caught)
    assert caught[0] == 0
    assert caught[-1] == 1
    assert found.least is not None
    assert 0.5 < found.least[0] <= found.least[1] < 5  # a tenth of its level, where its runs differ by six hundredths


def test_where_runs_have_no_tables_or_no_slices_are_judged_that_is_said(passed, tables):
    assert trial(passed, lambda _: None).standing is SliceStanding.NO_TABLES
    assert trial(passed, lambda run: tables[run.run_id], settings()).standing is SliceStanding.NOT_CONFIGURED
    assert trial(passed[:12], lambda run: tables[run.run_id]).standing is SliceStanding.NO_PLACE
    small = settings(slice_by=("part",), min_slice_examples=USERS)
    assert trial(passed, lambda run: tables[run.run_id], small).standing is SliceStanding.NO_PLACE


def test_a_store_of_artifacts_that_goes_away_costs_nothing_but_the_slices(passed):
    def away(run):
        raise ArtifactsAwayError("gone")

    assert trial(passed, away).standing is SliceStanding.AWAY


def test_only_the_runs_around_a_place_are_read(passed, tables):
    asked = []

    def load(run):
        asked.append(run.run_id)
        return tables[run.run_id]

    trial(passed, load, most=1)
    assert len(set(asked)) <= 30


def test_rows_that_were_of_another_slice_stay_as_they_are(passed, tables):
    """A slice that another table calls by another name is not planted in."""
    renamed = {
        run_id: replace(table, slices={"kind": table.slices["part"]}) if number % 2 else table
        for number, (run_id, table) in enumerate(tables.items())
    }
    assert trial(passed, lambda run: renamed[run.run_id]).standing is SliceStanding.NO_PLACE
