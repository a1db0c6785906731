"""The loop of `herald serve`: rounds that record what is due, start what waits, deliver what is owed, until stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from queue import Empty, SimpleQueue
from typing import Protocol

import structlog

from bot.app import Herald, load_for_work, make_dead_man
from bot.cycle import LEASE_OF
from bot.digest import owe_due_digest
from bot.errors import HeraldError, IntegrationError
from bot.journal import journal
from bot.ports import DeadMan
from bot.schedule import record_due
from bot.store import fires, leases, outbox, retention

_ROUND_SECONDS = 1.0
_BETWEEN_DELIVERIES = timedelta(seconds=5)
_BETWEEN_LISTENINGS = timedelta(seconds=30)  # for silence
_BETWEEN_LOOKS = timedelta(seconds=20)  # whether a digest is due
_BETWEEN_CLEARINGS = timedelta(days=1)
_AFTER_BUSY = timedelta(seconds=5)
_AFTER_TROUBLE = timedelta(seconds=30)
_LOOKS_AT_ONCE = 8  # pipelines without a job; what they read is MLflow's, and that may be one SQLite file

log = structlog.get_logger(__name__)


class Task(Protocol):
    """Work under way beside the loop; a thread is one."""

    def is_alive(self) -> bool: ...

    def join(self) -> None: ...


def start_thread(name: str, work: Callable[[], None]) -> Task:
    thread = threading.Thread(target=work, name=name)
    thread.start()
    return thread


@dataclass(slots=True)
class Errand:
    """Something that is done beside the loop again and again, but never twice at once."""

    name: str
    task: Task | None = None
    not_before: datetime | None = None
    trouble: str = ""  # why it failed the last time
    failures: int = 0  # in a row

    @property
    def is_under_way(self) -> bool:
        return self.task is not None and self.task.is_alive()

    def may_start(self, now: datetime) -> bool:
        return not self.is_under_way and (self.not_before is None or self.not_before <= now)


@dataclass(slots=True)
class Orders:
    """What signals ask of a server; each order wakes it.

    A signal comes at any point of the loop, so nothing here takes a lock that the loop might hold just then.
    """

    stop: bool = False
    reload: bool = False
    _wake: SimpleQueue[None] = field(default_factory=SimpleQueue)

    def ask_to_stop(self) -> None:
        self.stop = True
        self.wake()

    def ask_to_reload(self) -> None:
        self.reload = True
        self.wake()

    def is_stopping(self) -> bool:
        return self.stop

    def wake(self) -> None:
        self._wake.put(None)

    def wait(self, seconds: float) -> None:
        """Sleep until the time is over or somebody calls :meth:`wake`."""
        with suppress(Empty):
            self._wake.get(timeout=seconds)


@dataclass(slots=True)
class Server:
    """Runs pipelines at their times and delivers what is owed, until stopped.

    Fires are rows before anything starts, and one cycle at a time works on a pipeline's rows. Nothing that is kept in
    memory here is missed after a crash.
    """

    herald: Herald
    orders: Orders
    reconfigured: Callable[[Herald], Herald]  # raises ConfigError where the configuration cannot be used
    stop_jobs: bool = False
    start_task: Callable[[str, Callable[[], None]], Task] = start_thread
    cycles: dict[str, Errand] = field(default_factory=dict)  # by pipeline
    delivery: Errand = field(default_factory=lambda: Errand("delivery"))
    listening: Errand = field(default_factory=lambda: Errand("listening for silence"))
    digesting: Errand = field(default_factory=lambda: Errand("digest"))
    forgetting: Errand = field(default_factory=lambda: Errand("forgetting what is old"))
    keeping: Errand = field(default_factory=lambda: Errand("keeping the state"))  # the loop's own part
    dead_man: DeadMan | None = None
    signalled_at: datetime | None = None

    def run(self) -> None:
        """Serve until stopped; jobs that run then live on, to be adopted by the next Herald, or end if so asked."""
        load_for_work()
        self.dead_man = make_dead_man(self.herald.config)
        log.info("serving", pipelines=len(self.herald.config.pipeline))
        while not self.orders.stop:
            self.round()
            self.orders.wait(_ROUND_SECONDS)
        self.finish()

    def round(self) -> None:
        """Do once what is done again and again; what goes wrong is logged, and tried again later."""
        if self.orders.reload:
            self.orders.reload = False
            journal.forget()
            self._reload()
        now = self.herald.around.clock()
        if self.keeping.may_start(now):
            self._attempt(self.keeping, lambda: self._record_and_start(now))
        self._send(self.delivery, self._deliver, now, pause=_BETWEEN_DELIVERIES)
        self._send(self.digesting, lambda: owe_due_digest(self.herald), now, pause=_BETWEEN_LOOKS)
        self._send(self.forgetting, self._forget, now, pause=_BETWEEN_CLEARINGS)
        self._send(self.listening, self._listen, now, pause=_BETWEEN_LISTENINGS)

    def finish(self) -> None:
        """Let what is under way come to its next stop, deliver what is owed, and end jobs if so asked."""
        log.info("stopping")
        for errand in self._errands():
            if errand.task is not None:
                errand.task.join()
        if self.stop_jobs:
            for name in self.herald.config.pipeline:
                if self.herald.cycle(name).stop_job():
                    log.info("job stopped", pipeline=name)
        self._attempt(self.delivery, self._drain)
        log.info("stopped")

    def _record_and_start(self, now: datetime) -> None:
        """Record what is due, and start a cycle for each pipeline with a fire that is not over, while there is room."""
        herald, owner = self.herald, self.herald.dispatcher.owner
        with herald.database.begin() as tx:
            record_due(tx, herald.config, now)
            herald.around.on_step("round.recording")
            waiting = fires.waiting(tx)
            at_work = [name for name, errand in self.cycles.items() if errand.is_under_way]
            leases.give_back_all_but(tx, LEASE_OF, owner.name, at_work)
            elsewhere = leases.held_by_others(tx, LEASE_OF, owner.name, owner.clock(tx), owner.may_take_over)
        herald.around.on_step("round.recorded")
        for name in dict.fromkeys(fire.pipeline for fire in waiting):
            if name in herald.config.pipeline and self._has_room(name, elsewhere):
                errand = self.cycles.setdefault(name, Errand(name))
                self._send(errand, partial(self._cycle, herald, errand), now)

    def _has_room(self, name: str, elsewhere: Collection[str]) -> bool:
        """Say whether the limit of jobs lets a pipeline start, or that of looks where it has no job.

        Pipelines at which others are at work, such as `herald run`, take the places of jobs too.
        """
        configured = self.herald.config.pipeline

        def looks(other: str) -> bool:
            return other in configured and configured[other].job is None

        at_work = {other for other, errand in self.cycles.items() if errand.is_under_way}
        if looks(name):
            return sum(looks(other) for other in at_work) < _LOOKS_AT_ONCE
        return sum(not looks(other) for other in at_work.union(elsewhere)) < self.herald.config.jobs_at_once

    def _cycle(self, herald: Herald, errand: Errand) -> None:
        report = herald.cycle(errand.name).resume()
        if report.busy:
            log.info("waiting: another Herald is at work on it", pipeline=errand.name)
            errand.not_before = herald.around.clock() + _AFTER_BUSY
        self.delivery.not_before = None
        self.orders.wake()

    def _listen(self) -> None:
        """Look for pipelines of which no run comes."""
        for name in self.herald.config.pipeline:
            self.herald.cycle(name).listen()

    def _forget(self) -> None:
        config = self.herald.config
        overlaps = {name: pipeline.watch.overlap for name, pipeline in config.pipeline.items()}
        with self.herald.database.begin() as tx:
            gone = retention.forget(tx, self.herald.around.clock() - config.store.keep, overlaps)
        log.info("forgot what is old", rows=gone)

    def _deliver(self) -> None:
        self._drain()
        now = self.herald.around.clock()
        section = self.herald.config.dead_man
        if section is None or self.dead_man is None or not self.is_healthy or self._is_refused():
            return
        if self.signalled_at is None or now - self.signalled_at >= section.every:
            self.signalled_at = now
            try:
                self.dead_man.signal()
            except IntegrationError as error:  # no trouble of Herald's own
                log.warning("not signalled", error=str(error))

    def _drain(self) -> None:
        self.herald.dispatcher.drain()

    def _is_refused(self) -> bool:
        """Say whether something waits for a service that does not take our account, which somebody has to mend."""
        refusing = self.herald.dispatcher.traffic.refusing()
        if not refusing:
            return False
        with self.herald.database.begin() as tx:
            return any(refusal.service in refusing for refusal in outbox.refusals(tx))

    @property
    def is_healthy(self) -> bool:
        """Say whether everything that Herald does went well the last time."""
        return not any(errand.trouble for errand in self._errands())

    def _errands(self) -> Iterator[Errand]:
        cycles = list(self.cycles.values())  # a delivery asks while the loop adds to them
        yield from (*cycles, self.delivery, self.listening, self.digesting, self.forgetting, self.keeping)

    def _send(
        self, errand: Errand, work: Callable[[], None], now: datetime, *, pause: timedelta = timedelta(0)
    ) -> None:
        """Start an errand beside the loop, unless it is under way or it is too early for it."""
        if errand.may_start(now):
            errand.not_before = now + pause
            try:
                errand.task = self.start_task(errand.name, partial(self._attempt, errand, work))
            except RuntimeError as error:  # the machine has no room for another thread just now
                log.error("not started", what=errand.name, error=str(error))  # noqa: TRY400
                self._rest(errand, str(error))

    def _attempt(self, errand: Errand, work: Callable[[], None]) -> None:
        """Do the work; one errand's trouble must not end the others."""
        try:
            work()
        except HeraldError as error:
            log.error("failed", what=errand.name, error=str(error))  # noqa: TRY400  a sentence, not a traceback
            self._rest(errand, str(error))
        except Exception as error:
            log.exception("broke", what=errand.name)
            self._rest(errand, repr(error))
        else:
            self._be_well(errand)

    def _be_well(self, errand: Errand) -> None:
        if errand.trouble:
            log.info("well again", what=errand.name, failures=errand.failures)
            journal.forget(errand.name)
        errand.trouble, errand.failures = "", 0

    def _rest(self, errand: Errand, trouble: str) -> None:
        errand.trouble, errand.failures = trouble, errand.failures + 1
        errand.not_before = self.herald.around.clock() + _AFTER_TROUBLE

    def _reload(self) -> None:
        """Take on the configuration as it reads now; one that cannot be used changes nothing."""
        try:
            self.herald = self.reconfigured(self.herald)
        except HeraldError as error:
            for line in str(error).splitlines():
                log.error("configuration kept as it was", error=line, always=True)  # noqa: TRY400
            return
        self.dead_man = make_dead_man(self.herald.config)
        kept = self.herald.config.pipeline
        self.cycles = {name: errand for name, errand in self.cycles.items() if name in kept or errand.is_under_way}
        log.info("configuration read anew", pipelines=len(kept))
