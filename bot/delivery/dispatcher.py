"""Claims and delivers effects; with `recording`, the only place that retries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from bot.delivery.admission import Admission
from bot.delivery.attempt import Attempt, NotYet, TicketFields
from bot.delivery.carrier import Carrier
from bot.delivery.drain_report import DrainReport
from bot.delivery.recording import AtWork, Recorder
from bot.delivery.services import Services
from bot.domain.backoff import Backoff
from bot.domain.objects import ObjectKey
from bot.domain.views import links_of
from bot.errors import (
    AccountError,
    PermanentError,
    RetryableError,
    StateError,
    TemplateError,
)
from bot.render.renderer import Renderer
from bot.runtime.deadline import ending_at
from bot.runtime.log import get_logger
from bot.runtime.steps import ignore_step
from bot.store import Database, claims, objects, outbox, stale_texts
from bot.store.claims import Among
from bot.store.owed import Owed
from bot.store.owners import Owner

LEASE = timedelta(minutes=5)
IN_FLIGHT = timedelta(seconds=5)
_TIME_FOR_ALL = LEASE - timedelta(minutes=1)  # of what one delivery asks; nothing of it is sent or awaited after that
_LONGEST_WAIT = 1.0  # seconds; others may owe or free something meanwhile
_SHORTEST_WAIT = 0.02

log = get_logger(__name__)


def do_nothing() -> None:
    """Prepare nothing."""


class Wording(Protocol):
    """What a pipeline's config says about how its effects read."""

    def renderer(self, pipeline: str, target: ObjectKey) -> Renderer: ...

    def ticket_fields(self, pipeline: str) -> TicketFields: ...


