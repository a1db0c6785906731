"""The outbox: effects owed to the outside world, and the objects that delivered ones made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, insert, or_, select, update

from bot.domain.effects import CREATING, Effect, EffectKind, ObjectKey
from bot.store.codec import dump, load
from bot.store.tables import objects, outbox
from bot.store.upsert import insert_unless_there
from bot.views import (
    Bound,
    ChartView,
    CommentView,
    LabelsView,
    LinkView,
    MessageView,
    PipelinePageView,
    RunPageView,
    TicketView,
    View,
)


class EffectState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    PARKED = "parked"  # cannot succeed as it is; a person must look
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Owed:
    """An effect with what it shows and how its delivery stands."""

    seq: int
    effect: Effect
    view: View | None
    pipeline: str
    state: EffectState
    attempts: int
    not_before: datetime
    sent_at: datetime | None
    error: str | None
    created_at: datetime

    @property
    def is_doubtful(self) -> bool:
        """Say whether a request went out whose end is not known."""
        return self.state is EffectState.PENDING and self.sent_at is not None


@dataclass(frozen=True, slots=True)
class KnownObject:
    """An object in a service that an effect made."""

    key: ObjectKey
    bound: Bound
    place: str
    created_at: datetime


def owe(tx: Connection, pipeline: str, effects: Iterable[tuple[Effect, View | None]], now: datetime) -> None:
    """Store effects; one that is owed already is left as it stands."""
    for effect, view in effects:
        insert_unless_there(
            tx,
            outbox,
            effect_id=effect.effect_id,
            kind=effect.kind,
            service=effect.target.service,
            lane=effect.lane,
            pipeline=pipeline,
            incident_id=effect.incident_id,
            effect=dump(effect),
            view=None if view is None else dump(view),
            state=EffectState.PENDING,
            not_before=now,
            created_at=now,
        )


def claim_next(tx: Connection, owner: str, now: datetime, until: datetime) -> Owed | None:
    """Lease the oldest effect that may be delivered now.

    An effect waits for the earlier ones of its lane while they are owed, and behind a parked creation.
    """
    earlier = outbox.alias("earlier")
    blocked = exists().where(
        earlier.c.lane == outbox.c.lane,
        earlier.c.seq < outbox.c.seq,
        or_(
            earlier.c.state == EffectState.PENDING,
            and_(earlier.c.state == EffectState.PARKED, earlier.c.kind.in_(CREATING)),
        ),
    )
    query = (
        select(outbox)
        .where(
            outbox.c.state == EffectState.PENDING,
            outbox.c.not_before <= now,
            or_(outbox.c.leased_until.is_(None), outbox.c.leased_until < now),
            ~blocked,
        )
        .order_by(outbox.c.seq)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = tx.execute(query).first()
    if row is None:
        return None
    tx.execute(update(outbox).where(outbox.c.seq == row.seq).values(owner=owner, leased_until=until))
    return _owed(row)


def mark_sent(tx: Connection, owed: Owed, owner: str, now: datetime) -> bool:
    """Record that a request is about to go out; False where the lease was lost to somebody else."""
    result = tx.execute(update(outbox).where(*_held(owed, owner)).values(sent_at=now, attempts=owed.attempts + 1))
    return result.rowcount == 1


def mark_delivered(tx: Connection, owed: Owed, now: datetime, unbound: Iterable[ObjectKey] = ()) -> None:
    """Record that the effect stands; *unbound* names the objects it could not show yet."""
    tx.execute(
        update(outbox)
        .where(outbox.c.seq == owed.seq)
        .values(
            state=EffectState.DELIVERED,
            delivered_at=now,
            unbound="\n".join(str(key) for key in unbound),
            owner=None,
            leased_until=None,
            error=None,
        )
    )


def mark_retry(tx: Connection, owed: Owed, owner: str, not_before: datetime, error: str, *, doubtful: bool) -> None:
    """Put the effect back for later; a request that surely changed nothing is forgotten."""
    values: dict[str, Any] = {"not_before": not_before, "error": error, "owner": None, "leased_until": None}
    if not doubtful:
        values["sent_at"] = None
    tx.execute(update(outbox).where(*_held(owed, owner)).values(values))


def mark_parked(tx: Connection, owed: Owed, owner: str, error: str, *, doubtful: bool = False) -> None:
    """Leave the effect to a person; one that stays *doubtful* is looked for before a retry sends it again."""
    values: dict[str, Any] = {"state": EffectState.PARKED, "error": error, "owner": None, "leased_until": None}
    if not doubtful:
        values["sent_at"] = None
    tx.execute(update(outbox).where(*_held(owed, owner)).values(values))


def set_state(tx: Connection, seq: int, state: EffectState, now: datetime) -> bool:
    """Cancel an effect or put it back in the queue at a person's word; False where it was delivered already."""
    result = tx.execute(
        update(outbox)
        .where(outbox.c.seq == seq, outbox.c.state != EffectState.DELIVERED)
        .values(state=state, not_before=now, owner=None, leased_until=None)
    )
    return result.rowcount == 1


