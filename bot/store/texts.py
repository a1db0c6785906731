"""Texts that stand in services and name objects there: what they could not show, or show no longer as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, literal_column, select, update

from bot.domain.effects import EffectKind, ObjectKey
from bot.store.outbox import EffectState, Owed, read_row
from bot.store.pieces import in_pieces
from bot.store.tables import outbox

_KEPT_TRUE = (EffectKind.UPDATE_SECTION, EffectKind.POST_DIGEST)  # beside the messages of incidents


def messages_missing(tx: Connection, made: ObjectKey, incident_id: str | None) -> Sequence[Owed]:
    """Return the incident's messages as they stand in their channels where these could not show *made* yet."""
    query = select(outbox).where(
        outbox.c.incident_id == incident_id,
        outbox.c.kind == EffectKind.TELL_CHANNEL,
        outbox.c.state == EffectState.DELIVERED,
    )
    standing = {row.lane: row for row in tx.execute(query.order_by(outbox.c.seq))}
    return [read_row(row) for row in standing.values() if str(made) in row.unbound.split("\n")]


def texts_missing(tx: Connection, made: ObjectKey) -> Sequence[Owed]:
    """Return the sections of pages, and the digests, that could not show *made* yet and still stand as they were."""
    query = select(outbox).where(
        outbox.c.kind.in_(_KEPT_TRUE),
        outbox.c.state == EffectState.DELIVERED,
        outbox.c.unbound != literal_column("''"),  # word for word what the index of these few rows says
        outbox.c.unbound.contains(str(made), autoescape=True),
    )
    latest = {row.lane: row for row in sorted(tx.execute(query), key=lambda row: row.seq)}  # few, of many
    return [read_row(row) for row in latest.values() if not _is_outdone(tx, row)]


def _is_outdone(tx: Connection, row: Row[Any]) -> bool:
    later = outbox.c.lane == row.lane, outbox.c.seq > row.seq, outbox.c.state == EffectState.DELIVERED
    return tx.execute(select(outbox.c.seq).where(*later).limit(1)).first() is not None


def unbind(tx: Connection, keys: Collection[ObjectKey]) -> None:
    """Note that texts which show these objects do not show what is so: they are mended like those that could not."""
    for row in (*_messages_about(tx, keys), *_kept_true(tx)):
        shown = [key for key in getattr(read_row(row).view, "links", {}).values() if key in keys]
        unbound = dict.fromkeys([*filter(None, row.unbound.split("\n")), *map(str, shown)])
        if shown:
            tx.execute(update(outbox).where(outbox.c.seq == row.seq).values(unbound="\n".join(unbound)))


def incident_of(tx: Connection, key: ObjectKey) -> str | None:
    """Return the incident that an object was made for."""
    made = select(outbox.c.incident_id).where(outbox.c.lane == str(key), outbox.c.incident_id.is_not(None))
    found: str | None = tx.scalar(made.limit(1))
    return found


def _messages_about(tx: Connection, keys: Collection[ObjectKey]) -> Iterator[Row[Any]]:
    """Yield the messages of incidents that these objects were made for, as they stand in their channels."""
    names = {name for key in keys if (name := incident_of(tx, key)) is not None}
    for some in in_pieces(names):
        told = outbox.c.incident_id.in_(some), outbox.c.kind == EffectKind.TELL_CHANNEL
        query = select(outbox).where(*told, outbox.c.state == EffectState.DELIVERED).order_by(outbox.c.seq)
        yield from {row.lane: row for row in tx.execute(query)}.values()


def _kept_true(tx: Connection) -> Iterator[Row[Any]]:
    """Yield the sections of pages and the digests as they stand."""
    told = outbox.c.kind.in_(_KEPT_TRUE), outbox.c.state == EffectState.DELIVERED
    latest = select(func.max(outbox.c.seq)).where(*told).group_by(outbox.c.lane)
    for some in in_pieces(tx.scalars(latest)):
        yield from tx.execute(select(outbox).where(outbox.c.seq.in_(some)))
