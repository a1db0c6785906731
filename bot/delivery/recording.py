"""How the ends of attempts are recorded: what stands, what is tried again and when, what is left to a person."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy import Connection

from bot.delivery.admission import Admission
from bot.delivery.attempt import Done, NotYet
from bot.delivery.circuit_breakers import Gate, gate_of
from bot.delivery.drain_report import words_of
from bot.delivery.late_binding import owe_rebinding, owe_rebindings
from bot.domain.backoff import Backoff
from bot.errors import (
    AccountError,
    CannotTellError,
    IntegrationError,
    MissingError,
    PermanentError,
    Reach,
    RetryableError,
    StateError,
    TemplateError,
)
from bot.ports import Chat
from bot.runtime import tallies
from bot.runtime.log import get_logger
from bot.store import Database, claims, incidents, objects, outbox
from bot.store.owed import Owed, ParkedFor
from bot.store.owners import Owner

_SERVERS_FAULT = 500  # and above, by its status
_LONGEST_FAILING = timedelta(days=1)  # of one effect, while others are taken

log = get_logger(__name__)


@dataclass(slots=True)
class AtWork:
    """What this Herald has in hand, by number; what it holds in the state beyond that was dropped, and is free."""

    lock: Lock = field(default_factory=Lock)  # while something is claimed
    numbers: set[int] = field(default_factory=set)
    unrecorded: dict[int, tuple[Owed, Done]] = field(default_factory=dict)  # delivered while the state was away


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes down in the outbox how attempts ended."""

    database: Database
    chats: Mapping[str, Chat]
    owner: Owner
    clock: Callable[[], datetime]
    on_step: Callable[[str], None]
    admission: Admission
    backoff: Backoff
    at_work: AtWork

    def answered(self, owed: Owed) -> None:
        """Open what was closed to our account, and try at once what was held for that."""
        now, service = self.clock(), owed.effect.target.service
        opened = self.admission.breakers.answered(owed.effect, now)
        if opened:
            with self.database.begin() as tx:
                claims.release(tx, service, now)
            log.info("takes again what waits", where=", ".join(map(str, opened)))

    def hold(self, owed: Owed, error: AccountError) -> None:
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
            claims.mark_held(tx, owed, self.owner.name, now, until, error)
        if is_new:
            is_missing = isinstance(error, MissingError)
            what = "what config names is missing there" if is_missing else "our account is refused"
            words = f"{what}: nothing is lost, and all waits"
            log.error(words, where=str(where), error=str(error), always=True)

    def record_or_keep(self, owed: Owed, done: Done) -> None:
        """Record a delivery, or keep it until the state answers: what is known to stand is in no doubt."""
        try:
            self._record(owed, done)
        except StateError:
            self.at_work.unrecorded[owed.seq] = owed, done
            raise

    def record_what_stands(self) -> None:
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
                objects.know(tx, done.made)
                outbox.wake(tx, done.made.key, now)
            claims.mark_delivered(tx, owed, now, done.unbound)
            outbox.owe(tx, owed.pipeline, done.owes, now)
            self._rebind_texts(tx, owed, done, now)
            self.on_step("delivery.recording")
        self.on_step("delivery.recorded")
        tallies.delivery.note((now - owed.created_at).total_seconds(), owed.effect.target.service)
        made = {} if done.made is None else {"made": done.made.bound.external_id}
        log.info("delivered", **_ids(owed), pipeline=owed.pipeline, **made)

    def _rebind_texts(self, tx: Connection, owed: Owed, done: Done, now: datetime) -> None:
        """Owe an edit to messages and sections that said `pending` of an object that is there now."""
        effect = owed.effect
        chats = self.chats
        if effect.traits.creates and done.made is not None:
            owe_rebindings(tx, chats, done.made, effect.incident_id, now)
        if effect.traits.is_kept_true:
            for known in objects.known_objects(tx, done.unbound).values():
                owe_rebinding(tx, chats, owed, known, now)

    def fail(self, owed: Owed, error: RetryableError) -> None:
        """Put the effect back for another try, or leave it to a person where it has been tried for long enough."""
        (self._give_up if self._is_given_up(owed, error) else self._put_back)(owed, error)

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
            claims.mark_parked(tx, owed, self.owner.name, now, ParkedFor.FAILING, words, doubtful=is_doubtful)
        log.error("parked", **_ids(owed), error=words)

    def _put_back(self, owed: Owed, error: RetryableError) -> None:
        draw = random.random()  # noqa: S311  jitter is no secret
        pause = timedelta(seconds=self.backoff.before_retry(owed.attempts, error.retry_after, draw))
        now = self.clock()
        hold = min(pause, timedelta(seconds=self.backoff.longest_hold))
        self.admission.breakers.failed(owed.effect, now, hold)
        with self.database.begin() as tx:
            claims.mark_retry(
                tx,
                owed,
                self.owner.name,
                now + pause,
                str(error),
                doubtful=error.doubtful or owed.is_doubtful,
                under_way=now if error.doubtful else None,
                failing_since=(owed.failing_since or now) if _is_servers_fault(error) else None,
            )
        log.warning("put back", **_ids(owed), seconds=pause.total_seconds(), error=str(error))

    def postpone(self, owed: Owed, wait: NotYet) -> None:
        with self.database.begin() as tx:
            if owed.effect.incident_id is not None:  # or what is made just now wakes it before it sleeps
                incidents.lock(tx, owed.effect.incident_id)
            # In this order: what is made between the two looks is owed by the first, or there by the second.
            is_owed = wait.needs is not None and outbox.is_owed(tx, wait.needs)
            there = [] if wait.needs is None else objects.known_objects(tx, [wait.needs])  # made a moment ago
            if wait.needs is not None and not there and not is_owed:
                words = f"{wait.needs}: is gone or was never made, and nothing makes it any more"
                claims.mark_parked(tx, owed, self.owner.name, self.clock(), ParkedFor.REFUSED, words)
                return
            until, why = (self.clock() if there else wait.until), wait.why
            claims.mark_waiting(tx, owed, self.owner.name, until, why, needs=wait.needs)

    def park(self, owed: Owed, error: IntegrationError | TemplateError) -> None:
        reason, doubtful = _why_parked(error), owed.is_doubtful and not isinstance(error, CannotTellError)
        fields = error.fields if isinstance(error, PermanentError) else None
        now = self.clock()
        with self.database.begin() as tx:
            claims.mark_parked(tx, owed, self.owner.name, now, reason, str(error), fields=fields, doubtful=doubtful)
        log.error("parked", **_ids(owed), error=str(error))

    def set_aside(self, owed: Owed, error: Exception) -> bool:
        """Park what broke in a way that nobody foresaw; a request may have gone out, and is then looked for.

        False where it is no longer ours, or was delivered.
        """
        words, now = words_of(error), self.clock()
        with self.database.begin() as tx:
            is_parked = claims.mark_parked(tx, owed, self.owner.name, now, ParkedFor.BROKEN, words, doubtful=True)
        log.error("broke", exc_info=error, **_ids(owed))
        return is_parked


def _ids(owed: Owed) -> dict[str, str]:
    """Return what an effect's lines are found by, and those of its incident."""
    effect = owed.effect
    incident = {} if effect.incident_id is None else {"incident": effect.incident_id}
    return {"effect": effect.effect_id, "service": effect.target.service, **incident}


def _is_servers_fault(error: RetryableError) -> bool:
    """Say whether there was no answer, or none that makes sense, or the service says that it broke."""
    return error.status is None or error.status >= _SERVERS_FAULT


def _why_parked(error: IntegrationError | TemplateError) -> ParkedFor:
    match error:
        case CannotTellError():
            return ParkedFor.LOST
        case TemplateError():
            return ParkedFor.BROKEN
        case _:
            return ParkedFor.REFUSED
