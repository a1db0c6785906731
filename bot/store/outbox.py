"""The outbox: effects owed to the outside world, until they are delivered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    and_,
    func,
    or_,
    select,
    update,
)

from bot.domain.effects import (
    ASIDE,
    CREATING,
    DIGESTS,
    Effect,
    OpenTicket,
    ReopenTicket,
    ResolveTicket,
    TellChannel,
    UpdateSection,
)
from bot.domain.objects import ObjectKey
from bot.domain.views import View
from bot.store.batches import in_pieces
from bot.store.codec import dump
from bot.store.effect_json import dump_effect, load_effect
from bot.store.objects import known_objects
from bot.store.owed import EffectState, Owed, ParkedFor, read_row, rows_outstanding
from bot.store.tables import outbox
from bot.store.upsert import insert_unless_there


def owe(
    tx: Connection,
    pipeline: str,
    effects: Iterable[tuple[Effect, View | None]],
    now: datetime,
    *,
    asked_before: datetime | None = None,
) -> None:
    """Store effects; one that is owed already is left as it stands.

    With *asked_before* a state that was lost may have made tickets and pages until then: they are looked for first.
    """
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
            effect=dump_effect(effect),
            view=None if view is None else dump(view),
            state=EffectState.PENDING,
            not_before=now,
            created_at=now,
            sent_at=asked_before if effect.traits.creates else None,
        )


def opened_for(tx: Connection, incident_ids: Iterable[str]) -> Sequence[Owed]:
    """Return what opens, or has opened, the tickets of these incidents, in the order in which it was owed."""
    rows: list[Row[Any]] = []
    for some in in_pieces(incident_ids):
        query = select(outbox).where(outbox.c.incident_id.in_(some), outbox.c.kind == OpenTicket.kind)
        rows += tx.execute(query.where(outbox.c.state != EffectState.CANCELLED))
    return [read_row(row) for row in sorted(rows, key=lambda row: row.seq)]


def about(tx: Connection, incident_id: str, pipeline: str) -> Sequence[Owed]:
    """Return all that an incident has called for and nobody cancelled, and its pipeline's page as of last; by age."""
    of_it = outbox.c.incident_id == incident_id, outbox.c.state != EffectState.CANCELLED
    pages = select(func.max(outbox.c.seq)).where(outbox.c.pipeline == pipeline, outbox.c.kind == UpdateSection.kind)
    query = select(outbox).where(or_(and_(*of_it), outbox.c.seq == pages.scalar_subquery()))
    return [read_row(row) for row in tx.execute(query.order_by(outbox.c.seq))]


def coming(tx: Connection, keys: Iterable[ObjectKey]) -> frozenset[ObjectKey]:
    """Return those objects whose making is owed and has not failed yet."""
    wanted = {str(key): key for key in keys}
    untried = or_(outbox.c.attempts == 0, and_(outbox.c.attempts == 1, outbox.c.owner.is_not(None)))
    owed = outbox.c.kind.in_(CREATING), outbox.c.state == EffectState.PENDING, outbox.c.lane.in_(wanted), untried
    return (
        frozenset(wanted[row.lane] for row in tx.execute(select(outbox.c.lane).where(*owed))) if wanted else frozenset()
    )


def is_owed(tx: Connection, key: ObjectKey) -> bool:
    """Say whether something is owed on an object that may yet make it."""
    owed = outbox.c.lane == str(key), outbox.c.state.in_((EffectState.PENDING, EffectState.PARKED))
    return tx.execute(select(outbox.c.seq).where(*owed).limit(1)).first() is not None


def is_moving(tx: Connection, key: ObjectKey) -> bool:
    """Say whether a ticket is about to be closed or opened again by us."""
    owed = outbox.c.lane == str(key), outbox.c.state == EffectState.PENDING
    moves = outbox.c.kind.in_((ResolveTicket.kind, ReopenTicket.kind))
    return tx.execute(select(outbox.c.seq).where(*owed, moves).limit(1)).first() is not None


def wake(tx: Connection, made: ObjectKey, now: datetime) -> None:
    """Let what waits for an object go on, now that it was made."""
    waiting = (outbox.c.waits_for == str(made), outbox.c.state == EffectState.PENDING)
    tx.execute(update(outbox).where(*waiting).values(not_before=now, waits_for=None))


def takes_others(tx: Connection, owed: Owed, since: datetime) -> bool:
    """Say whether the service has taken other effects since then."""
    others = outbox.c.service == owed.effect.target.service, outbox.c.seq != owed.seq
    taken = outbox.c.state == EffectState.DELIVERED, outbox.c.delivered_at >= since
    return tx.execute(select(outbox.c.seq).where(*others, *taken).limit(1)).first() is not None