@dataclass(frozen=True, slots=True)
class Claim:
    """An effect that is ours for a while, with the objects it names."""

    owed: Owed
    attempt: Attempt
    ends: float  # when, as time.monotonic() tells it, nothing more may be asked for it


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Delivers what the outbox owes, each effect effectively once.

    An effect is claimed by lease and marked as sent before its request goes out. If its end is not known (the mark
    stands, but no delivery), it is looked for in the service before it is sent again. Several dispatchers may share a
    database; each may have several *workers*, to which one thread hands what it claims.
    """

    database: Database
    services: Services
    wording: Wording
    owner: Owner
    clock: Callable[[], datetime]
    pause: Callable[[float], None]
    on_step: Callable[[str], None] = ignore_step
    stopping: Callable[[], bool] = lambda: False  # then what is under way is finished, and nothing more is begun
    prepare: Callable[[], None] = do_nothing  # once, before the first effect goes to a worker
    workers: int = 1
    admission: Admission = field(default_factory=Admission)
    backoff: Backoff = field(default_factory=Backoff)
    at_work: AtWork = field(default_factory=AtWork)
    # A request whose sender died may still be on its way; only after this does looking for it prove anything.
    in_flight: timedelta = IN_FLIGHT
    among: Among | None = None  # of all that is owed, only this is delivered

    def drain(self, patience: timedelta = timedelta(0)) -> DrainReport:
        """Deliver until nothing is due; waits up to *patience* for effects that are due later."""
        report = DrainReport()
        deadline = self.clock() + patience
        try:
            if self.workers == 1:
                while not self.stopping() and (self.deliver_next(report) or self._wait(deadline)):
                    pass
            else:
                with ThreadPoolExecutor(self.workers, "delivery") as pool:
                    self._share(pool, report, deadline)
        except StateError:
            with suppress(StateError), self.at_work.lock:  # it may answer again, and this process may end now
                self._recorder.record_what_stands()
            raise
        return report

    def deliver_next(self, report: DrainReport) -> bool:
        """Deliver the oldest effect that is due; False where none is."""
        claim = self._claim(report)
        if claim is not None:
            self._deliver(claim, report)
        return claim is not None

    def _share(self, pool: ThreadPoolExecutor, report: DrainReport, deadline: datetime) -> None:
        """Hand what is due to the workers until nothing is, and nothing under way could free more."""
        busy: set[Future[None]] = set()
        while True:
            claim = self._claim(report) if len(busy) < self.workers and not self.stopping() else None
            if claim is not None:
                busy.add(self._hand_over(pool, claim, report))
            elif busy:
                ended, busy = wait(busy, timeout=self._until_opening(), return_when=FIRST_COMPLETED)
                for future in ended:
                    future.result()
            elif self.stopping() or not self._wait(deadline):
                return

    def _hand_over(self, pool: ThreadPoolExecutor, claim: Claim, report: DrainReport) -> Future[None]:
        try:
            self.prepare()
            return pool.submit(self._deliver, claim, report)
        except BaseException:  # the machine has no room for another thread just now, or we were interrupted
            self.at_work.numbers.discard(claim.owed.seq)
            self.admission.leave(claim.owed.effect, posted_at=None)
            raise

    def _until_opening(self) -> float:
        """Return how many seconds to wait for workers before looking anew at what may go."""
        now = self.clock()
        opens = self.admission.opens_at(now)
        seconds = _LONGEST_WAIT if opens is None else (opens - now).total_seconds()
        return min(max(seconds, _SHORTEST_WAIT), _LONGEST_WAIT)

    def _wait(self, deadline: datetime) -> bool:
        """Wait a little for what is due later; False where nothing is before *deadline*."""
        if self.clock() >= deadline:
            return False
        with self.database.begin() as tx:
            due = claims.next_due(tx, self.among)
        now = self.clock()
        if due is None:
            return False
        if due <= now:  # and yet it was not claimed: its service or channel is closed, or another Herald is at it
            due = self.admission.opens_at(now) or now
        if max(due, now) >= deadline:
            return False
        self.pause(min(max((due - now).total_seconds(), 0.05), _LONGEST_WAIT))
        return True

    def _claim(self, report: DrainReport) -> Claim | None:
        with self.at_work.lock:
            self._recorder.record_what_stands()
            claim = self._claim_next(report)
            if claim is not None:
                self.at_work.numbers.add(claim.owed.seq)
            return claim

    def _claim_next(self, report: DrainReport) -> Claim | None:
        """Lease the next effect; one that cannot even be made ready is set aside."""
        owner = self.owner
        while True:
            now, ends = self.clock(), time.monotonic() + _TIME_FOR_ALL.total_seconds()
            with self.database.begin() as tx:
                moment = owner.clock(tx)
                at_work, settled_by = self.at_work.numbers, now + self.in_flight
                claims.free_dropped(tx, owner.name, moment, settled_by, at_work, owner.may_take_over)
                owed = claims.claim_next(tx, owner.name, now, moment + LEASE, self.admission.closed(now), self.among)
                if owed is None:
                    return None
                named = _named_in(owed)
                known = objects.known_objects(tx, named)
                coming = outbox.coming(tx, [key for key in named if key not in known])
                place = objects.place_of(tx, owed.effect.target) if owed.is_doubtful else None
                is_overtaken = stale_texts.is_overtaken(tx, owed)
                asked_at = outbox.asked_in_doubt(tx, owed)
            try:
                renderer = self.wording.renderer(owed.pipeline, owed.effect.target)
                fields = self.wording.ticket_fields(owed.pipeline)
            except Exception as error:  # noqa: BLE001  whatever it is, it is this effect's alone
                self._set_aside(owed, error, report)
                continue
            services, facts = self.services, (place, is_overtaken, asked_at)
            attempt = Attempt(owed, services, renderer, fields, known, now, self.in_flight, coming, *facts)
            self.admission.enter(owed.effect, now)
            return Claim(owed, attempt, ends)

    def _deliver(self, claim: Claim, report: DrainReport) -> None:
        """Deliver an effect; what nobody foresaw is its own affair, and the others go on."""
        with self._in_hand(claim.owed):
            try:
                self._attempt(claim, report)
            except StateError:
                raise
            except Exception as error:  # noqa: BLE001
                self._set_aside(claim.owed, error, report)

    @contextmanager
    def _in_hand(self, owed: Owed) -> Iterator[None]:
        """Give an effect back where the state failed in the midst of its delivery, as soon as the state answers."""
        try:
            yield
        except StateError:
            if owed.seq not in self.at_work.unrecorded:
                with suppress(StateError), self.database.begin() as tx:
                    claims.give_back(tx, owed, self.owner.name)
            raise
        finally:
            if owed.seq not in self.at_work.unrecorded:
                self.at_work.numbers.discard(owed.seq)

    def _attempt(self, claim: Claim, report: DrainReport) -> None:
        owed, service, recorder = claim.owed, claim.owed.effect.target.service, self._recorder
        carrier = Carrier(self.database, self.owner, self.clock, self.on_step)
        posted_at = None
        try:
            self.on_step("delivery.claimed")
            with ending_at(claim.ends):
                done = carrier.carry_out(claim.attempt)
            if isinstance(done, NotYet):
                recorder.postpone(owed, done)
            else:
                posted_at = self.clock() if done.posted else None
                recorder.record_or_keep(owed, done)
                recorder.answered(owed)
                report.succeed(owed)
        except AccountError as error:
            report.fail(owed, error)
            recorder.hold(owed, error)
        except RetryableError as error:
            report.fail(owed, error)
            recorder.fail(owed, error)
        except (PermanentError, TemplateError) as error:
            report.fail(owed, error)
            recorder.answered(owed)
            recorder.park(owed, error)
        finally:
            self.admission.leave(owed.effect, posted_at=posted_at)
            self.admission.allowed(service, self.services.allowance(service), self.clock())

    @property
    def _recorder(self) -> Recorder:
        return Recorder(
            self.database,
            self.services.chats,
            self.owner,
            self.clock,
            self.on_step,
            self.admission,
            self.backoff,
            self.at_work,
        )

    def _set_aside(self, owed: Owed, error: Exception, report: DrainReport) -> None:
        if self._recorder.set_aside(owed, error):
            report.fail(owed, error)


def _named_in(owed: Owed) -> list[ObjectKey]:
    return [owed.effect.target, *owed.effect.needs, *links_of(owed.view).values()]
