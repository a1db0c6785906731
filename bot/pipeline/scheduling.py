"""When pipelines are due: each due time becomes a fire, once, whatever happens in between.

APScheduler's rules for times that were missed, on rows (decision 5).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from bot.config.models import Config
from bot.config.pipeline import ScheduleSection
from bot.config.timetable import first_after, latest_until
from bot.domain.fires import Fire
from bot.runtime.log import describe, get_logger
from bot.store import fires, pipelines
from bot.store.pipelines import KnownPipeline

_PUNCTUAL = timedelta(minutes=1)  # a due time met this late was not missed
_MOMENT = timedelta(microseconds=1)
_LONGEST_QUIET = timedelta(seconds=10)  # without a look at every schedule

log = get_logger(__name__)


@dataclass(slots=True)
class LastLook:
    """What the last look at all schedules has shown: until when there is nothing to record."""

    right: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)  # due times, and when they were found so
    config: Config | None = None
    since: datetime | None = None
    until: datetime | None = None
    ahead: timedelta = timedelta(0)  # by how much the time that all agree on is ahead of this process's own

    def is_quiet(self, config: Config, own: datetime) -> bool:
        """Say whether nothing can be due: not for long, since others write too, and no longer where the clock went."""
        if config is not self.config or self.since is None or self.until is None:
            return False
        now = own + self.ahead
        return self.since <= now < min(self.until, self.since + _LONGEST_QUIET)


@dataclass(slots=True)
class _Due:
    """What a look has found: written at once, for all pipelines."""

    fires: dict[str, datetime] = field(default_factory=dict)
    planned: dict[str, datetime | None] = field(default_factory=dict)


def record_due(tx: Connection, config: Config, now: datetime, looked: LastLook | None = None) -> dict[str, str]:
    """Record a fire for every pipeline that is due; return those whose due times could not be told, and why.

    A pipeline whose last fire is not over is left alone: of the due times that pass meanwhile, the latest is recorded
    afterwards. So one run makes up for all that were missed, be it that the pipeline was busy or Herald was not there.
    A fire that a wrong clock has recorded ahead is due in its time, and makes up for none that is due before it.
    A diagnosis keeps nothing from being recorded: between two of its reruns what is due goes first.
    """
    looked = LastLook() if looked is None else looked
    recorded = [fire for fire in fires.waiting(tx) if not fire.recipe.is_of_diagnosis]
    waiting = {fire.pipeline for fire in recorded if not fire.lies_ahead(now)}
    ahead = {fire.pipeline for fire in recorded if fire.lies_ahead(now)}
    all_known = pipelines.know_all(tx, config.pipeline, now)
    broken: dict[str, str] = {}
    found, until = _Due(), now + _LONGEST_QUIET
    for name, pipeline in config.pipeline.items():
        try:
            known = _keep_up(tx, all_known[name], pipeline.schedule, config.zone_of(name), now)
            known = _look_anew(tx, known, pipeline.schedule, config.zone_of(name), now, looked.right)
            if name in ahead:
                known = _make_up_for(tx, known, pipeline.schedule, config.zone_of(name), now)
            if pipeline.schedule is not None and name not in waiting:
                _record_if_due(tx, known, pipeline.schedule, config.zone_of(name), now, found)
            if pipeline.schedule is not None:
                is_after = pipeline.schedule.after is not None
                until = now if is_after else min(until, found.planned.get(name, known.next_due) or until)
        except SQLAlchemyError:  # the state's trouble is everybody's
            raise
        except Exception as error:
            log.exception("broke", what=f"schedule of {name}")
            broken[name] = describe(error)
    for name, fire_id in fires.record_all(tx, found.fires).items():
        _tell(name, fire_id, found.fires[name])
    pipelines.plan_all(tx, found.planned)
    looked.config, looked.since, looked.until = config, now, now if broken else until
    return broken


def _record_if_due(
    tx: Connection, known: KnownPipeline, schedule: ScheduleSection, zone: ZoneInfo, now: datetime, found: _Due
) -> None:
    if known.next_due is not None and known.next_due <= now:
        _record(known, known.next_due, schedule, zone, now, found)
    elif schedule.after is not None:
        _record_after(tx, known, schedule, now)


def next_due_times(config: Config, known: Mapping[str, KnownPipeline], now: datetime) -> dict[str, datetime]:
    """Return when each pipeline is due next by the clock; one that waits for another is left out."""
    due: dict[str, datetime] = {}
    found: dict[str, datetime | None] = {}  # by what due times follow from: many pipelines may share it
    for name, pipeline in config.pipeline.items():
        zone, stored = config.zone_of(name), known.get(name)
        text = _text(pipeline.schedule, zone)
        if stored is not None and stored.next_due and stored.schedule == text:
            due[name] = stored.next_due
            continue
        if text not in found:
            timetable = pipeline.schedule.timetable(zone) if pipeline.schedule else None
            found[text] = first_after(timetable, now) if timetable is not None else None
        if (moment := found[text]) is not None:
            due[name] = moment
    return due


def _keep_up(
    tx: Connection, known: KnownPipeline, schedule: ScheduleSection | None, zone: ZoneInfo, now: datetime
) -> KnownPipeline:
    """Take note of a schedule that changed; a due time of the old one that had passed by then is still due."""
    text = _text(schedule, zone)
    if known.schedule == text:
        return known
    timetable = schedule.timetable(zone) if schedule else None
    next_due = first_after(timetable, now) if timetable else None
    if schedule is not None and known.next_due is not None and known.next_due <= now:
        next_due = known.next_due
    log.info("scheduled", pipeline=known.name, next=next_due.isoformat() if next_due else "")
    return pipelines.reschedule(tx, known, text, now, next_due)


def _look_anew(
    tx: Connection,
    known: KnownPipeline,
    schedule: ScheduleSection | None,
    zone: ZoneInfo,
    now: datetime,
    looked: dict[str, tuple[datetime, datetime]],
) -> KnownPipeline:
    """Work a due time out anew that lies further ahead than the timetable's next: a clock was wrong when it was stored.

    What was found right stays right while the clock goes on.
    """
    due, (right, since) = known.next_due, looked.get(known.name, (None, now))
    if due is None or schedule is None or due <= now or (due == right and since <= now):
        return known
    timetable = schedule.timetable(zone)
    if timetable is None:
        return known
    first = first_after(timetable, now)
    if first is not None and first < due:
        log.warning("due time worked out anew", pipeline=known.name, next=first.isoformat(), was=due.isoformat())
        known = pipelines.plan(tx, known, first)
    if known.next_due is not None:
        looked[known.name] = known.next_due, now
    return known


def _make_up_for(
    tx: Connection, known: KnownPipeline, schedule: ScheduleSection | None, zone: ZoneInfo, now: datetime
) -> KnownPipeline:
    """Plan the first due time that a fire recorded ahead was taken to make up for."""
    timetable = schedule.timetable(zone) if schedule else None
    since = fires.last_due(tx, known.name, now) or known.scheduled_since or known.known_since
    first = first_after(timetable, since) if timetable else None
    if first is None or (known.next_due is not None and known.next_due <= first):
        return known
    log.warning("due time worked out anew", pipeline=known.name, next=first.isoformat(), was=str(known.next_due or ""))
    return pipelines.plan(tx, known, first)


def _record(
    known: KnownPipeline, first: datetime, schedule: ScheduleSection, zone: ZoneInfo, now: datetime, found: _Due
) -> None:
    """Record the latest due time since *first*, which has come, and note the next one."""
    if now < first + _delay(known.name, first, schedule.jitter):
        return
    timetable = schedule.timetable(zone)
    following = first_after(timetable, first) if timetable else None
    due = first
    if timetable is not None and following is not None and following <= now:
        due = latest_until(timetable, first, now) or first
        if now < due + _delay(known.name, due, schedule.jitter):  # it will come in its time: the one before is over
            due = latest_until(timetable, first, due - _MOMENT) or first
            due = first if now < due + _delay(known.name, due, schedule.jitter) else due
    if schedule.catch_up == "one" or now <= due + _delay(known.name, due, schedule.jitter) + _PUNCTUAL:
        found.fires[known.name] = due
    found.planned[known.name] = following if due == first or timetable is None else first_after(timetable, due)


def _record_after(tx: Connection, known: KnownPipeline, schedule: ScheduleSection, now: datetime) -> None:
    """Record a fire for the latest time that the pipeline before this one ended well."""
    assert schedule.after is not None
    since = known.scheduled_since or known.known_since
    before: Fire | None = fires.latest_success(tx, schedule.after, since)
    if before is None or before.ended_at is None:
        return
    start = before.ended_at + _delay(known.name, before.ended_at, schedule.jitter)
    if start <= now and (schedule.catch_up == "one" or now <= start + _PUNCTUAL):
        _tell(known.name, fires.record(tx, known.name, before.ended_at).fire_id, before.ended_at)


def _tell(name: str, fire_id: str, due: datetime) -> None:
    log.info("due", pipeline=name, fire=fire_id, due=due.isoformat())


def _delay(name: str, due: datetime, jitter: timedelta) -> timedelta:
    """Return how much later than due a pipeline starts: by chance, but the same whoever asks."""
    digest = hashlib.sha256(f"{name}\x1f{due.isoformat()}".encode()).digest()
    return jitter * (int.from_bytes(digest[:4], "big") / 2**32)


def _text(schedule: ScheduleSection | None, zone: ZoneInfo) -> str:
    """Return what the due times follow from, to notice a change."""
    if schedule is None:
        return ""
    return f"cron={schedule.cron} every={schedule.every} at={schedule.at} after={schedule.after} in {zone.key}"
