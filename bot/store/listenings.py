"""How far what people answer in each service was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Row, delete, insert, select

from bot.store.codec import dump, load
from bot.store.tables import listenings


@dataclass(frozen=True, slots=True)
class Listening:
    """How far the answers in one service were read."""

    service: str
    heard_until: datetime | None = None  # when the last round began that read everything there was
    visited_at: datetime | None = None  # when the tickets of open incidents were last read, changed or not
    failing_since: datetime | None = None
    said: str = ""  # why it could not be asked, in its words
    unread: Mapping[str, datetime] = field(default_factory=dict)  # places that could not be read, and since when


@dataclass(frozen=True, slots=True)
class _UnreadPlaces:
    since: Mapping[str, datetime]


def of_service(tx: Connection, service: str) -> Listening:
    row = tx.execute(select(listenings).where(listenings.c.service == service)).first()
    return Listening(service) if row is None else _read(row)


def all_of_them(tx: Connection) -> list[Listening]:
    return [_read(row) for row in tx.execute(select(listenings).order_by(listenings.c.service))]


def save(tx: Connection, listening: Listening) -> None:
    """Store how far a service was read, in the place of what stood there."""
    tx.execute(delete(listenings).where(listenings.c.service == listening.service))
    tx.execute(
        insert(listenings).values(
            service=listening.service,
            heard_until=listening.heard_until,
            visited_at=listening.visited_at,
            failing_since=listening.failing_since,
            said=listening.said,
            unread=dump(_UnreadPlaces(listening.unread)) if listening.unread else "",
        )
    )


def _read(row: Row[tuple[object, ...]]) -> Listening:
    unread = load(_UnreadPlaces, row.unread).since if row.unread else {}
    return Listening(row.service, row.heard_until, row.visited_at, row.failing_since, row.said, unread)
