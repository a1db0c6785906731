"""The digest: which lines it has room for, in a fixed order of sections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from bot.domain.incidents import Incident, IncidentState

WEEK = timedelta(days=7)
WEEKS = 8  # that a digest's chart shows
LINES = 15  # of a whole digest, its headline and the names of its sections included


class DigestHeading(StrEnum):
    """The sections, in their order."""

    NEEDS_YOU = "needs_you"
    BETTER = "better"
    WATCHING = "watching"
    NEXT = "next"


_NEWS = (DigestHeading.NEEDS_YOU, DigestHeading.BETTER, DigestHeading.WATCHING)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chosen(Generic[T]):
    section: DigestHeading
    lines: tuple[T, ...]
    left_out: int = 0


def is_quiet(found: Mapping[DigestHeading, Sequence[T]]) -> bool:
    """Say whether there is nothing but what comes next."""
    return not any(found.get(section) for section in _NEWS)


def choose_lines(found: Mapping[DigestHeading, Sequence[T]], most: int = LINES) -> tuple[Chosen[T], ...]:
    """Choose as many lines as there is room for, the first of each section first.

    Each section that has any gets a line in turn, so that none crowds out another; that something was left out takes a
    line too.
    """
    sections = [section for section in DigestHeading if found.get(section)]
    room = most - 1 - len(sections)
    taken = dict.fromkeys(sections, 0)
    while room > 0 and (open_ones := [s for s in sections if taken[s] < len(found[s])]):
        for section in open_ones[:room]:
            taken[section] += 1
        room -= len(open_ones[:room])
    return tuple(_cut(section, found[section], taken[section]) for section in sections)


def _cut(section: DigestHeading, lines: Sequence[T], room: int) -> Chosen[T]:
    """Give up the last line for the word that there are more."""
    if room >= len(lines):
        return Chosen(section, tuple(lines))
    kept = max(room - 1, 0)
    return Chosen(section, tuple(lines[:kept]), len(lines) - kept)


@dataclass(frozen=True, slots=True)
class WeeklyHealth:
    """How many pipelines stood how at a moment."""

    moment: datetime
    good: int
    watch: int  # something was suspected
    bad: int  # an incident was open


@dataclass(frozen=True, slots=True)
class Progress:
    """How many incidents are open, and were; how many are new, and are over since."""

    now: int
    before: int
    new: int
    over: int


def weekly_health(
    known_since: Mapping[str, datetime], incidents: Iterable[Incident], now: datetime, weeks: int = WEEKS
) -> tuple[WeeklyHealth, ...]:
    """Return how the pipelines stood now and at the end of each week before, oldest first.

    A week in which none of them was known is left out. *incidents* are those that were not over by then.
    """
    every = list(incidents)
    moments = [now - WEEK * place for place in range(weeks - 1, -1, -1)]
    return tuple(
        _health(moment, {name for name, since in known_since.items() if since <= moment}, every)
        for moment in moments
        if any(since <= moment for since in known_since.values())
    )


def progress(incidents: Iterable[Incident], since: datetime, now: datetime) -> Progress:
    """Count the incidents that people were told of, now and at a moment before."""
    told = [each for each in incidents if _was_told(each)]
    then, still = ([each for each in told if _stands_at(each, moment)] for moment in (since, now))
    return Progress(
        now=len(still),
        before=len(then),
        new=sum(each.opened_at > since for each in told),
        over=sum(each.closed_at is not None and each.closed_at > since for each in told),
    )


def _health(moment: datetime, names: set[str], incidents: Sequence[Incident]) -> WeeklyHealth:
    standing = [each for each in incidents if each.series.pipeline in names and _stands_at(each, moment)]
    bad = {each.series.pipeline for each in standing if _was_told(each)}
    watch = {each.series.pipeline for each in standing} - bad
    return WeeklyHealth(moment, len(names) - len(bad) - len(watch), len(watch), len(bad))


def _was_told(incident: Incident) -> bool:
    """Say whether it was certain: what was only ever suspected is dismissed in the end."""
    return incident.state in {IncidentState.OPEN, IncidentState.RESOLVED}


def _stands_at(incident: Incident, moment: datetime) -> bool:
    return incident.opened_at <= moment and (incident.closed_at is None or incident.closed_at > moment)
