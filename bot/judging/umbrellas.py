"""What one cycle filed is put under one ticket where it is too much to read one by one; it closes when all is over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.domain.effects import CommentUmbrella, Effect, LinkTicket, OpenUmbrella
from bot.domain.objects import ObjectKey
from bot.domain.umbrellas import Filed, Umbrella, close_umbrella, gather, open_umbrella
from bot.domain.views import LinkView, TicketView, UmbrellaOverView, UmbrellaRow, UmbrellaView, VerdictView, View
from bot.judging.context import JudgingContext
from bot.runtime.log import get_logger
from bot.store import filings, incidents, outbox

_LONG_AGO = timedelta(hours=1)  # a state that was lost since may have made the same ticket: it is looked for first

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UmbrellaKeeper:
    """Opens and closes the tickets above others of one pipeline.

    All that it decides stands in one transaction with the effects owed. What was filed by a cycle that was killed, or
    told to stop, is decided on at the end of the next, together with what that files.
    """

    context: JudgingContext

    def settle(self) -> None:
        """Decide on what was filed since the last cycle's end, and close what has nothing below it any more."""
        with self.context.database.begin() as tx:
            filings.lock(tx, self.context.name)
            self._close_those_over(tx)
            self._open(tx)
            self.context.on_step("umbrella.owing")
        self.context.on_step("umbrella.owed")

    def _open(self, tx: Connection) -> None:
        context, now = self.context, self.context.clock()
        loose = filings.loose(tx, context.name)
        standing = [each for each in loose if incidents.is_open(tx, each)]
        verdicts: dict[ObjectKey, VerdictView] = {}
        tickets: dict[str, list[ObjectKey]] = {}  # in the order in which they were filed
        for owed in outbox.opened_for(tx, standing):
            if isinstance(owed.view, TicketView) and owed.effect.incident_id is not None:
                verdicts[owed.effect.target] = owed.view.verdict
                tickets.setdefault(owed.effect.incident_id, []).append(owed.effect.target)
        filed = [Filed(each, tuple(of_one)) for each, of_one in tickets.items()]
        umbrella = gather(filed, context.section.tickets.umbrella_above, context.config.instance, context.name)
        below = () if umbrella is None else [each.incident_id for each in umbrella.below]
        if umbrella is not None:
            filings.put_under(tx, below, umbrella.key)
            self._owe(tx, open_umbrella(umbrella), now, self._view(umbrella, verdicts))
            log.info("gathered", pipeline=context.name, incidents=len(below), ticket=umbrella.key.name)
        filings.forget(tx, set(loose).difference(below))

    def _close_those_over(self, tx: Connection) -> None:
        now, resolves = self.context.clock(), self.context.section.tickets.resolve
        for key, below in filings.umbrellas(tx, self.context.name).items():
            if not _any_stands(tx, below):
                self._owe(tx, close_umbrella(key, resolves=resolves), now)
                filings.forget(tx, below)

    def _owe(
        self, tx: Connection, effects: Iterable[Effect], now: datetime, umbrella: UmbrellaView | None = None
    ) -> None:
        resolves = self.context.section.tickets.resolve
        owed = [(effect, _view_of(effect, umbrella, resolves=resolves)) for effect in effects]
        outbox.owe(tx, self.context.name, owed, now, asked_before=now - _LONG_AGO)

    def _view(self, umbrella: Umbrella, verdicts: Mapping[ObjectKey, VerdictView]) -> UmbrellaView:
        config, section = self.context.config, self.context.section
        names = {f"t{number}": ticket for number, ticket in enumerate(umbrella.tickets)}
        tracker = config.tracker.get(umbrella.key.service)
        return UmbrellaView(
            pipeline=self.context.title,
            count=str(len(names)),
            rows=tuple(UmbrellaRow(verdicts[ticket], name) for name, ticket in names.items()),
            owner=section.owner,
            marker=umbrella.key.name,
            listens=tracker is not None and tracker.listens,
            resolves=section.tickets.resolve,
            links=names,
        )


def _any_stands(tx: Connection, incident_ids: Sequence[str]) -> bool:
    """Say whether any of them goes on; one that was forgotten was over for long."""
    return any(incidents.is_open(tx, each) for each in incident_ids)


def _view_of(effect: Effect, umbrella: UmbrellaView | None, *, resolves: bool) -> View | None:
    match effect:
        case OpenUmbrella():
            return umbrella
        case LinkTicket():
            linked = next(need for need in effect.needs if need != effect.target)
            return LinkView({"other": linked})
        case CommentUmbrella():
            return UmbrellaOverView(hashlib.sha256(effect.effect_id.encode()).hexdigest()[:16], resolves)
        case _:
            return None
