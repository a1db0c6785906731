"""Moments in the state that lie ahead although none should: a clock was wrong when they were stored.

What waits for such a moment would wait for weeks. Due times, which lie ahead by right, are the schedule's business, and
leases that of who may take them over.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Column, ColumnElement, Connection, Table, update

from bot.domain.backoff import Backoff
from bot.store.owed import EffectState
from bot.store.tables import contacts, fires, looks, outbox, pipelines, set_aside

LEEWAY = timedelta(minutes=5)  # of the clocks of those who share a state
LONGEST_PAUSE = timedelta(seconds=Backoff().longest) + LEEWAY  # longer than any effect is made to wait

_LONGEST_ASIDE = timedelta(days=2)

_PENDING = outbox.c.state == EffectState.PENDING
_PAST: tuple[tuple[Column[datetime], ColumnElement[bool] | None], ...] = (  # what has happened, and so is never ahead
    (pipelines.c.known_since, None),
    (pipelines.c.scheduled_since, None),
    (contacts.c.since, None),
    (contacts.c.looked_at, None),
    (looks.c.seen_at, None),
    (looks.c.failing_since, None),
    (set_aside.c.since, None),
    (fires.c.started_at, None),
    (fires.c.ended_at, None),
    (outbox.c.created_at, _PENDING),
    (outbox.c.sent_at, _PENDING),
    (outbox.c.parked_at, _PENDING),  # since when the account is refused
)


def bring_back(tx: Connection, now: datetime) -> int:
    """Take for now what would have happened later than now, and let go what waits absurdly long; count the rows."""
    late, absurd = now + LEEWAY, now + LONGEST_PAUSE
    count = 0
    for column, narrowed in _PAST:
        count += _set(tx, column, late, now, narrowed)
    count += _set(tx, contacts.c.watermark, late, None)  # how far it was read nobody knows: it is read again
    count += _set(tx, outbox.c.not_before, absurd, now, _PENDING)
    return count + _set(tx, set_aside.c.not_before, now + _LONGEST_ASIDE, now)


def _set(
    tx: Connection,
    column: Column[datetime],
    beyond: datetime,
    value: datetime | None,
    narrowed: ColumnElement[bool] | None = None,
) -> int:
    table = column.table
    assert isinstance(table, Table)
    conditions = [column > beyond] if narrowed is None else [narrowed, column > beyond]
    return tx.execute(update(table).where(*conditions).values({column: value})).rowcount
