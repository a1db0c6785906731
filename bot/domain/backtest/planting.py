"""Drops of known size planted into a history: which of them would have been told, and how late."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.backtest.levels import levels, spread
from bot.domain.backtest.walk import Passed, Settings, after, ignore_progress, take
from bot.domain.incidents import Kind, Turn
from bot.domain.judge.ranges import effect_at
from bot.domain.policy import MetricPolicy
from bot.domain.runs import Run

if TYPE_CHECKING:
    from numpy.random import Generator

FEWEST_RUNS = 15  # of a series before a drop, and of a metric altogether, for a spread to be known
_FEWEST_AFTER = 10  # runs after a drop
_DECAY_RUNS = 20  # over which a slow decay reaches its size
_MOST_PLACES = 40  # of one metric


class DropShape(StrEnum):
    STEP = "step"  # from one run on, for good
    DECAY = "decay"  # a little more with each of 20 runs
    SINGLE = "single"  # one run alone


SIZES = {  # in spreads of the metric
    DropShape.STEP: (0.5, 1.0, 1.5, 2.0, 3.0, 5.0),
    DropShape.DECAY: (1.0, 2.0, 3.0, 5.0),
    DropShape.SINGLE: (2.0, 3.0, 5.0),
}
LOOKED_AT = {DropShape.STEP: 30, DropShape.DECAY: 40, DropShape.SINGLE: 4}  # runs from the first one on


@dataclass(frozen=True, slots=True)
class Drop:
    """A fall as it is planted."""

    metric: str
    shape: DropShape
    size: float  # in spreads

    def share(self, number: int) -> float:
        """Return how much of the fall the run of that *number* shows, counted from 0 at the first."""
        match self.shape:
            case DropShape.STEP:
                return 1.0
            case DropShape.DECAY:
                return min(1.0, (number + 1) / _DECAY_RUNS)
            case DropShape.SINGLE:
                return 1.0 if number == 0 else 0.0


class Heard(StrEnum):
    """What people would have heard of a drop."""

    TICKET = "ticket"
    DIGEST = "digest"  # that something looked worse, and nothing more
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Planted:
    """A drop at one place of a history, and what would have come of it."""

    drop: Drop
    series: str
    run_id: str  # the first run that shows it
    heard: Heard
    after: int | None = None  # runs until it was heard of, the first one included


@dataclass(frozen=True, slots=True)
class Place:
    """Where a drop may be planted: a run before which nothing was wrong, and those after it."""

    passed: tuple[Passed, ...]
    spread: float  # of the metric in that series


def places(
    passed: Sequence[Passed], policy: MetricPolicy, settings: Settings, count: int, random: Generator
) -> list[Place]:
    """Choose up to *count* places for a drop of a metric, spread over the history.

    At each the series was calm, enough runs were accepted for a fall to be told, and nothing of this metric was filed
    soon after: what is heard there is heard of the drop.
    """
    found: list[Place] = []
    for own in by_series(passed):
        values = [each.run.metrics[policy.name] for each in own if _has(each.run, policy)]
        width = spread(values)
        if len(values) < FEWEST_RUNS or not width:
            continue
        # What is looked at for too short a time is caught too seldom; a short history has no more to give.
        wanted = min(LOOKED_AT[DropShape.STEP], max(_FEWEST_AFTER, len(own) // 3))
        for number, each in enumerate(own):
            following = own[number : number + max(LOOKED_AT.values())]
            is_early = each.before.state.judged < max(settings.policies.min_runs, FEWEST_RUNS)
            is_short = len(following) < wanted
            if is_early or is_short or each.is_past or not each.before.is_calm or not _has(each.run, policy):
                continue
            if not any(_hears(one, policy.name) is Heard.TICKET for one in following):
                found.append(Place(tuple(following), width))
    if len(found) <= count:
        return found
    step = len(found) / count
    return [found[int(i * step + random.random() * step)] for i in range(count)]


def smallest_told(passed: Sequence[Passed], policy: MetricPolicy) -> float | None:
    """Return the smallest fall that `min_effect` lets count, in spreads; of several series, where that is least.

    None where no series has a spread.
    """
    found = []
    for own in by_series(passed):
        values = [each.run.metrics[policy.name] for each in own if _has(each.run, policy)]
        if width := spread(values):
            found.append(effect_at(policy, statistics.median(levels(values))) / width)
    return min(found, default=None)


def by_series(passed: Sequence[Passed]) -> list[list[Passed]]:
    found: dict[str, list[Passed]] = {}
    for each in passed:
        found.setdefault(each.before.series.series, []).append(each)
    return list(found.values())


def plant(place: Place, drop: Drop, policy: MetricPolicy, settings: Settings, since: datetime) -> Planted:
    """Judge the runs from a place on once more, as they would have been with the drop."""
    first = place.passed[0]
    point, heard, when = first.before, Heard.NOTHING, None
    for number, each in enumerate(place.passed[: LOOKED_AT[drop.shape]]):
        away = -policy.direction.sign * drop.size * place.spread * drop.share(number)
        again = take(point, _moved(each.run, policy, away), settings, each.others, since)
        point, now = after(again), _hears(again, drop.metric)
        if now is not Heard.NOTHING and when is None:
            heard, when = now, number + 1
        if now is Heard.TICKET:
            heard, when = now, number + 1
            break
    return Planted(drop, first.before.series.series, first.run.run_id, heard, when)


def plant_all(
    passed: Sequence[Passed],
    settings: Settings,
    since: datetime,
    random: Generator,
    *,
    work: int = 40_000,
    on_place: Callable[[int, int], None] = ignore_progress,
) -> Iterator[Planted]:
    """Plant drops of each metric, shape and size at places of a history; *work* bounds how many values are judged."""
    metrics = settings.policies.metrics
    runs = sum(LOOKED_AT[shape] * len(sizes) for shape, sizes in SIZES.items())
    count = max(1, min(_MOST_PLACES, work // (runs * len(metrics) ** 2)))
    chosen = [(policy, place) for policy in metrics for place in places(passed, policy, settings, count, random)]
    for number, (policy, place) in enumerate(chosen):
        on_place(number, len(chosen))
        for shape, sizes in SIZES.items():
            for size in sizes:
                yield plant(place, Drop(policy.name, shape, size), policy, settings, since)
    on_place(len(chosen), len(chosen))


def _has(run: Run, policy: MetricPolicy) -> bool:
    return policy.name in run.metrics and policy.holds(run.metrics[policy.name])


def _moved(run: Run, policy: MetricPolicy, away: float) -> Run:
    if not _has(run, policy):
        return run
    value = min(max(run.metrics[policy.name] + away, policy.lower), policy.upper)
    return replace(run, metrics={**run.metrics, policy.name: value})


def _hears(each: Passed, metric: str) -> Heard:
    """Say what people hear of a fall of one metric by one run."""
    own = [s for s in each.steps if s.incident.kind is Kind.REGRESSED and metric in s.incident.metrics]
    if any(step.turn in {Turn.FILED, Turn.RETURNED} for step in own):
        return Heard.TICKET
    return Heard.DIGEST if any(step.turn is Turn.SUSPECTED for step in own) else Heard.NOTHING
