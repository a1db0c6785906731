"""Claims and delivers effects: the only place that retries."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy import Connection

from bot.deliver import CannotTellError, Delivery, Done, NotYet, Services, TicketFields
from bot.domain.effects import CREATING, EffectKind, ObjectKey
from bot.errors import IntegrationError, PermanentError, RetryableError, TemplateError
from bot.render import Renderer
from bot.store import Database, incidents, outbox
from bot.store.outbox import KnownObject, Owed

LEASE = timedelta(minutes=5)  # longer than all requests of one effect, each with its timeout
_FIRST_PAUSE = 2.0  # seconds
_LONGEST_PAUSE = 600.0  # seconds

log = structlog.get_logger(__name__)


def ignore_step(step: str) -> None:
    """Take note of a named step, and do nothing: tests kill the process here."""


class Wording(Protocol):
    """What a pipeline's config says about how its effects read."""

    def renderer(self, pipeline: str) -> Renderer: ...

    def ticket_fields(self, pipeline: str) -> TicketFields: ...


@dataclass(slots=True)
class DrainReport:
    """What a drain did: how many effects were delivered, and the words of those that were not."""

    delivered: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Delivers what the outbox owes, each effect effectively once.

    An effect is claimed by lease and marked as sent before its request goes out. If its end is not known (the mark
    stands, but no delivery), it is looked for in the service before it is sent again.
    """

    database: Database
    services: Services
    wording: Wording
    owner: str
    clock: Callable[[], datetime]
    pause: Callable[[float], None]
    on_step: Callable[[str], None] = ignore_step

    def drain(self, patience: timedelta = timedelta(0)) -> DrainReport:
        """Deliver until nothing is due; waits up to *patience* for effects that are due later."""
        report = DrainReport()
        deadline = self.clock() + patience
        while True:
            if self.deliver_next(report):
                continue
            with self.database.begin() as tx:
                due = outbox.next_due(tx)
            now = self.clock()
            if due is None or max(due, now) >= deadline:
                return report
            self.pause(min(max((due - now).total_seconds(), 0.05), 1.0))

    def deliver_next(self, report: DrainReport) -> bool:
        """Deliver the oldest effect that is due; False where none is."""
        now = self.clock()
        with self.database.begin() as tx:
            owed = outbox.claim_next(tx, self.owner, now, now + LEASE)
            known = {} if owed is None else outbox.known_objects(tx, _named_in(owed))
        if owed is None:
            return False
        self.on_step("delivery.claimed")
        delivery = Delivery(
            owed,
            self.services,
            self.wording.renderer(owed.pipeline),
            self.wording.ticket_fields(owed.pipeline),
            known,
            now,
        )
        try:
            done = self._carry_out(delivery)
        except RetryableError as error:
            self._put_back(owed, error)
            report.failures.append(str(error))
        except (PermanentError, TemplateError) as error:
            self._park(owed, error)
            report.failures.append(str(error))
        else:
            if isinstance(done, NotYet):
                self._postpone(owed, done)
            else:
                self._record(owed, done)
                report.delivered += 1
        return True

    def _carry_out(self, delivery: Delivery) -> Done | NotYet:
        waits = delivery.check_needs()
        if waits is not None:
            return waits
        if delivery.owed.is_doubtful:
            settled = delivery.settle()
            self.on_step("delivery.settled")
            if settled is not None:
                return settled
        with self.database.begin() as tx:
            still_ours = outbox.mark_sent(tx, delivery.owed, self.owner, delivery.now)
            self.on_step("delivery.marking-sent")
        if not still_ours:
            return NotYet(delivery.now, "another Herald took it over")
        self.on_step("delivery.marked-sent")
        done = delivery.perform()
        self.on_step("delivery.performed")
        return done

    def _record(self, owed: Owed, done: Done) -> None:
        now = self.clock()
        with self.database.begin() as tx:
            if owed.effect.incident_id is not None:  # or a message and its ticket, recorded at once, miss each other
                incidents.lock(tx, owed.effect.incident_id)
            if done.made is not None:
                outbox.know(tx, done.made)
            outbox.mark_delivered(tx, owed, now, done.unbound)
            self._mend_messages(tx, owed, done, now)
            self.on_step("delivery.recording")
        self.on_step("delivery.recorded")
        log.info("delivered", effect=owed.effect.effect_id)

    def _mend_messages(self, tx: Connection, owed: Owed, done: Done, now: datetime) -> None:
        """Owe an edit to messages that said `pending` of an object that is there now."""
        effect = owed.effect
        if effect.kind in CREATING and done.made is not None:
            for message in outbox.messages_missing(tx, done.made.key, effect.incident_id):
                self._owe_mend(tx, message, done.made, now)
        if effect.kind is EffectKind.TELL_CHANNEL:
            for known in outbox.known_objects(tx, done.unbound).values():
                self._owe_mend(tx, owed, known, now)

    def _owe_mend(self, tx: Connection, message: Owed, shown: KnownObject, now: datetime) -> None:
        chat = self.services.chats.get(message.effect.target.service)
        if chat is not None and chat.can_edit:
            mend = replace(message.effect, cause=f"{message.effect.cause}+{shown.key.kind}")
            outbox.owe(tx, message.pipeline, [(mend, message.view)], now)

    def _put_back(self, owed: Owed, error: RetryableError) -> None:
        longest = min(_FIRST_PAUSE * 2**owed.attempts, _LONGEST_PAUSE)
        seconds = max(error.retry_after or 0.0, longest * random.uniform(0.5, 1.0))  # noqa: S311  jitter is no secret
        doubtful = error.doubtful or owed.is_doubtful
        with self.database.begin() as tx:
            outbox.mark_retry(
                tx, owed, self.owner, self.clock() + timedelta(seconds=seconds), str(error), doubtful=doubtful
            )
        log.warning("put back", effect=owed.effect.effect_id, seconds=round(seconds, 1), error=str(error))

    def _postpone(self, owed: Owed, wait: NotYet) -> None:
        with self.database.begin() as tx:
            outbox.mark_retry(tx, owed, self.owner, wait.until, wait.why, doubtful=owed.is_doubtful)

    def _park(self, owed: Owed, error: IntegrationError | TemplateError) -> None:
        doubtful = owed.is_doubtful and not isinstance(error, CannotTellError)
        with self.database.begin() as tx:
            outbox.mark_parked(tx, owed, self.owner, str(error), doubtful=doubtful)
        log.error("parked", effect=owed.effect.effect_id, error=str(error))


def _named_in(owed: Owed) -> list[ObjectKey]:
    links = getattr(owed.view, "links", {})
    return [owed.effect.target, *owed.effect.needs, *links.values()]
