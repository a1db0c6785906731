"""When pipelines are due: triggers, missed times, and a loop that can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import structlog

from bot.app import Herald
from bot.config import Config, ScheduleSection
from bot.errors import HeraldError
from bot.store import fires

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # intervals count from here, so that a restart does not shift them
_DELIVERY_PAUSE = timedelta(seconds=5)
_JOBS_AT_ONCE = 8

log = structlog.get_logger(__name__)


def make_trigger(section: ScheduleSection, zone: ZoneInfo) -> Any:
    """Build the APScheduler trigger of a schedule."""
    if section.cron is not None:
        from apscheduler.triggers.cron import CronTrigger

        return CronTrigger.from_crontab(section.cron, timezone=zone)
    from apscheduler.triggers.interval import IntervalTrigger

    assert section.every is not None
    return IntervalTrigger(seconds=int(section.every.total_seconds()), start_date=_EPOCH, timezone=zone)


def next_due(trigger: Any, last: datetime | None, now: datetime) -> datetime:
    """Return when a pipeline is due next; the latest missed time, if its last fire left some out.

    Without a last fire nothing was missed.
    """
    due: datetime = trigger.get_next_fire_time(None, now)
    if last is None:
        return due
    candidate: datetime | None = trigger.get_next_fire_time(last, last + timedelta(microseconds=1))
    missed: datetime | None = None
    while candidate is not None and candidate <= now:
        missed = candidate
        candidate = trigger.get_next_fire_time(candidate, candidate + timedelta(microseconds=1))
    return missed or due


def due_times(config: Config, last: Callable[[str], datetime | None], now: datetime) -> dict[str, datetime]:
    """Return when each scheduled pipeline is due next."""
    return {
        name: next_due(make_trigger(p.schedule, ZoneInfo(p.time_zone or config.time_zone)), last(name), now)
        for name, p in config.pipeline.items()
        if p.schedule is not None
    }


@dataclass(slots=True)
class Server:
    """Runs pipelines at their times and delivers what is owed, until stopped."""

    herald: Herald
    stop_requested: threading.Event

    def run(self) -> None:
        """Serve until stopped; jobs that run then live on, to be adopted by the next Herald."""
        scheduler = self._scheduler()
        scheduler.start()
        now = self.herald.around.clock()
        for name, due in due_times(self.herald.config, self._last_due, now).items():
            self._plan(scheduler, name, due)
        self._plan_delivery(scheduler)
        self.stop_requested.wait()
        log.info("stopping")
        scheduler.shutdown(wait=True)

    def _scheduler(self) -> BackgroundScheduler:
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        return BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(_JOBS_AT_ONCE), "delivery": ThreadPoolExecutor(1)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )

    def _plan(self, scheduler: BackgroundScheduler, name: str, due: datetime) -> None:
        scheduler.add_job(self._fire, "date", run_date=due, args=(scheduler, name, due), id=name, replace_existing=True)
        log.info("due", pipeline=name, at=due.isoformat())

    def _plan_delivery(self, scheduler: BackgroundScheduler) -> None:
        scheduler.add_job(
            self._deliver,
            "interval",
            seconds=_DELIVERY_PAUSE.total_seconds(),
            executor="delivery",
            next_run_time=_EPOCH,
        )

    def _fire(self, scheduler: BackgroundScheduler, name: str, due: datetime) -> None:
        try:
            report = self.herald.cycle(name).run(due)
            if report.busy:
                log.warning("skipped: another Herald is at work on it", pipeline=name)
            self._deliver()
        except HeraldError as error:
            log.exception("cycle failed", pipeline=name, error=str(error))
        except Exception:
            log.exception("cycle broke", pipeline=name)  # one pipeline's surprise must not end the others
        if not self.stop_requested.is_set():
            self._plan(scheduler, name, self._after(name, due))

    def _after(self, name: str, due: datetime) -> datetime:
        pipeline = self.herald.config.pipeline[name]
        assert pipeline.schedule is not None
        zone = ZoneInfo(pipeline.time_zone or self.herald.config.time_zone)
        return next_due(make_trigger(pipeline.schedule, zone), due, self.herald.around.clock())

    def _deliver(self) -> None:
        try:
            self.herald.dispatcher.drain()
        except HeraldError as error:
            log.exception("delivery failed", error=str(error))

    def _last_due(self, name: str) -> datetime | None:
        with self.herald.database.begin() as tx:
            latest = fires.latest(tx, name)
        return None if latest is None else latest.due_at
