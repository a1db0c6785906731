"""What one of the Heralds that share a state does for all of them: the one that leads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from bot.app import Herald
from bot.config.digests import digests_of
from bot.config.models import Config
from bot.errors import HeraldError, LeaseLostError
from bot.pipeline.scheduling import LastLook, record_due
from bot.reports.digest_owing import owe_due_digest
from bot.runtime.log import describe, get_logger
from bot.serve.background import Errand
from bot.serve.leading import Leading
from bot.serve.shutdown import Orders
from bot.store import future_effects, retention, serving
from bot.store.owners import agreed_time

_BETWEEN_LISTENINGS = timedelta(seconds=30)  # for silence, at least
_LISTENING_TO_ONE = timedelta(milliseconds=150)  # of that for each pipeline: of a thousand it takes a second and a half
_BETWEEN_LOOKS = timedelta(seconds=20)  # whether a digest is due
_BETWEEN_SETTINGS = timedelta(minutes=1)
_BEFORE_CLEARING = timedelta(minutes=10)  # after the start: a clock that was wrong then is found out by now
_BETWEEN_CLEARINGS = timedelta(days=1)

log = get_logger(__name__)


class Sender(Protocol):
    """Starts an errand beside the loop, unless it is under way or it is too early for it."""

    def __call__(self, errand: Errand, work: Callable[[], None], now: datetime, *, pause: timedelta) -> None: ...


@dataclass(slots=True)
class Duties:
    """Schedules, answers, silence, digests, and what is old: done once, whichever Herald leads."""

    leading: Leading
    orders: Orders
    hurry: Callable[[], None]  # the delivery of what an answer calls for
    hearing: Errand = field(default_factory=lambda: Errand("reading answers"))
    listening: Errand = field(default_factory=lambda: Errand("listening for silence"))
    digesting: Errand = field(default_factory=lambda: Errand("digest"))
    forgetting: Errand = field(default_factory=lambda: Errand("forgetting what is old"))
    setting: Errand = field(default_factory=lambda: Errand("setting right what a clock left"))
    noting: Errand = field(default_factory=lambda: Errand("noting the configuration"))
    looked: LastLook = field(default_factory=LastLook)
    unscheduled: dict[str, str] = field(default_factory=dict)  # pipelines whose due times cannot be told, and why
    digested: tuple[Config, Mapping[str, str]] | None = None  # of a thousand pipelines that takes a tenth of a second

    @property
    def errands(self) -> Iterator[Errand]:
        yield from (self.hearing, self.listening, self.digesting, self.forgetting, self.setting, self.noting)

    def begin(self, now: datetime) -> None:
        self.forgetting.rest(now, _BEFORE_CLEARING)
        self.leading.begin()

    def record(self, herald: Herald, now: datetime) -> None:
        """Record what is due: whichever Herald has room starts it."""
        if self.leading.epoch is None:
            self.unscheduled, self.looked = {}, LastLook()
        elif self.looked.is_quiet(herald.config, now):
            return
        self.leading.lead(lambda: self._record(herald, now))

    def attend(self, herald: Herald, now: datetime, send: Sender) -> None:
        """Do once what is done again and again; each Herald notes for the others with what it is at work."""
        send(self.noting, partial(self._note, herald), now, pause=serving.NOTED_EVERY)
        if self.leading.epoch is None:
            return

        def for_all(errand: Errand, work: Callable[[Herald], None], pause: timedelta) -> None:
            send(errand, partial(self.leading.lead, partial(work, herald)), now, pause=pause)

        for_all(self.setting, self._set_right, _BETWEEN_SETTINGS)
        for_all(self.digesting, self._owe_digest, _BETWEEN_LOOKS)
        for_all(self.forgetting, self._forget, _BETWEEN_CLEARINGS)
        for_all(self.listening, self._listen, max(_BETWEEN_LISTENINGS, len(herald.config.pipeline) * _LISTENING_TO_ONE))
        if herald.listeners.all_of_them:
            for_all(self.hearing, self._hear, herald.listeners.every)

    def _note(self, herald: Herald) -> None:
        if self.digested is None or self.digested[0] is not herald.config:
            self.digested = (herald.config, digests_of(herald.config))
        owner = herald.dispatcher.owner
        with herald.database.begin() as tx:
            serving.note(tx, owner.name, self.digested[1], owner.clock(tx))

    def _record(self, herald: Herald, now: datetime) -> None:
        with herald.database.begin() as tx:
            agreed = agreed_time(tx, now, herald.around.lease_clock)
            self.looked.ahead = agreed - now
            self.unscheduled = record_due(tx, herald.config, agreed, self.looked)
            herald.around.on_step("round.recording")
        herald.around.on_step("round.recorded")

    def _owe_digest(self, herald: Herald) -> None:
        with herald.database.begin() as tx:
            now = _agreed(herald, tx)
        owe_due_digest(herald, now)

    def _listen(self, herald: Herald) -> None:
        """Look for pipelines of which no run comes; one that cannot be looked at leaves the others alone."""
        failed: list[str] = []
        for name in herald.config.pipeline:
            if self.orders.stop:
                break
            try:
                herald.cycle(name).listen()
            except LeaseLostError:
                raise
            except HeraldError as error:
                failed.append(f"{name}: {error}")
            except Exception as error:
                failed.append(f"{name}: {describe(error)}")
                log.exception("broke", what=f"listening for silence of {name}")
        if failed:
            raise HeraldError(f"{len(failed)} pipelines could not be looked at, such as {failed[0]}")

    def _hear(self, herald: Herald) -> None:
        """Read what people answered; a service that cannot be asked is no trouble of Herald's own."""
        report = herald.triage.run()
        for service, words in report.troubles.items():
            log.warning("answers not read", service=service, error=words)
        self.hurry()
        self.orders.wake()

    def _set_right(self, herald: Herald) -> None:
        """Bring back what a wrong clock has left ahead, by this Herald or another."""
        with herald.database.begin() as tx:
            count = future_effects.bring_back(tx, _agreed(herald, tx))
        if count:
            log.warning("brought back from ahead of the clock", rows=count, always=True)

    def _forget(self, herald: Herald) -> None:
        config = herald.config
        overlaps = {name: pipeline.watch.overlap for name, pipeline in config.pipeline.items()}
        with herald.database.begin(takes_long=True) as tx:
            gone = retention.forget(tx, herald.around.clock() - config.store.keep, overlaps)
        log.info("forgot what is old", rows=gone)


def _agreed(herald: Herald, tx: Connection) -> datetime:
    return agreed_time(tx, herald.around.clock(), herald.around.lease_clock)
