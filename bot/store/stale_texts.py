"""Texts that stand in services and name objects there: what they could not show, or show no longer as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, literal_column, select, update

from bot.domain.effects import KEPT_TRUE, TellChannel
from bot.domain.objects import ObjectKey
from bot.domain.views import links_of
from bot.store.batches import in_pieces
from bot.store.effect_json import load_effect
from bot.store.owed import EffectState, Owed, read_row
from bot.store.tables import outbox

_OF_NO_INCIDENT = tuple(kind for kind in KEPT_TRUE if kind != TellChannel.kind)


def messages_missing(tx: Connection, made: ObjectKey, incident_id: str | None) -> Sequence[Owed]:
    """Return the incident's messages as they stand in their channels where these could not show *made* yet."""
    query = select(outbox).where(
        outbox.c.incident_id == incident_id,
        outbox.c.kind == TellChannel.kind,
        outbox.c.state == EffectState.DELIVERED,
    )
    standing = _newest(tx.execute(query).all())
    return [read_row(row) for row in standing if str(made) in row.unbound.split("\n")]


def texts_missing(tx: Connection, made: ObjectKey) -> Sequence[Owed]:
    """Return the sections of pages, and the digests, that could not show *made* yet and still stand as they were."""
    query = select(outbox).where(
        outbox.c.kind.in_(_OF_NO_INCIDENT),
        outbox.c.state == EffectState.DELIVERED,
        outbox.c.unbound != literal_column("''"),  # word for word what the index of these few rows says
        outbox.c.unbound.contains(str(made), autoescape=True),
    )
    latest = {row.lane: row for row in sorted(tx.execute(query), key=lambda row: row.seq)}  # few, of many
    return [read_row(row) for row in latest.values() if not _is_outdone(tx, row)]


def _is_outdone(tx: Connection, row: Row[Any]) -> bool:
    """Say whether newer words stand on the object than a row's, or the same, bound anew."""
    root_id = load_effect(row.effect).root_id
    later = (load_effect(text) for text in _delivered_after(tx, row.lane, row.seq))
    return any(not effect.is_rebound or effect.root_id == root_id for effect in later)


def is_overtaken(tx: Connection, owed: Owed) -> bool:
    """Say whether newer words than these stand on the object, which were owed later and delivered before.

    What is rebound is as old as the words that it was.
    """
    root = tx.scalar(select(outbox.c.seq).where(outbox.c.effect_id == owed.effect.root_id)) or owed.seq
    return any(not load_effect(text).is_rebound for text in _delivered_after(tx, owed.effect.lane, root))


def _delivered_after(tx: Connection, lane: str, seq: int) -> Iterator[str]:
    later = outbox.c.lane == lane, outbox.c.seq > seq, outbox.c.state == EffectState.DELIVERED
    yield from tx.scalars(select(outbox.c.effect).where(*later))


def _newest(rows: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    """Return the row of each lane whose words are the newest: what is rebound is as old as the words that it was."""
    ages = {row.effect_id: row.seq for row in rows}
    roots = {row.seq: ages.get(load_effect(row.effect).root_id, row.seq) for row in rows}
    by_age = sorted(rows, key=lambda row: (roots[row.seq], row.seq))
    return list({row.lane: row for row in by_age}.values())


def unbind(tx: Connection, keys: Collection[ObjectKey]) -> None:
    """Note that texts which show these objects do not show what is so, and are bound anew like those that could not."""
    for row in (*_messages_about(tx, keys), *_kept_true(tx)):
        shown = [key for key in links_of(read_row(row).view).values() if key in keys]
        unbound = dict.fromkeys([*filter(None, row.unbound.split("\n")), *map(str, shown)])
        if shown:
            tx.execute(update(outbox).where(outbox.c.seq == row.seq).values(unbound="\n".join(unbound)))


def incidents_of(tx: Connection, keys: Iterable[ObjectKey]) -> dict[ObjectKey, str]:
    """Return the incidents that objects were made for."""
    wanted = {str(key): key for key in keys}
    found: dict[ObjectKey, str] = {}
    for some in in_pieces(wanted):
        made = outbox.c.lane.in_(some), outbox.c.incident_id.is_not(None)
        rows = tx.execute(select(outbox.c.lane, outbox.c.incident_id).where(*made).distinct())
        found.update((wanted[row.lane], row.incident_id) for row in rows)
    return found


def _messages_about(tx: Connection, keys: Collection[ObjectKey]) -> Iterator[Row[Any]]:
    """Yield the messages of incidents that these objects were made for, as they stand in their channels."""
    for some in in_pieces(set(incidents_of(tx, keys).values())):
        told = outbox.c.incident_id.in_(some), outbox.c.kind == TellChannel.kind
        query = select(outbox).where(*told, outbox.c.state == EffectState.DELIVERED)
        yield from _newest(tx.execute(query).all())


def _kept_true(tx: Connection) -> Iterator[Row[Any]]:
    """Yield the sections of pages and the digests as they stand."""
    told = outbox.c.kind.in_(_OF_NO_INCIDENT), outbox.c.state == EffectState.DELIVERED
    latest = select(func.max(outbox.c.seq)).where(*told).group_by(outbox.c.lane)
    for some in in_pieces(tx.scalars(latest)):
        yield from tx.execute(select(outbox).where(outbox.c.seq.in_(some)))