def set_state(tx: Connection, seq: int, state: EffectState, now: datetime) -> bool:
    """Cancel an effect or put it back in the queue at a person's word; False where it was delivered already."""
    result = tx.execute(
        update(outbox)
        .where(outbox.c.seq == seq, outbox.c.state != EffectState.DELIVERED)
        .values(state=state, not_before=now, owner=None, leased_until=None)
    )
    if state is EffectState.PENDING:  # who fails has a day anew
        was_failing = outbox.c.seq == seq, outbox.c.parked_for == ParkedFor.FAILING
        tx.execute(update(outbox).where(*was_failing).values(parked_for=None, parked_at=None))
    return result.rowcount == 1


def retry_all(tx: Connection, now: datetime) -> Sequence[int]:
    """Put all that is parked back in the queue at a person's word; return the numbers."""
    numbers = list(tx.scalars(select(outbox.c.seq).where(outbox.c.state == EffectState.PARKED).order_by(outbox.c.seq)))
    for number in numbers:
        set_state(tx, number, EffectState.PENDING, now)
    return numbers


def outstanding(tx: Connection) -> Sequence[Owed]:
    """Return what is owed or parked, oldest first."""
    return list(each_outstanding(tx))


def each_outstanding(tx: Connection) -> Iterator[Owed]:
    """Yield what is owed or parked, oldest first, reading some of it at a time."""
    return map(read_row, rows_outstanding(tx, select(outbox)))


def find(tx: Connection, seq: int) -> Owed | None:
    """Return the effect of that number, in whatever state."""
    row = tx.execute(select(outbox).where(outbox.c.seq == seq)).first()
    return None if row is None else read_row(row)


def asked_in_doubt(tx: Connection, owed: Owed) -> datetime | None:
    """Return when a message was first asked for by an earlier effect that is parked, its end not known."""
    if not isinstance(owed.effect, TellChannel):
        return None
    earlier = outbox.c.lane == owed.effect.lane, outbox.c.seq < owed.seq, outbox.c.kind == TellChannel.kind
    parked = outbox.c.state == EffectState.PARKED, outbox.c.sent_at.is_not(None)
    found: datetime | None = tx.scalar(select(func.min(outbox.c.sent_at)).where(*earlier, *parked))
    return found


def last_digest(tx: Connection, until: datetime | None = None) -> datetime | None:
    """Return when the latest digest was owed, of those *until* then: a clock may have been ahead."""
    owed = select(func.min(outbox.c.created_at).label("first")).where(outbox.c.kind.in_(DIGESTS))
    each = owed.group_by(outbox.c.lane).subquery()  # one that is rebound is owed again
    latest = select(func.max(each.c.first))
    moment: datetime | None = tx.scalar(latest if until is None else latest.where(each.c.first <= until))
    return moment


def owe_anew(tx: Connection, key: ObjectKey, now: datetime, *, lanes: Collection[str] | None = None) -> None:
    """Let everything that an object had, or still lacks, be delivered again, but for what nothing makes any more.

    With *lanes* only what stands in these.
    """
    again = (
        outbox.c.lane.in_(lanes_of(key) if lanes is None else lanes),
        outbox.c.state.in_((EffectState.DELIVERED, EffectState.PARKED)),
    )
    effects = {
        row.seq: load_effect(row.effect) for row in tx.execute(select(outbox.c.seq, outbox.c.effect).where(*again))
    }
    needed = {need for effect in effects.values() for need in effect.needs if need != key}
    there = {key, *known_objects(tx, needed), *coming(tx, needed)}
    chosen = [seq for seq, effect in effects.items() if there.issuperset(effect.needs)]
    values: dict[str, Any] = {"state": EffectState.PENDING, "not_before": now, "sent_at": None, "attempts": 0}
    values |= dict.fromkeys(("error", "fields", "parked_for", "parked_at", "waits_for", "delivered_at"))
    for some in in_pieces(chosen):
        tx.execute(update(outbox).where(outbox.c.seq.in_(some)).values(values))


def cancel_all(tx: Connection, key: ObjectKey) -> None:
    """Drop what is owed on an object that is no more."""
    target = outbox.c.lane.in_(lanes_of(key))
    owed = outbox.c.state.in_((EffectState.PENDING, EffectState.PARKED))
    free = or_(outbox.c.leased_until.is_(None), outbox.c.owner.is_(None))
    tx.execute(update(outbox).where(target, owed, free).values(state=EffectState.CANCELLED))


def lanes_of(key: ObjectKey) -> list[str]:
    """Return the lanes of all effects on an object."""
    return [str(key), *(f"{key}/{kind}" for kind in ASIDE)]


def is_followed(tx: Connection, owed: Owed) -> bool:
    """Say whether something later is owed in the lane of an effect."""
    query = select(outbox.c.seq).where(
        outbox.c.lane == owed.effect.lane, outbox.c.seq > owed.seq, outbox.c.state == EffectState.PENDING
    )
    return tx.execute(query.limit(1)).first() is not None
