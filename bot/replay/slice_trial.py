"""Drops in one slice of the examples: at some places of a history the tables of the runs there are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.backtest.drops import Planted
from bot.domain.backtest.slice_planting import SlicePlace, plant_in_slice, slice_places
from bot.domain.backtest.walk import Passed, Settings
from bot.domain.runs import ExampleTable, Run
from bot.errors import ArtifactsAwayError, RunStoreError

if TYPE_CHECKING:
    from numpy.random import Generator

LoadTable = Callable[[Run], ExampleTable | None]


class SliceStanding(StrEnum):
    """Whether drops could be planted in slices, and why not."""

    PLANTED = "planted"
    NOT_CONFIGURED = "not_configured"  # no slices are judged
    NO_TABLES = "no_tables"  # runs have no table of per-example results
    NO_PLACE = "no_place"  # the history is too short, or restless, or its slices too small or always the same
    AWAY = "away"  # tables could not be read


@dataclass(frozen=True, slots=True)
class SliceTrial:
    """What came of drops in slices."""

    standing: SliceStanding
    planted: tuple[Planted, ...] = ()
    least: tuple[float, float] | None = None  # the smallest falls that are told, in spreads, from slice to slice


def try_slices(
    passed: Sequence[Passed],
    settings: Settings,
    since: datetime,
    random: Generator,
    load: LoadTable,
    *,
    most: int,
    on_place: Callable[[int, int], None],
) -> SliceTrial:
    """Plant drops in slices at up to so many places of a history."""
    if not settings.policies.slice_by:
        return SliceTrial(SliceStanding.NOT_CONFIGURED)
    places = slice_places(passed, settings, most, random)
    planted: list[Planted] = []
    least: list[float] = []
    standing = SliceStanding.NO_TABLES if places else SliceStanding.NO_PLACE
    for number, place in enumerate(places):
        on_place(number, len(places))
        try:
            tables = _tables_of(place, load)
        except (ArtifactsAwayError, RunStoreError):  # the rest of the replay is as good without
            standing = SliceStanding.AWAY
            break
        if tables:
            standing = SliceStanding.NO_PLACE
        for each in plant_in_slice(place, tables, settings, since, random):
            planted.append(each.planted)
            least.append(each.least)
    on_place(1, 1)
    if not planted:
        return SliceTrial(standing)
    return SliceTrial(SliceStanding.PLANTED, tuple(planted), (min(least), max(least)))


def _tables_of(place: SlicePlace, load: LoadTable) -> dict[str, ExampleTable]:
    """Read the tables of the runs of a place; none where the first bad one would have none."""
    if load(place.passed[0].run) is None:
        return {}
    found = {run.run_id: load(run) for run in place.runs}
    return {run_id: table for run_id, table in found.items() if table is not None}
