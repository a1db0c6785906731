"""Which incidents were filed since the end of the pipeline's last cycle, and which lie under one ticket with others.

A row is written with its incident, and goes when a cycle ends without a ticket above it, or when all under that ticket
is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, func, select, update

from bot.domain.incidents import Incident
from bot.domain.objects import ObjectKey
from bot.store.batches import in_pieces
from bot.store.tables import filings
from bot.store.upsert import insert_unless_there


def note(tx: Connection, incident: Incident) -> None:
    """Take note that an incident was filed."""
    insert_unless_there(tx, filings, incident_id=incident.incident_id, pipeline=incident.series.pipeline)


def lock(tx: Connection, pipeline: str) -> None:
    """Let nobody else decide on the pipeline's filings before this transaction ends."""
    if tx.dialect.name == "postgresql":  # SQLite took its only lock when the transaction began
        tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"filings of {pipeline}", 0))))


def loose(tx: Connection, pipeline: str) -> Sequence[str]:
    """Return the incidents filed since the last cycle's end."""
    query = select(filings.c.incident_id).where(filings.c.pipeline == pipeline, filings.c.umbrella.is_(None))
    return list(tx.scalars(query))


def put_under(tx: Connection, incident_ids: Iterable[str], umbrella: ObjectKey) -> None:
    """Take note of the ticket that lies above these incidents'."""
    for some in in_pieces(incident_ids):
        tx.execute(update(filings).where(filings.c.incident_id.in_(some)).values(umbrella=str(umbrella)))


def forget(tx: Connection, incident_ids: Iterable[str]) -> None:
    """Drop filings that nothing has to be decided on any more."""
    for some in in_pieces(incident_ids):
        tx.execute(delete(filings).where(filings.c.incident_id.in_(some)))


def umbrellas(tx: Connection, pipeline: str | None = None) -> dict[ObjectKey, list[str]]:
    """Return the tickets that lie above others and are not over, of one pipeline or all, with the incidents below."""
    query = select(filings.c.umbrella, filings.c.incident_id).where(filings.c.umbrella.is_not(None))
    if pipeline is not None:
        query = query.where(filings.c.pipeline == pipeline)
    found: dict[ObjectKey, list[str]] = {}
    for row in tx.execute(query.order_by(filings.c.incident_id)):
        found.setdefault(ObjectKey.read(row.umbrella), []).append(row.incident_id)
    return found
