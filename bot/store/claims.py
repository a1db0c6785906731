"""Effects that are claimed by lease, and how each claim ended."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    exists,
    func,
    or_,
    select,
    update,
)

from bot.domain.effects import CREATING
from bot.domain.objects import ObjectKey
from bot.errors import AccountError, MissingError
from bot.store.objects import lane_prefix
from bot.store.owed import HELD, EffectState, Owed, ParkedFor, read_whole
from bot.store.owners import TakeOver, free, ran_out
from bot.store.tables import outbox


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
    tx: Connection,
    owner: str,
    now: datetime,
    settled_by: datetime,
    at_work: Collection[int] = (),
    may_take_over: TakeOver = ran_out,
) -> None:
    """Free what is held by nobody any more: by others that are gone, and by this owner where it is not *at_work* on it.

    *now* is the database's. What was marked as sent stays doubtful, and waits as `owners.free` says.
    """
    held = outbox.c.owner.is_not(None), outbox.c.state == EffectState.PENDING
    for row in tx.execute(select(outbox.c.seq, outbox.c.owner, outbox.c.leased_until).where(*held)):
        is_mine = row.owner == owner
        if row.seq not in at_work if is_mine else may_take_over(row.owner, row.leased_until or now, now):
            free(tx, outbox.c.seq == row.seq, outbox.c.owner == row.owner, settled_by=settled_by)


def _leads_its_lane() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return what holds for an effect that waits for none of its lane: two look-ups in an index.

    Asked for by number, since PostgreSQL makes a walk over the whole outbox of "there is no earlier one" at times.
    """
    other = outbox.alias("other")
    first = select(func.min(other.c.seq)).where(other.c.lane == outbox.c.lane).correlate(outbox)
    pending = first.where(other.c.state == EffectState.PENDING)
    parked = first.where(other.c.state == EffectState.PARKED, other.c.kind.in_(CREATING))
    return (
        func.coalesce(pending.scalar_subquery(), outbox.c.seq) >= outbox.c.seq,
        func.coalesce(parked.scalar_subquery(), outbox.c.seq) >= outbox.c.seq,
    )


# Made once: to make them anew for each claim took a tenth of what a cycle computes.
_LEADS = _leads_its_lane()
_CLAIMABLE = (
    select(outbox.c.seq)
    .where(outbox.c.state == EffectState.PENDING, outbox.c.leased_until.is_(None), *_LEADS)
    .order_by(outbox.c.seq)
    .limit(1)
    .with_for_update(skip_locked=True)
)


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
    first = _CLAIMABLE.where(
        outbox.c.not_before <= now,
        *([outbox.c.service.not_in(closed.services)] if closed.services else []),
        *(~outbox.c.lane.startswith(f"{lane_prefix(*each)}", autoescape=True) for each in closed.channels),
        *(or_(outbox.c.service != service, outbox.c.kind != kind) for service, kind in closed.kinds),
        *([] if among is None else [among.condition]),
    )
    while (row := tx.execute(select(outbox).where(outbox.c.seq == first.scalar_subquery())).first()) is not None:
        try:
            owed = read_whole(row)
        except ValueError as error:
            _park_unreadable(tx, row.seq, now, error)
            continue
        tx.execute(update(outbox).where(outbox.c.seq == row.seq).values(owner=owner, leased_until=until))
        return owed
    return None


def next_due(tx: Connection, among: Among | None = None) -> datetime | None:
    """Return when the earliest pending effect may be tried; those that wait for something parked do not count."""
    parked = outbox.alias("parked")
    hopeless = exists().where(parked.c.lane == outbox.c.waits_for, parked.c.state == EffectState.PARKED)
    waiting = [outbox.c.state == EffectState.PENDING, *_LEADS, ~hopeless]
    waiting += [] if among is None else [among.condition]
    free = select(outbox.c.not_before).where(*waiting, outbox.c.owner.is_(None))
    leased = select(outbox.c.not_before, outbox.c.leased_until).where(*waiting, outbox.c.owner.is_not(None))
    moments = [max(row.not_before, row.leased_until or row.not_before) for row in tx.execute(leased)]
    moments += tx.scalars(free.order_by(outbox.c.not_before).limit(1))
    return min(moments, default=None)


def _park_unreadable(tx: Connection, seq: int, now: datetime, error: ValueError) -> None:
    """Set aside what another version of Herald has stored, or a hand: the others go on."""
    words = f"what is stored of it cannot be read: {str(error)[:300]}"
    values = {"state": EffectState.PARKED, "parked_for": ParkedFor.BROKEN, "parked_at": now, "error": words}
    tx.execute(update(outbox).where(outbox.c.seq == seq).values(owner=None, leased_until=None, **values))


def give_back(tx: Connection, owed: Owed, owner: str, *, unsent: bool = False) -> None:
    """Free what was not seen through; what was marked as sent stays doubtful, unless it surely was not sent."""
    values: dict[str, Any] = {"owner": None, "leased_until": None}
    if unsent:
        values |= {"sent_at": owed.sent_at, "attempts": owed.attempts}
    tx.execute(update(outbox).where(*_held(owed, owner)).values(values))


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


def mark_waiting(
    tx: Connection, owed: Owed, owner: str, not_before: datetime, why: str, *, needs: ObjectKey | None = None
) -> None:
    """Put back what was not attempted, for later or until *needs* is made."""
    values: dict[str, Any] = {"not_before": not_before, "error": why, **_FREE, **_failing(owed.failing_since)}
    values["waits_for"] = None if needs is None else str(needs)
    tx.execute(update(outbox).where(*_held(owed, owner)).values(values))


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


# What nobody has at hand, and the account's refusal is not what it waits for.
_FREE: Mapping[str, Any] = {"owner": None, "leased_until": None, "parked_for": None, "parked_at": None}


def _failing(since: datetime | None) -> Mapping[str, Any]:
    return {} if since is None else {"parked_for": ParkedFor.FAILING, "parked_at": since}


def _held(owed: Owed, owner: str) -> tuple[Any, ...]:
    return and_(outbox.c.seq == owed.seq, outbox.c.owner == owner), outbox.c.state == EffectState.PENDING
