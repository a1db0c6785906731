"""Due times from cron lines, intervals and times of day, right across changes of daylight-saving time.

The calendar of a cron line is a trigger of APScheduler's, used on wall-clock time alone (decision 5); which moments a
wall-clock time names is decided here. A time that the clocks skip comes as much later as they skip; one that they show
twice comes the first time. A line for every hour is about elapsed time instead: it comes each real hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # intervals count from here, so that a restart does not shift them
_NEAR_A_CHANGE = timedelta(hours=3)  # longer than any change of the clocks
_AHEAD = tuple(timedelta(days=days) for days in (1 / 24, 1, 40, 400, 9 * 366))  # a 29 February may be 8 years away
_BACK = tuple(timedelta(days=days) for days in (1 / 1440, 1 / 24, 1, 40, 400))
_CRON_FIELDS = 5
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")  # as cron numbers them; APScheduler begins with Monday


class Timetable(Protocol):
    def between(self, start: datetime, end: datetime) -> Sequence[datetime]:
        """Return the due times after *start*, up to and including *end*, oldest first, in UTC."""


@dataclass(frozen=True, slots=True)
class Every:
    """Due each time the interval has passed."""

    interval: timedelta

    def between(self, start: datetime, end: datetime) -> Sequence[datetime]:
        first, last = ((moment - _EPOCH) // self.interval for moment in (start, end))
        return [_EPOCH + number * self.interval for number in range(first + 1, last + 1)]


@dataclass(frozen=True, slots=True)
class Once:
    """Due at one moment."""

    moment: datetime

    def between(self, start: datetime, end: datetime) -> Sequence[datetime]:
        return [self.moment] if start < self.moment <= end else []


@dataclass(frozen=True, slots=True)
class Clock:
    """Due when the clocks of a place show certain times."""

    calendar: Any  # APScheduler's trigger, in UTC: it knows nothing of changes of the clocks
    zone: ZoneInfo
    each_hour: bool

    def between(self, start: datetime, end: datetime) -> Sequence[datetime]:
        walls = self._walls(self._wall(start, -_NEAR_A_CHANGE), self._wall(end, _NEAR_A_CHANGE))
        moments = {moment for wall in walls for moment in self._moments(wall)}
        return sorted(moment for moment in moments if start < moment <= end)

    def _wall(self, moment: datetime, margin: timedelta) -> datetime:
        """Return what the clocks show, moved by *margin* where they change nearby."""
        before, after = ((moment + way).astimezone(self.zone).utcoffset() for way in (-_NEAR_A_CHANGE, _NEAR_A_CHANGE))
        shown = moment.astimezone(self.zone).replace(tzinfo=None)
        return shown if before == after else shown + margin

    def _walls(self, first: datetime, last: datetime) -> Iterator[datetime]:
        moment = first.replace(tzinfo=UTC)
        while True:
            found = self.calendar.get_next_fire_time(None, moment)
            if found is None or found.replace(tzinfo=None) > last:
                return
            yield found.replace(tzinfo=None)
            moment = found + timedelta(seconds=1)

    def _moments(self, wall: datetime) -> tuple[datetime, ...]:
        first, second = (wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first == second:
            return (first,)
        is_shown_twice = first.astimezone(self.zone).replace(tzinfo=None) == wall
        if not self.each_hour:
            return (first,)
        return (first, second) if is_shown_twice else ()


@lru_cache(4096)  # of a thousand schedules each is asked for again and again
def read_cron(line: str, zone: ZoneInfo) -> Clock:
    """Read a cron line with the weekdays of cron (0 and 7 are Sunday); raises ValueError in words."""
    from apscheduler.triggers.combining import OrTrigger
    from apscheduler.triggers.cron import CronTrigger

    fields = line.split()
    if len(fields) != _CRON_FIELDS:
        raise ValueError("it should have five fields: minute, hour, day of the month, month, weekday")
    minute, hour, day, month, weekday = fields
    weekdays = _read_weekdays(weekday)

    def calendar(day: str, weekdays: str) -> CronTrigger:
        return CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=weekdays, timezone=UTC)

    if day.startswith("*") or weekday.startswith("*"):
        return Clock(calendar(day, weekdays), zone, each_hour=hour == "*")
    either = OrTrigger([calendar(day, "*"), calendar("*", weekdays)])  # as cron reads a line that restricts both
    return Clock(either, zone, each_hour=hour == "*")


def read_at(at: time | datetime, zone: ZoneInfo) -> Clock | Once:
    """Make the timetable of a time of day, or of one moment; without an offset it is local time."""
    from apscheduler.triggers.cron import CronTrigger

    if isinstance(at, datetime):
        return Once((at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC))
    calendar = CronTrigger(hour=at.hour, minute=at.minute, second=at.second, timezone=UTC)
    return Clock(calendar, zone, each_hour=False)


def first_after(timetable: Timetable, moment: datetime) -> datetime | None:
    """Return the first due time after *moment*; None where there is none in nine years."""
    for ahead in _AHEAD:
        if found := timetable.between(moment, moment + ahead):
            return found[0]
    return None


def latest_until(timetable: Timetable, start: datetime, end: datetime) -> datetime | None:
    """Return the last due time after *start*, up to and including *end*."""
    for back in _BACK:
        if found := timetable.between(max(start, end - back), end):
            return found[-1]
    return (timetable.between(start, end) or (None,))[-1]


def _read_weekdays(field: str) -> str:
    """Return the weekdays of a cron field by name, since APScheduler numbers them differently."""
    if field == "*":
        return field
    chosen: set[int] = set()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        low, _, high = ("0", "-", "6") if span == "*" else span.partition("-")
        first = _read_day(low)
        last = _read_day(high) if high else (6 if step else first)
        if step and not (step.isdigit() and int(step)):
            raise ValueError(f"{step!r} is not a step for weekdays")
        last += 7 if last < first else 0
        chosen.update(day % 7 for day in range(first, last + 1, int(step or 1)))
    return ",".join(_DAYS[day] for day in sorted(chosen))


def _read_day(text: str) -> int:
    if text in _DAYS:
        return _DAYS.index(text)
    if text.isdigit() and int(text) <= len(_DAYS):
        return int(text)
    raise ValueError(f"{text!r} is not a weekday: 0 to 7, where 0 and 7 are Sunday, or mon to sun")
