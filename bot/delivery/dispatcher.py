"""Claims and delivers effects: the only place that retries."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Protocol

from sqlalchemy import Connection

from bot.delivery import delivery
from bot.delivery.admission import Admission
from bot.delivery.attempt import Attempt, CannotTellError, Done, NotYet, TicketFields
from bot.delivery.circuit_breakers import Gate, gate_of
from bot.delivery.late_binding import owe_rebinding, owe_rebindings
from bot.delivery.services import Services
from bot.domain.backoff import Backoff
from bot.domain.effects import PostDigest, TellChannel, UpdateSection
from bot.domain.objects import ObjectKey, channel_of
from bot.domain.views import links_of
from bot.errors import (
    AccountError,
    HeraldError,
    IntegrationError,
    MissingError,
    PermanentError,
    Reach,
    RetryableError,
    StateError,
    TemplateError,
)
from bot.render.renderer import Renderer
from bot.runtime.deadline import ending_at
from bot.runtime.log import describe, get_logger
from bot.store import Database, incidents, outbox, texts
from bot.store.outbox import Among, Owed, ParkedFor
from bot.store.owners import Owner

LEASE = timedelta(minutes=5)
_TIME_FOR_ALL = LEASE - timedelta(minutes=1)  # of what one delivery asks; nothing of it is sent or awaited after that
_BELIEVED_AFTER = 3  # refusals in a row that read as one of access, each while access works
_LONG_ASKED = timedelta(minutes=1)
_LONGEST_WAIT = 1.0  # seconds; others may owe or free something meanwhile
_SHORTEST_WAIT = 0.02
_SERVERS_FAULT = 500  # and above, by its status
_LONGEST_FAILING = timedelta(days=1)  # of one effect, while others are taken

log = get_logger(__name__)


def ignore_step(step: str) -> None:
    """Take note of a named step, and do nothing: tests kill the process here."""


def do_nothing() -> None:
    """Prepare nothing."""


class Wording(Protocol):
    """What a pipeline's config says about how its effects read."""

    def renderer(self, pipeline: str, target: ObjectKey) -> Renderer: ...

    def ticket_fields(self, pipeline: str) -> TicketFields: ...


@dataclass(slots=True)
class DrainReport:
    """What a drain did: how many effects were delivered, and what is said of those that still are not."""

    delivered: int = 0
    undelivered: dict[int, tuple[str, str]] = field(default_factory=dict)  # by number: the pipeline, and the words

    @property
    def failures(self) -> list[str]:
        return [words for _, words in self.undelivered.values()]

    def failures_of(self, pipeline: str) -> list[str]:
        return [words for name, words in self.undelivered.values() if name == pipeline]

    def succeed(self, owed: Owed) -> None:
        self.delivered += 1
        self.undelivered.pop(owed.seq, None)

    def fail(self, owed: Owed, error: Exception) -> None:
        self.undelivered[owed.seq] = (owed.pipeline, _words_of(error))


@dataclass(frozen=True, slots=True)
class Claim:
    """An effect that is ours for a while, with the objects it names."""

    owed: Owed
    attempt: Attempt
    channel: str | None  # where it is a message
    ends: float  # when, as time.monotonic() tells it, nothing more may be asked for it


