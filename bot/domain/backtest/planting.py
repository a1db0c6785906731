"""Drops of known size planted into a history: which of them would have been told, and how late."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from bot.domain.backtest.drops import LOOKED_AT, OF_WHOLE, SIZES, Drop, DropShape, Heard, Planted
from bot.domain.backtest.levels import Course, study_course
from bot.domain.backtest.walk import Passed, Settings, after, ignore_progress, take
from bot.domain.incidents import Kind, Turn
from bot.domain.judge.ranges import effect_at
from bot.domain.policy import MetricPolicy
from bot.domain.runs import Run

if TYPE_CHECKING:
    from numpy.random import Generator

_T = TypeVar("_T")

FEWEST_RUNS = 15  # of a series before a drop, and of a metric altogether, for a spread to be known
_FEWEST_AFTER = 10  # runs after a drop
_FEWEST_PLACES, _MOST_PLACES = 2, 40  # of one metric
STRETCH = 30  # runs: drops that are planted no further apart share runs, and what is heard of them hangs together


@dataclass(frozen=True, slots=True)
class Place:
    """Where a drop may be planted: a run before which nothing was wrong, and those after it."""

    passed: tuple[Passed, ...]
    spread: float  # of the metric in that series
    doubt: float = 0.0  # standard error of that, as a share of it
    number: int = 0  # of the run in its series


def places(
    passed: Sequence[Passed], policy: MetricPolicy, settings: Settings, count: int, random: Generator
) -> list[Place]:
    """Choose up to *count* places for a drop of a metric, spread over the history.

    At each the series was calm, enough runs were accepted for a fall to be told, and nothing of this metric was filed
    soon after: what is heard there is heard of the drop.
    """
    found: list[Place] = []
    for own in by_series(passed):
        course = _course(own, policy)
        width, doubt = course.spread, course.doubt
        if len(course.noise) < FEWEST_RUNS or not width:
            continue
        # What is looked at for too short a time is caught too seldom; a short history has no more to give.
        wanted = min(LOOKED_AT[DropShape.STEP], max(_FEWEST_AFTER, len(own) // 3))
        for number, each in enumerate(own):
            following = own[number : number + max(LOOKED_AT[shape] for shape in OF_WHOLE)]
            is_early = each.before.state.judged < max(settings.policies.min_runs, FEWEST_RUNS)
            is_short = len(following) < wanted
            if is_early or is_short or each.is_past or not each.before.is_calm or not _has(each.run, policy):
                continue
            if not any(hears(one, {policy.name}) is Heard.TICKET for one in following):
                found.append(Place(tuple(following), width, doubt, number))
    return evenly(found, count, random)


def evenly(found: Sequence[_T], count: int, random: Generator) -> list[_T]:
    """Choose so many, one out of each of as many equal parts."""
    if len(found) <= count:
        return list(found)
    step = len(found) / count
    return [found[int(i * step + random.random() * step)] for i in range(count)]


def smallest_told(passed: Sequence[Passed], policy: MetricPolicy) -> float | None:
    """Return the smallest fall that `min_effect` lets count, in spreads; of several series, where that is least.

    None where no series has a spread.
    """
    found = []
    for own in by_series(passed):
        course = _course(own, policy)
        if width := course.spread:
            found.append(effect_at(policy, statistics.median(course.levels.tolist())) / width)
    return min(found, default=None)


def _course(own: Sequence[Passed], policy: MetricPolicy) -> Course:
    return study_course([each.run.metrics[policy.name] for each in own if _has(each.run, policy)])


def by_series(passed: Sequence[Passed]) -> list[list[Passed]]:
    found: dict[str, list[Passed]] = {}
    for each in passed:
        found.setdefault(each.before.series.series, []).append(each)
    return list(found.values())


def plant(place: Place, drop: Drop, policy: MetricPolicy, settings: Settings, since: datetime) -> Planted:
    """Judge the runs from a place on once more, as they would have been with the drop.

    Of their metrics only the one that falls, beside the others as they were: these say nothing else than they did.
    """
    first = place.passed[0]
    settings = replace(settings, policies=replace(settings.policies, metrics=(policy,), limits=()))
    point, heard, when = first.before, Heard.NOTHING, None
    for number, each in enumerate(place.passed[: LOOKED_AT[drop.shape]]):
        away = -policy.direction.sign * drop.size * place.spread * drop.share(number)
        again = take(point, _moved(each.run, policy, away), settings, each.others, since, company=each.company)
        point, now = after(again), hears(again, {drop.metric})
        if now is not Heard.NOTHING and when is None:
            heard, when = now, number + 1
        if now is Heard.TICKET:
            heard, when = now, number + 1
            break
    stretch = place.number // STRETCH
    return Planted(drop, first.before.series.series, first.run.run_id, heard, when, stretch, place.doubt)


def plant_all(
    passed: Sequence[Passed],
    settings: Settings,
    since: datetime,
    random: Generator,
    *,
    work: int = 20_000,
    on_place: Callable[[int, int], None] = ignore_progress,
) -> Iterator[Planted]:
    """Plant drops of each metric, shape and size at places of a history; *work* bounds how many runs are judged."""
    metrics = settings.policies.metrics
    runs = sum(LOOKED_AT[shape] * len(SIZES[shape]) for shape in OF_WHOLE)
    count = max(_FEWEST_PLACES, min(_MOST_PLACES, work // (runs * len(metrics))))
    chosen = [(policy, place) for policy in metrics for place in places(passed, policy, settings, count, random)]
    for number, (policy, place) in enumerate(chosen):
        on_place(number, len(chosen))
        for shape in OF_WHOLE:
            for size in SIZES[shape]:
                yield plant(place, Drop(policy.name, shape, size), policy, settings, since)
    on_place(len(chosen), len(chosen))


def _has(run: Run, policy: MetricPolicy) -> bool:
    return policy.name in run.metrics and policy.holds(run.metrics[policy.name])


def _moved(run: Run, policy: MetricPolicy, away: float) -> Run:
    if not _has(run, policy):
        return run
    value = min(max(run.metrics[policy.name] + away, policy.lower), policy.upper)
    return replace(run, metrics={**run.metrics, policy.name: value})


def hears(each: Passed, keys: AbstractSet[str]) -> Heard:
    """Say what people hear of a fall of one of these metrics or slices by one run."""
    own = [s for s in each.steps if s.incident.kind is Kind.REGRESSED and not keys.isdisjoint(s.incident.metrics)]
    if any(step.turn in {Turn.FILED, Turn.RETURNED} for step in own):
        return Heard.TICKET
    return Heard.DIGEST if any(step.turn is Turn.SUSPECTED for step in own) else Heard.NOTHING
