"""What is owed, seen from afar: counted by service and reason, and a page of it at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, case, func, or_, select

from bot.domain.objects import channel_of
from bot.store.effect_json import load_effect
from bot.store.objects import lane_prefix
from bot.store.owed import HELD, EffectState, Owed, ParkedFor, read_owed, rows_outstanding
from bot.store.tables import outbox

_OUTSTANDING = (EffectState.PARKED, EffectState.PENDING)


class Why(StrEnum):
    """Why an effect is not delivered yet."""

    REFUSED = "refused"  # parked: the service says that it never will
    BROKEN = "broken"  # parked: it cannot be written as it is
    LOST = "lost"  # parked: it may or may not have arrived
    FAILING = "failing"  # parked: it failed for a day, while others were taken
    ACCOUNT = "account"  # the service refuses our account, and this waits until that is over
    MISSING = "missing"  # what config names is not there, and this waits until it is
    WAITS = "waits"  # for what another effect makes
    DOUBTFUL = "doubtful"  # a request went out whose end is not known
    FAILED = "failed"  # the last time, and is tried again
    IN_LINE = "in_line"  # it was not tried yet


_HELD = (Why.ACCOUNT, Why.MISSING)


@dataclass(frozen=True, slots=True)
class Pile:
    """The effects of one service that are not delivered for the same reason."""

    service: str
    why: Why
    count: int
    since: datetime  # the oldest of them is owed
    words: str = ""  # the service's, of one of them
    is_everybodys: bool = True  # they are the same for all

    @property
    def is_parked(self) -> bool:
        return self.why in {Why.REFUSED, Why.BROKEN, Why.LOST, Why.FAILING}


def piles(tx: Connection) -> Sequence[Pile]:
    """Count what is owed and parked by service and reason, the largest pile first."""
    why = _why()
    columns = (
        outbox.c.service,
        why,
        func.count().label("number"),
        func.min(outbox.c.created_at).label("since"),
        func.min(outbox.c.error).label("words"),
        func.count(outbox.c.error.distinct()).label("different"),
    )
    query = select(*columns).where(outbox.c.state.in_(_OUTSTANDING)).group_by(outbox.c.service, why)
    found = [
        Pile(row.service, Why(row.why), row.number, row.since, row.words or "", row.different <= 1)
        for row in tx.execute(query)
    ]
    return sorted(_with_whom_they_wait_for(found), key=lambda pile: (-pile.count, pile.service, pile.why))


def _with_whom_they_wait_for(found: Sequence[Pile]) -> Iterator[Pile]:
    """Count what stands in line for a service that takes nothing from us with what it did not take."""
    refused = {pile.service: pile for pile in found if pile.why in _HELD}
    besides = [pile for pile in found if pile.why in _HELD and refused[pile.service] is not pile]
    for pile in found:
        if pile.why is Why.IN_LINE and pile.service in refused:
            held = refused[pile.service]
            refused[pile.service] = replace(held, count=held.count + pile.count, since=min(held.since, pile.since))
    yield from (*besides, *refused.values())
    yield from (
        pile for pile in found if pile.why not in _HELD and not (pile.why is Why.IN_LINE and pile.service in refused)
    )


def _why() -> Any:
    reasons = (ParkedFor.BROKEN, ParkedFor.LOST, ParkedFor.FAILING)
    parked = [(outbox.c.parked_for == reason, Why(reason).value) for reason in reasons]
    return case(
        (outbox.c.state == EffectState.PARKED, case(*parked, else_=Why.REFUSED.value)),
        *((outbox.c.parked_for == reason, Why(reason).value) for reason in HELD),
        (outbox.c.waits_for.is_not(None), Why.WAITS.value),
        (outbox.c.sent_at.is_not(None), Why.DOUBTFUL.value),
        (outbox.c.error.is_not(None), Why.FAILED.value),
        else_=Why.IN_LINE.value,
    ).label("why")


def count(tx: Connection) -> dict[EffectState, int]:
    """Count what is pending and what is parked."""
    query = select(outbox.c.state, func.count()).where(outbox.c.state.in_(_OUTSTANDING)).group_by(outbox.c.state)
    return dict.fromkeys(_OUTSTANDING, 0) | {EffectState(state): number for state, number in tx.execute(query)}


def count_lost(tx: Connection) -> int:
    """Count what nobody can say arrived."""
    lost = outbox.c.state == EffectState.PARKED, outbox.c.parked_for == ParkedFor.LOST
    return tx.scalar(select(func.count()).select_from(outbox).where(*lost)) or 0


def page(tx: Connection, limit: int, skip: int = 0) -> Sequence[Owed]:
    """Return some of what is outstanding, what is parked first, each oldest first; what they show is left out."""
    chosen = _LISTED.where(outbox.c.state.in_(_OUTSTANDING)).order_by(outbox.c.state, outbox.c.seq)
    return [read_owed(row, None) for row in tx.execute(chosen.limit(limit).offset(skip))]


def each_listed(tx: Connection) -> Iterator[Owed]:
    """Yield all that is outstanding, oldest first, reading some of it at a time; what they show is left out."""
    return (read_owed(row, None) for row in rows_outstanding(tx, _LISTED))


_LISTED = select(*(column for column in outbox.c if column is not outbox.c.view))  # it is long, and no list shows it


@dataclass(frozen=True, slots=True)
class Refusal:
    """A service, or a channel of it, that refuses our account, or lacks what config names."""

    service: str
    channel: str | None
    since: datetime
    words: str  # what it said last, and what to do about it
    waiting: int  # effects owed there
    is_missing: bool = False  # what config names, while our account is taken


def refusals(tx: Connection) -> Sequence[Refusal]:
    """Return where our account is refused, or what config names is missing, and how much waits there."""
    is_held = outbox.c.state == EffectState.PENDING, outbox.c.parked_for.in_(HELD)
    found: dict[tuple[str, str | None], list[Row[Any]]] = {}
    for row in tx.execute(select(outbox).where(*is_held).order_by(outbox.c.not_before)):
        target = load_effect(row.effect).target
        found.setdefault((target.service, channel_of(target)), []).append(row)
    return [
        Refusal(
            service,
            channel,
            min(row.parked_at for row in rows),
            rows[-1].error,
            _waiting(tx, service, channel),
            is_missing=rows[-1].parked_for == ParkedFor.MISSING,
        )
        for (service, channel), rows in sorted(found.items(), key=lambda pair: tuple(map(str, pair[0])))
    ]


def _waiting(tx: Connection, service: str, channel: str | None) -> int:
    owed = outbox.c.state == EffectState.PENDING, outbox.c.service == service
    where = [] if channel is None else [outbox.c.lane.startswith(lane_prefix(service, channel), autoescape=True)]
    return tx.scalar(select(func.count()).select_from(outbox).where(*owed, *where)) or 0


def count_left(tx: Connection, pipeline: str, since: datetime) -> int:
    """Count what a pipeline still owes, and what of it was left to a person since then."""
    parked = outbox.c.state == EffectState.PARKED, outbox.c.parked_at >= since
    left = or_(outbox.c.state == EffectState.PENDING, and_(*parked))
    return tx.scalar(select(func.count()).select_from(outbox).where(outbox.c.pipeline == pipeline, left)) or 0
