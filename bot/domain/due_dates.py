"""Whether the schedule can still meet the day by which the ticket of an experiment is to be done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from bot.domain.fires import Fire, FireState

_LOOKED_AT = 9  # of the latest jobs that ended well


@dataclass(frozen=True, slots=True)
class Missed:
    """A day that a ticket is due, after which alone the next result can come."""

    pipeline: str
    ticket: str
    due: datetime  # the last moment
    comes: datetime


def last_moment(due: date, zone: ZoneInfo) -> datetime:
    """Return until when something is due: to the end of a day where the team is, or to a moment."""
    if isinstance(due, datetime):
        return due
    return datetime.combine(due + timedelta(days=1), time(), zone) - timedelta(microseconds=1)


def next_result(fires: Iterable[Fire], next_due: datetime | None, now: datetime) -> datetime | None:
    """Return when the next result can be there: of a job that runs, or of the next due; None where none is to come.

    A job takes as long as the median of those before it that ended well, or no time where none has.
    """
    known = sorted(fires, key=lambda fire: fire.number)
    ended = [fire for fire in known if fire.state is FireState.ENDED][-_LOOKED_AT:]
    took = [(fire.ended_at - fire.started_at).total_seconds() for fire in ended if fire.started_at and fire.ended_at]
    length = timedelta(seconds=median(took) if took else 0)
    begins = [fire.started_at or now for fire in known if not fire.state.is_over]
    if next_due is not None:
        begins.append(max(next_due, now))
    return max(min(begins) + length, now) if begins else None
