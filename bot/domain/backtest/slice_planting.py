"""Drops planted into one slice: into the rows of its examples, and as far as they weigh in it, into the whole metric.

A slice has no history but that of its tables, and these are large. So at some places of a history the tables of the
runs there are read: of those that the first bad one is held against, and of the bad ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from bot.domain.backtest.drops import LOOKED_AT, SIZES, Drop, DropShape, Heard, Planted
from bot.domain.backtest.levels import study_course
from bot.domain.backtest.planting import FEWEST_RUNS, STRETCH, by_series, evenly, hears
from bot.domain.backtest.walk import Passed, Settings, after, take
from bot.domain.baselines import choose_baseline
from bot.domain.judge.findings import key_of
from bot.domain.policy import MetricPolicy
from bot.domain.runs import Bools, ExampleTable, Floats, Run, Slice

if TYPE_CHECKING:
    from numpy.random import Generator

_RUNS = LOOKED_AT[DropShape.SLICE]


@dataclass(frozen=True, slots=True)
class SlicePlace:
    """Where a drop may be planted in a slice: calm runs from one on."""

    passed: tuple[Passed, ...]
    earlier: tuple[Run, ...]  # what the first of them is held against
    number: int  # of that in its series

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs whose tables are needed."""
        return (*self.earlier, *(each.run for each in self.passed))


@dataclass(frozen=True, slots=True)
class PlantedSlice:
    planted: Planted
    least: float  # the smallest fall of this slice that is told, in its spreads


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One slice of one metric, by its tables."""

    policy: MetricPolicy
    part: Slice
    mean: float
    spread: float
    doubt: float


def slice_places(passed: Sequence[Passed], settings: Settings, count: int, random: Generator) -> list[SlicePlace]:
    """Choose up to *count* places where a series was calm and has enough runs, spread over the history."""
    names = [policy.name for policy in settings.policies.metrics]
    found: list[tuple[Sequence[Passed], int]] = []
    for own in by_series(passed):
        for number, each in enumerate(own[: 1 - _RUNS]):
            is_early = each.before.state.judged < max(settings.policies.min_runs, FEWEST_RUNS)
            if not is_early and not each.is_past and each.before.is_calm:
                found.append((own, number))
    places = []
    for series, number in evenly(found, count, random):
        chosen = choose_baseline(series[number].before.earlier, names, ())
        earlier = tuple(judged.run for judged in chosen.runs)
        places.append(SlicePlace(tuple(series[number : number + _RUNS]), earlier, number))
    return places


def plant_in_slice(
    place: SlicePlace, tables: Mapping[str, ExampleTable], settings: Settings, since: datetime, random: Generator
) -> Iterator[PlantedSlice]:
    """Plant drops of every size into one slice, drawn among those that the tables of a place have.

    Nothing is planted where there are none, or where something would have been filed without a drop.
    """
    one = _draw(place, tables, settings, random)
    if one is None or _plant(place, tables, one, 0.0, settings, since)[0] is Heard.TICKET:
        return
    least = settings.policies.slice_min_effect.against(one.mean) / one.spread
    first = place.passed[0]
    for size in SIZES[DropShape.SLICE]:
        if one.policy.direction.sign > 0 and size * one.spread >= abs(one.mean):
            continue  # there is no more of it to lose
        heard, when = _plant(place, tables, one, size, settings, since)
        drop = Drop(one.policy.name, DropShape.SLICE, size)
        stretch = place.number // STRETCH
        series, run_id = first.before.series.series, first.run.run_id
        yield PlantedSlice(Planted(drop, series, run_id, heard, when, stretch, one.doubt), least)


def _draw(place: SlicePlace, tables: Mapping[str, ExampleTable], settings: Settings, random: Generator) -> _Part | None:
    """Draw one of the slices that are large enough to be judged and whose runs differ."""
    there = [tables[run.run_id] for run in place.runs if run.run_id in tables]
    newest = tables.get(place.passed[0].run.run_id)
    if newest is None or len(there) < FEWEST_RUNS:
        return None
    policies = settings.policies
    parts = [
        Slice(column, str(value))
        for column in policies.slice_by
        if column in newest.slices
        for value in np.unique(newest.slices[column])
    ]
    all_parts = [(policy, part) for policy in policies.metrics for part in parts]
    for index in random.permutation(len(all_parts)).tolist():
        policy, part = all_parts[index]
        if any(policy.name not in table.metrics or part.column not in table.slices for table in there):
            continue
        values = [_examples(table, policy.name, table.slices[part.column] == part.value) for table in there]
        if min(map(len, values)) < policies.min_slice_examples:
            continue
        course = study_course([float(each.mean()) for each in values])
        mean = float(np.median(course.levels))
        if course.spread > 0 and mean:
            return _Part(policy, part, mean, course.spread, course.doubt)
    return None


def _plant(
    place: SlicePlace,
    tables: Mapping[str, ExampleTable],
    one: _Part,
    size: float,
    settings: Settings,
    since: datetime,
) -> tuple[Heard, int | None]:
    """Judge the runs of a place once more with a drop in a slice; return what is heard, and after how many runs."""
    factor = 1 - one.policy.direction.sign * size * one.spread / abs(one.mean)
    known, point, heard, when = dict(tables), place.passed[0].before, Heard.NOTHING, None
    names = {one.policy.name, key_of(one.policy.name, one.part)}
    for number, each in enumerate(place.passed, 1):
        run = each.run
        if size and run.run_id in tables:
            table = known[run.run_id] = _scaled(tables[run.run_id], one, factor)
            run = _moved(run, one.policy, _mean(table, one) - _mean(tables[run.run_id], one))
        again = take(point, run, settings, each.others, since, tables=known)
        point, now = after(again), hears(again, names)
        if now is Heard.TICKET:
            return now, number
        if now is Heard.DIGEST and when is None:
            heard, when = now, number
    return heard, when


def _scaled(table: ExampleTable, one: _Part, factor: float) -> ExampleTable:
    """Return the table with a share of what the examples of a slice have."""
    values: Floats = table.metrics[one.policy.name]
    inside = table.slices[one.part.column] == one.part.value
    return replace(table, metrics={**table.metrics, one.policy.name: np.where(inside, values * factor, values)})


def _mean(table: ExampleTable, one: _Part) -> float:
    return float(_examples(table, one.policy.name, np.ones(len(table.example_ids), dtype=bool)).mean())


def _examples(table: ExampleTable, metric: str, inside: Bools) -> Floats:
    """Return what each example with such rows has: their weighted mean."""
    distinct, places = np.unique(table.example_ids[inside], return_inverse=True)
    weights = table.weights[inside]
    with np.errstate(all="ignore"):  # an example without weight has no value
        summed = np.bincount(places, weights=weights * table.metrics[metric][inside], minlength=len(distinct))
        found: Floats = summed / np.bincount(places, weights=weights, minlength=len(distinct))
    return found[np.isfinite(found)]


def _moved(run: Run, policy: MetricPolicy, away: float) -> Run:
    if policy.name not in run.metrics:
        return run
    value = min(max(run.metrics[policy.name] + away, policy.lower), policy.upper)
    return replace(run, metrics={**run.metrics, policy.name: value})
