"""The outbox: effects owed to the outside world, and the objects that delivered ones made."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from heapq import merge
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from bot.domain.effects import (
    ASIDE,
    CREATING,
    DIGESTS,
    Effect,
    TellChannel,
)
from bot.domain.objects import Bound, ObjectKey, ObjectKind, channel_of
from bot.domain.views import (
    View,
)
from bot.errors import AccountError, MissingError
from bot.store.codec import dump, load
from bot.store.effect_json import dump_effect, effect_class, load_effect
from bot.store.owners import TakeOver, ran_out
from bot.store.pieces import AT_ONCE, in_pieces
from bot.store.tables import objects, outbox
from bot.store.upsert import insert_unless_there


class EffectState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    PARKED = "parked"  # cannot succeed as it is; a person must look
    CANCELLED = "cancelled"


class ParkedFor(StrEnum):
    """Why an effect was left to a person, or is held."""

    REFUSED = "refused"  # the service says that it never will
    BROKEN = "broken"  # it cannot be written as it is: a template does not render
    LOST = "lost"  # it may or may not have arrived, and nobody can be asked
    FAILING = "failing"  # it fails again and again, while others are taken; until it is given up, still owed
    ACCOUNT = "account"  # nobody's task but the account's: still owed, and held until the service takes us again
    MISSING = "missing"  # the same, until what config names is there again


HELD = (ParkedFor.ACCOUNT, ParkedFor.MISSING)


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
    parked_for: ParkedFor | None = None
    fields: Mapping[str, str] = field(default_factory=dict)  # what the service says of single fields
    parked_at: datetime | None = None

    @property
    def held_since(self) -> datetime | None:
        """Tell since when the service refuses our account for this, or lacks what config names."""
        is_held = self.state is EffectState.PENDING and self.parked_for in HELD
        return self.parked_at if is_held else None

    @property
    def failing_since(self) -> datetime | None:
        """Tell since when every attempt has failed on the service's side."""
        is_failing = self.state is EffectState.PENDING and self.parked_for is ParkedFor.FAILING
        return self.parked_at if is_failing else None

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


@dataclass(frozen=True, slots=True)
class Closed:
    """Where nothing is to be delivered at the moment."""

    services: Collection[str] = ()
    channels: Collection[tuple[str, str]] = ()  # of a chat: its name in config, and the channel's
    kinds: Collection[tuple[str, str]] = ()  # of effects on a service


@dataclass(frozen=True, slots=True)
class Among:
    """The effects of one incident, or those in one lane where they belong to none."""

    lane: str
    incident_id: str | None = None

    @property
    def condition(self) -> ColumnElement[bool]:
        return outbox.c.lane == self.lane if self.incident_id is None else outbox.c.incident_id == self.incident_id


def free_dropped(
    tx: Connection, owner: str, now: datetime, at_work: Collection[int] = (), may_take_over: TakeOver = ran_out
) -> None:
    """Free what is held by nobody any more: by others that are gone, and by this owner where it is not *at_work* on it.

    *now* is the database's. What was marked as sent stays doubtful.
    """
    held = outbox.c.owner.is_not(None), outbox.c.state == EffectState.PENDING
    for row in tx.execute(select(outbox.c.seq, outbox.c.owner, outbox.c.leased_until).where(*held)):
        is_mine = row.owner == owner
        if row.seq not in at_work if is_mine else may_take_over(row.owner, row.leased_until or now, now):
            this = outbox.c.seq == row.seq, outbox.c.owner == row.owner
            tx.execute(update(outbox).where(*this).values(owner=None, leased_until=None))