def outstanding(tx: Connection) -> Sequence[Owed]:
    """Return what is owed or parked, oldest first."""
    query = select(outbox).where(outbox.c.state.in_((EffectState.PENDING, EffectState.PARKED)))
    return [_owed(row) for row in tx.execute(query.order_by(outbox.c.seq))]


def next_due(tx: Connection) -> datetime | None:
    """Return when the earliest pending effect may be tried; those that wait for something parked do not count."""
    columns = (
        outbox.c.lane,
        outbox.c.kind,
        outbox.c.state,
        outbox.c.effect,
        outbox.c.not_before,
        outbox.c.leased_until,
    )
    query = select(*columns).where(outbox.c.state.in_((EffectState.PENDING, EffectState.PARKED)))
    blocked: set[str] = set()  # lanes
    never: set[ObjectKey] = set()  # what parked effects may have been to create
    moments: list[datetime] = []
    for row in tx.execute(query.order_by(outbox.c.seq)):
        effect = load(Effect, row.effect)
        if row.state == EffectState.PARKED:
            if row.kind in CREATING:
                blocked.add(row.lane)
            never.add(effect.target)
            continue
        if row.lane not in blocked and never.isdisjoint(effect.needs):
            moments.append(max(row.not_before, row.leased_until or row.not_before))
        blocked.add(row.lane)
    return min(moments, default=None)


def know(tx: Connection, known: KnownObject) -> None:
    """Record an object that was made, or made anew."""
    values = {
        "external_id": known.bound.external_id,
        "place": known.place,
        "title": known.bound.title,
        "url": known.bound.url,
        "created_at": known.created_at,
    }
    target = str(known.key)
    if tx.execute(update(objects).where(objects.c.target == target).values(values)).rowcount == 0:
        tx.execute(insert(objects).values(target=target, **values))


def known_objects(tx: Connection, keys: Iterable[ObjectKey]) -> Mapping[ObjectKey, KnownObject]:
    """Return those of *keys* that exist in their services."""
    wanted = {str(key): key for key in keys}
    rows = tx.execute(select(objects).where(objects.c.target.in_(wanted)))
    return {
        wanted[row.target]: KnownObject(
            wanted[row.target], Bound(row.title, row.url, row.external_id), row.place, row.created_at
        )
        for row in rows
    }


def all_objects(tx: Connection) -> Sequence[KnownObject]:
    """Return everything that was made in the services, oldest first."""
    return [
        KnownObject(ObjectKey.read(row.target), Bound(row.title, row.url, row.external_id), row.place, row.created_at)
        for row in tx.execute(select(objects).order_by(objects.c.created_at))
    ]


def messages_missing(tx: Connection, made: ObjectKey, incident_id: str | None) -> Sequence[Owed]:
    """Return the incident's messages as they stand in their channels where these could not show *made* yet."""
    query = select(outbox).where(
        outbox.c.incident_id == incident_id,
        outbox.c.kind == EffectKind.TELL_CHANNEL,
        outbox.c.state == EffectState.DELIVERED,
    )
    standing = {row.lane: row for row in tx.execute(query.order_by(outbox.c.seq))}
    return [_owed(row) for row in standing.values() if str(made) in row.unbound.split("\n")]


def _held(owed: Owed, owner: str) -> tuple[Any, ...]:
    return and_(outbox.c.seq == owed.seq, outbox.c.owner == owner), outbox.c.state == EffectState.PENDING


_VIEWS: dict[EffectKind, type[View]] = {
    EffectKind.OPEN_TICKET: TicketView,
    EffectKind.COMMENT_TICKET: CommentView,
    EffectKind.LINK_TICKET: LinkView,
    EffectKind.ATTACH_TO_TICKET: ChartView,
    EffectKind.ATTACH_TO_PAGE: ChartView,
    EffectKind.PUBLISH_PAGE: RunPageView,
    EffectKind.LABEL_PAGE: LabelsView,
    EffectKind.UPDATE_SECTION: PipelinePageView,
    EffectKind.TELL_CHANNEL: MessageView,
}


def _owed(row: Row[Any]) -> Owed:
    effect = load(Effect, row.effect)
    return Owed(
        row.seq,
        effect,
        None if row.view is None else load(_VIEWS[effect.kind], row.view),
        row.pipeline,
        EffectState(row.state),
        row.attempts,
        row.not_before,
        row.sent_at,
        row.error,
        row.created_at,
    )