@dataclass(slots=True)
class AtWork:
    """What this Herald has in hand, by number; what it holds in the state beyond that was dropped, and is free."""

    lock: Lock = field(default_factory=Lock)  # while something is claimed
    numbers: set[int] = field(default_factory=set)
    unrecorded: dict[int, tuple[Owed, Done]] = field(default_factory=dict)  # delivered while the state was away


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
    in_flight: timedelta = timedelta(seconds=5)
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
                self._record_what_stands()
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
            due = outbox.next_due(tx, self.among)
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
            self._record_what_stands()
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
                outbox.free_dropped(tx, owner.name, moment, self.at_work.numbers, owner.may_take_over)
                owed = outbox.claim_next(tx, owner.name, now, moment + LEASE, self.admission.closed(now), self.among)
                if owed is None:
                    return None
                named = _named_in(owed)
                known = outbox.known_objects(tx, named)
                coming = outbox.coming(tx, [key for key in named if key not in known])
                place = outbox.place_of(tx, owed.effect.target) if owed.is_doubtful else None
                is_overtaken = texts.is_overtaken(tx, owed)
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
            return Claim(owed, attempt, channel_of(owed.effect.target), ends)

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
                    outbox.give_back(tx, owed, self.owner.name)
            raise
        finally:
            if owed.seq not in self.at_work.unrecorded:
                self.at_work.numbers.discard(owed.seq)

    def _attempt(self, claim: Claim, report: DrainReport) -> None:
        owed, service = claim.owed, claim.owed.effect.target.service
        posted_at = None
        try:
            self.on_step("delivery.claimed")
            with ending_at(claim.ends):
                done = self._carry_out_fairly(claim.attempt)
            if isinstance(done, NotYet):
                self._postpone(owed, done)
            else:
                posted_at = self.clock() if done.posted else None
                self._record_or_keep(owed, done)
                self._answered(owed)
                report.succeed(owed)
        except AccountError as error:
            report.fail(owed, error)
            self._hold(owed, error)
        except RetryableError as error:
            report.fail(owed, error)
            (self._give_up if self._is_given_up(owed, error) else self._put_back)(owed, error)
        except (PermanentError, TemplateError) as error:
            report.fail(owed, error)
            self._answered(owed)
            self._park(owed, error)
        finally:
            self.admission.leave(owed.effect, posted_at=posted_at)
            self.admission.allowed(service, self.services.allowance(service), self.clock())

    def _carry_out_fairly(self, attempt: Attempt) -> Done | NotYet:
        """Carry the effect out; what may be refused to our account is no verdict on the effect.

        Who we are is asked before a refusal is believed. Where it reads as one of access although access works, what
        refused us may just have ended: then it is tried again, and believed the third time.
        """
        refused = 0
        while True:
            try:
                return self._carry_out(attempt)
            except (PermanentError, AccountError) as error:
                _find_fault(attempt, error)
                refused += 1
                if isinstance(error, AccountError) or not error.about_access or refused == _BELIEVED_AFTER:
                    raise
                if self.clock() - attempt.now > _LONG_ASKED:  # the lease must not run out meanwhile
                    raise AccountError(str(error), reach=Reach.EFFECT, status=error.status) from error

    def _carry_out(self, attempt: Attempt) -> Done | NotYet:
        waits = delivery.check_needs(attempt)
        if waits is not None:
            return waits
        if attempt.owed.is_doubtful:
            settled = self._settle(attempt)
            self.on_step("delivery.settled")
            if settled is not None:
                return settled
        if not self._mark_sent(attempt.owed):
            return NotYet(attempt.now, "another Herald took it over")
        self.on_step("delivery.marked-sent")
        done = delivery.perform(attempt)
        self.on_step("delivery.performed")
        return done

    def _mark_sent(self, owed: Owed) -> bool:
        """Record that a request is about to go out; False where another Herald took the effect over."""
        try:
            with self.database.begin() as tx:
                still_ours = outbox.mark_sent(tx, owed, self.owner.name, self.clock())
                self.on_step("delivery.marking-sent")
        except StateError:  # the mark may stand all the same, and nothing went out
            with suppress(StateError), self.database.begin() as tx:
                outbox.give_back(tx, owed, self.owner.name, unsent=True)
            raise
        return still_ours

    def _settle(self, attempt: Attempt) -> Done | NotYet | None:
        try:
            return delivery.settle(attempt)
        except AccountError as error:
            if error.reach is Reach.KIND:  # others of its kind need not be looked for
                error.reach = Reach.EFFECT
            raise

    def _answered(self, owed: Owed) -> None:
        """Open what was closed to our account, and try at once what was held for that."""
        now, service = self.clock(), owed.effect.target.service
        opened = self.admission.breakers.answered(owed.effect, now)
        if opened:
            with self.database.begin() as tx:
                outbox.release(tx, service, now)
            log.info("takes again what waits", where=", ".join(map(str, opened)))

    def _hold(self, owed: Owed, error: AccountError) -> None:
        """Close what refuses our account, and owe the effect as before; said once, until it opens again."""
        draw = random.random()  # noqa: S311  jitter is no secret
        now = self.clock()
        held_for = now - (owed.held_since or now)
        where: Gate | str
        if error.reach is Reach.EFFECT:
            where, pause, is_new = owed.effect.effect_id, self.backoff.before_asking_again(0, draw), not held_for
        else:
            where = gate_of(owed.effect, error.reach)
            pause, is_new = self.admission.breakers.refused(where, now, self.backoff, draw)
        with self.database.begin() as tx:
            until = now + self.backoff.of_the_refused(held_for, pause)
            outbox.mark_held(tx, owed, self.owner.name, now, until, error)
        if is_new:
            is_missing = isinstance(error, MissingError)
            what = "what config names is missing there" if is_missing else "our account is refused"
            words = f"{what}: nothing is lost, and all waits"
            log.error(words, where=str(where), error=str(error), always=True)

    def _record_or_keep(self, owed: Owed, done: Done) -> None:
        """Record a delivery, or keep it until the state answers: what is known to stand is in no doubt."""
        try:
            self._record(owed, done)
        except StateError:
            self.at_work.unrecorded[owed.seq] = owed, done
            raise

    def _record_what_stands(self) -> None:
        for seq, (owed, done) in list(self.at_work.unrecorded.items()):
            self._record(owed, done)
            del self.at_work.unrecorded[seq]
            self.at_work.numbers.discard(seq)

    def _record(self, owed: Owed, done: Done) -> None:
        now = self.clock()
        with self.database.begin() as tx:
            if owed.effect.incident_id is not None:  # or a message and its ticket, recorded at once, miss each other
                incidents.lock(tx, owed.effect.incident_id)
            if done.made is not None:
                outbox.know(tx, done.made)
                outbox.wake(tx, done.made.key, now)
            outbox.mark_delivered(tx, owed, now, done.unbound)
            outbox.owe(tx, owed.pipeline, done.owes, now)
            self._rebind_texts(tx, owed, done, now)
            self.on_step("delivery.recording")
        self.on_step("delivery.recorded")
        log.info("delivered", effect=owed.effect.effect_id)

    def _rebind_texts(self, tx: Connection, owed: Owed, done: Done, now: datetime) -> None:
        """Owe an edit to messages and sections that said `pending` of an object that is there now."""
        effect = owed.effect
        chats = self.services.chats
        if effect.traits.creates and done.made is not None:
            owe_rebindings(tx, chats, done.made, effect.incident_id, now)
        if isinstance(effect, TellChannel | PostDigest | UpdateSection):
            for known in outbox.known_objects(tx, done.unbound).values():
                owe_rebinding(tx, chats, owed, known, now)

    def _is_given_up(self, owed: Owed, error: RetryableError) -> bool:
        """Say whether the service has failed of this one effect for a day, while it works for others."""
        if not _is_servers_fault(error) or owed.failing_since is None:
            return False
        now = self.clock()
        if now - owed.failing_since < _LONGEST_FAILING:
            return False
        with self.database.begin() as tx:
            return outbox.takes_others(tx, owed, now - _LONGEST_FAILING)

    def _give_up(self, owed: Owed, error: RetryableError) -> None:
        """Leave to a person what would be tried for ever; a request may have been carried out, and is looked for."""
        assert owed.failing_since is not None
        now = self.clock()
        words = (
            f"{error} It has failed like this since {owed.failing_since:%d %b, %H:%M} UTC, while the service takes "
            f"other things: `herald outbox retry {owed.seq}` tries it again."
        )
        is_doubtful = error.doubtful or owed.is_doubtful
        with self.database.begin() as tx:
            outbox.mark_parked(tx, owed, self.owner.name, now, ParkedFor.FAILING, words, doubtful=is_doubtful)
        log.error("parked", effect=owed.effect.effect_id, error=words)

    def _put_back(self, owed: Owed, error: RetryableError) -> None:
        draw = random.random()  # noqa: S311  jitter is no secret
        pause = timedelta(seconds=self.backoff.before_retry(owed.attempts, error.retry_after, draw))
        now = self.clock()
        hold = min(pause, timedelta(seconds=self.backoff.longest_hold))
        self.admission.breakers.failed(owed.effect, now, hold)
        with self.database.begin() as tx:
            outbox.mark_retry(
                tx,
                owed,
                self.owner.name,
                now + pause,
                str(error),
                doubtful=error.doubtful or owed.is_doubtful,
                under_way=now if error.doubtful else None,
                failing_since=(owed.failing_since or now) if _is_servers_fault(error) else None,
            )
        log.warning("put back", effect=owed.effect.effect_id, seconds=pause.total_seconds(), error=str(error))

    def _postpone(self, owed: Owed, wait: NotYet) -> None:
        with self.database.begin() as tx:
            if owed.effect.incident_id is not None:  # or what is made just now wakes it before it sleeps
                incidents.lock(tx, owed.effect.incident_id)
            # In this order: what is made between the two looks is owed by the first, or there by the second.
            is_owed = wait.needs is not None and outbox.is_owed(tx, wait.needs)
            there = [] if wait.needs is None else outbox.known_objects(tx, [wait.needs])  # made a moment ago
            if wait.needs is not None and not there and not is_owed:
                words = f"{wait.needs}: is gone or was never made, and nothing makes it any more"
                outbox.mark_parked(tx, owed, self.owner.name, self.clock(), ParkedFor.REFUSED, words)
                return
            until, why = (self.clock() if there else wait.until), wait.why
            outbox.mark_waiting(tx, owed, self.owner.name, until, why, needs=wait.needs)

    def _park(self, owed: Owed, error: IntegrationError | TemplateError) -> None:
        reason, doubtful = _why_parked(error), owed.is_doubtful and not isinstance(error, CannotTellError)
        fields = error.fields if isinstance(error, PermanentError) else None
        now = self.clock()
        with self.database.begin() as tx:
            outbox.mark_parked(tx, owed, self.owner.name, now, reason, str(error), fields=fields, doubtful=doubtful)
        log.error("parked", effect=owed.effect.effect_id, error=str(error))

    def _set_aside(self, owed: Owed, error: Exception, report: DrainReport) -> None:
        """Park what broke in a way that nobody foresaw; a request may have gone out, and is then looked for."""
        words, now = _words_of(error), self.clock()
        with self.database.begin() as tx:
            is_parked = outbox.mark_parked(tx, owed, self.owner.name, now, ParkedFor.BROKEN, words, doubtful=True)
        if is_parked:
            report.fail(owed, error)
        log.error("broke", exc_info=error, effect=owed.effect.effect_id)


def _is_servers_fault(error: RetryableError) -> bool:
    """Say whether there was no answer, or none that makes sense, or the service says that it broke."""
    return error.status is None or error.status >= _SERVERS_FAULT


def _words_of(error: Exception) -> str:
    return str(error) if isinstance(error, HeraldError) else f"broke: {describe(error)}"


def _find_fault(attempt: Attempt, error: PermanentError | AccountError) -> None:
    """Ask who is at fault; whoever it is, what may have been carried out stays in doubt."""
    try:
        delivery.find_fault(attempt, error)
    except RetryableError as fault:
        fault.doubtful = fault.doubtful or (isinstance(error, AccountError) and error.doubtful)
        raise


def _why_parked(error: IntegrationError | TemplateError) -> ParkedFor:
    match error:
        case CannotTellError():
            return ParkedFor.LOST
        case TemplateError():
            return ParkedFor.BROKEN
        case _:
            return ParkedFor.REFUSED


def _named_in(owed: Owed) -> list[ObjectKey]:
    return [owed.effect.target, *owed.effect.needs, *links_of(owed.view).values()]