def claim_next(
    tx: Connection,
    owner: str,
    now: datetime,
    until: datetime,
    closed: Closed = Closed(),
    among: Among | None = None,
) -> Owed | None:
    """Lease the oldest effect that may be delivered now and that nobody holds.

    An effect waits for the earlier ones of its lane while they are owed, and behind a parked creation.
    """
    first = (
        select(outbox.c.seq)
        .where(
            outbox.c.state == EffectState.PENDING,
            outbox.c.not_before <= now,
            outbox.c.leased_until.is_(None),
            outbox.c.service.not_in(closed.services),
            *(~outbox.c.lane.startswith(f"{lane_prefix(*each)}", autoescape=True) for each in closed.channels),
            *(or_(outbox.c.service != service, outbox.c.kind != kind) for service, kind in closed.kinds),
            *_leads_its_lane(outbox),
            *([] if among is None else [among.condition]),
        )
        .order_by(outbox.c.seq)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    while (row := tx.execute(select(outbox).where(outbox.c.seq == first.scalar_subquery())).first()) is not None:
        try:
            owed = read_owed(row, _view(row), load_effect(row.effect))
        except ValueError as error:
            _park_unreadable(tx, row.seq, now, error)
            continue
        tx.execute(update(outbox).where(outbox.c.seq == row.seq).values(owner=owner, leased_until=until))
        return owed
    return None


def _park_unreadable(tx: Connection, seq: int, now: datetime, error: ValueError) -> None:
    """Set aside what another version of Herald has stored, or a hand: the others go on."""
    words = f"what is stored of it cannot be read: {str(error)[:300]}"
    values = {"state": EffectState.PARKED, "parked_for": ParkedFor.BROKEN, "parked_at": now, "error": words}
    tx.execute(update(outbox).where(outbox.c.seq == seq).values(owner=None, leased_until=None, **values))


def _leads_its_lane(effects: FromClause) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return what holds for an effect that waits for none of its lane: two look-ups in an index.

    Asked for by number, since PostgreSQL makes a walk over the whole outbox of "there is no earlier one" at times.
    """
    other = outbox.alias("other")
    first = select(func.min(other.c.seq)).where(other.c.lane == effects.c.lane).correlate(effects)
    pending = first.where(other.c.state == EffectState.PENDING)
    parked = first.where(other.c.state == EffectState.PARKED, other.c.kind.in_(CREATING))
    return (
        func.coalesce(pending.scalar_subquery(), effects.c.seq) >= effects.c.seq,
        func.coalesce(parked.scalar_subquery(), effects.c.seq) >= effects.c.seq,
    )


def give_back(tx: Connection, owed: Owed, owner: str, *, unsent: bool = False) -> None:
    """Free what was not seen through; what was marked as sent stays doubtful, unless it surely was not sent."""
    values: dict[str, Any] = {"owner": None, "leased_until": None}
    if unsent:
        values |= {"sent_at": owed.sent_at, "attempts": owed.attempts}
    tx.execute(update(outbox).where(*_held(owed, owner)).values(values))


def lane_prefix(service: str, channel: str) -> str:
    """Return what the lanes of all messages to a channel start with."""
    return f"{ObjectKey(service, ObjectKind.MESSAGE, channel)} "


# What nobody has at hand, and the account's refusal is not what it waits for.
_FREE: Mapping[str, Any] = {"owner": None, "leased_until": None, "parked_for": None, "parked_at": None}


def _failing(since: datetime | None) -> Mapping[str, Any]:
    return {} if since is None else {"parked_for": ParkedFor.FAILING, "parked_at": since}


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
            parked_for=None,
            fields=None,
        )
    )


def mark_retry(
    tx: Connection,
    owed: Owed,
    owner: str,
    not_before: datetime,
    error: str,
    *,
    doubtful: bool,
    under_way: datetime | None = None,
    failing_since: datetime | None = None,
) -> None:
    """Put the effect back for later; a request that surely changed nothing is forgotten.

    *under_way* is when a doubtful request may last have been on its way; without it, when it was sent stands.
    *failing_since* is when its attempts began to fail on the service's side.
    """
    values: dict[str, Any] = {"not_before": not_before, "error": error, **_FREE, **_failing(failing_since)}
    if not doubtful:
        values["sent_at"] = None
    elif under_way is not None:
        values["sent_at"] = under_way
    tx.execute(update(outbox).where(*_held(owed, owner)).values(values))


def mark_held(tx: Connection, owed: Owed, owner: str, now: datetime, not_before: datetime, error: AccountError) -> None:
    """Put the effect back until the service takes our account again; that it was tried does not count."""
    values: dict[str, Any] = {"not_before": not_before, "error": str(error), "attempts": owed.attempts, **_FREE}
    reason = ParkedFor.MISSING if isinstance(error, MissingError) else ParkedFor.ACCOUNT
    values |= {"parked_for": reason, "parked_at": owed.held_since or now}
    if error.doubtful:
        values["sent_at"] = now
    elif not owed.is_doubtful:
        values["sent_at"] = None
    tx.execute(update(outbox).where(*_held(owed, owner)).values(values))


def release(tx: Connection, service: str, now: datetime) -> int:
    """Let what was held for our account's sake be tried at once; return how much that is."""
    held = outbox.c.state == EffectState.PENDING, outbox.c.parked_for.in_(HELD)
    free = outbox.c.owner.is_(None)
    return tx.execute(update(outbox).where(outbox.c.service == service, *held, free).values(not_before=now)).rowcount


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


def mark_waiting(
    tx: Connection, owed: Owed, owner: str, not_before: datetime, why: str, *, needs: ObjectKey | None = None
) -> None:
    """Put back what was not attempted, for later or until *needs* is made."""
    values: dict[str, Any] = {"not_before": not_before, "error": why, **_FREE, **_failing(owed.failing_since)}
    values["waits_for"] = None if needs is None else str(needs)
    tx.execute(update(outbox).where(*_held(owed, owner)).values(values))


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


def wake(tx: Connection, made: ObjectKey, now: datetime) -> None:
    """Let what waits for an object go on, now that it was made."""
    waiting = (outbox.c.waits_for == str(made), outbox.c.state == EffectState.PENDING)
    tx.execute(update(outbox).where(*waiting).values(not_before=now, waits_for=None))


def mark_parked(
    tx: Connection,
    owed: Owed,
    owner: str,
    now: datetime,
    reason: ParkedFor,
    error: str,
    *,
    fields: Mapping[str, str] | None = None,
    doubtful: bool = False,
) -> bool:
    """Leave the effect to a person; one that stays *doubtful* is looked for before a retry sends it again.

    False where it is no longer ours, or was delivered.
    """
    values: dict[str, Any] = {"state": EffectState.PARKED, "error": error, "owner": None, "leased_until": None}
    values |= {"parked_for": reason, "parked_at": now, "fields": json.dumps(dict(fields)) if fields else None}
    if not doubtful:
        values["sent_at"] = None
    return tx.execute(update(outbox).where(*_held(owed, owner)).values(values)).rowcount == 1


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


def rows_outstanding(tx: Connection, query: Select[Any]) -> Iterator[Row[Any]]:
    """Yield the rows of what is owed or parked, oldest first, reading some of them at a time."""
    both = (_rows_in(tx, query, state) for state in (EffectState.PARKED, EffectState.PENDING))
    return merge(*both, key=lambda row: row.seq)


def _rows_in(tx: Connection, query: Select[Any], state: EffectState) -> Iterator[Row[Any]]:
    last = 0
    ordered = query.where(outbox.c.state == state).order_by(outbox.c.seq).limit(AT_ONCE)
    while rows := tx.execute(ordered.where(outbox.c.seq > last)).all():
        yield from rows
        last = rows[-1].seq


def count_left(tx: Connection, pipeline: str, since: datetime) -> int:
    """Count what a pipeline still owes, and what of it was left to a person since then."""
    parked = outbox.c.state == EffectState.PARKED, outbox.c.parked_at >= since
    left = or_(outbox.c.state == EffectState.PENDING, and_(*parked))
    return tx.scalar(select(func.count()).select_from(outbox).where(outbox.c.pipeline == pipeline, left)) or 0


def find(tx: Connection, seq: int) -> Owed | None:
    """Return the effect of that number, in whatever state."""
    row = tx.execute(select(outbox).where(outbox.c.seq == seq)).first()
    return None if row is None else read_row(row)


def parked_since(tx: Connection, since: datetime) -> Sequence[Owed]:
    """Return what was left to a person since then and still is, oldest first."""
    query = select(outbox).where(outbox.c.state == EffectState.PARKED, outbox.c.parked_at >= since)
    return [read_row(row) for row in tx.execute(query.order_by(outbox.c.seq))]


def possibly_lost(tx: Connection, since: datetime) -> Sequence[Owed]:
    """Return what nobody can say arrived, of what was given up since then: messages to webhooks."""
    return [owed for owed in parked_since(tx, since) if owed.parked_for is ParkedFor.LOST]


def next_due(tx: Connection, among: Among | None = None) -> datetime | None:
    """Return when the earliest pending effect may be tried; those that wait for something parked do not count."""
    parked = outbox.alias("parked")
    hopeless = exists().where(parked.c.lane == outbox.c.waits_for, parked.c.state == EffectState.PARKED)
    waiting = [outbox.c.state == EffectState.PENDING, *_leads_its_lane(outbox), ~hopeless]
    waiting += [] if among is None else [among.condition]
    free = select(outbox.c.not_before).where(*waiting, outbox.c.owner.is_(None))
    leased = select(outbox.c.not_before, outbox.c.leased_until).where(*waiting, outbox.c.owner.is_not(None))
    moments = [max(row.not_before, row.leased_until or row.not_before) for row in tx.execute(leased)]
    moments += tx.scalars(free.order_by(outbox.c.not_before).limit(1))
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
    found: dict[ObjectKey, KnownObject] = {}
    for some in in_pieces(wanted):
        for row in tx.execute(select(objects).where(objects.c.target.in_(some))):
            bound = Bound(row.title, row.url, row.external_id)
            found[wanted[row.target]] = KnownObject(wanted[row.target], bound, row.place, row.created_at)
    return found


def place_of(tx: Connection, target: ObjectKey) -> str | None:
    """Return the channel of a message as the service calls it, where an earlier message to it is known."""
    channel = channel_of(target)
    if channel is None:
        return None
    there = objects.c.target.startswith(lane_prefix(target.service, channel), autoescape=True), objects.c.place != ""
    place: str | None = tx.scalar(select(objects.c.place).where(*there).order_by(objects.c.created_at.desc()).limit(1))
    return place


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


def all_objects(tx: Connection) -> Sequence[KnownObject]:
    """Return everything that was made in the services, oldest first."""
    return [
        KnownObject(ObjectKey.read(row.target), Bound(row.title, row.url, row.external_id), row.place, row.created_at)
        for row in tx.execute(select(objects).order_by(objects.c.created_at))
    ]


def forget(tx: Connection, key: ObjectKey) -> None:
    """Take out an object that is no longer in its service."""
    tx.execute(delete(objects).where(objects.c.target == str(key)))


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


def _held(owed: Owed, owner: str) -> tuple[Any, ...]:
    return and_(outbox.c.seq == owed.seq, outbox.c.owner == owner), outbox.c.state == EffectState.PENDING


def read_row(row: Row[Any]) -> Owed:
    """Read a whole row of the outbox; what it shows is left out where that cannot be read."""
    try:
        return read_owed(row, _view(row))
    except ValueError:
        return read_owed(row, None)


def _view(row: Row[Any]) -> View | None:
    return None if row.view is None else load(effect_class(row.kind).traits.view, row.view)


def _effect(row: Row[Any]) -> Effect:
    """Read what is to be done; where that cannot be read, what the other columns say of it."""
    try:
        return load_effect(row.effect)
    except ValueError:
        kind = row.kind
        target = ObjectKey.read(row.lane.removesuffix(f"/{kind}"))
        return effect_class(kind)(target, row.effect_id.removeprefix(f"{kind}:{target}:"), row.incident_id)


def read_owed(row: Row[Any], view: View | None, effect: Effect | None = None) -> Owed:
    """Read a row of the outbox, with what it shows where that was read too."""
    return Owed(
        row.seq,
        effect or _effect(row),
        view,
        row.pipeline,
        EffectState(row.state),
        row.attempts,
        row.not_before,
        row.sent_at,
        row.error,
        row.created_at,
        None if row.parked_for is None else ParkedFor(row.parked_for),
        json.loads(row.fields) if row.fields else {},
        row.parked_at,
    )
