"""What a search sees: of everything written a dated copy, so that a lagging search answers from an older one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, Connection, Float, Index, Integer, MetaData, String, Table, select

metadata = MetaData()

# What search sees: each write adds a dated copy, so that a lagging search answers from an older one.
indexed = Table(
    "indexed",
    metadata,
    Column("n", Integer, primary_key=True),
    Column("service", String, nullable=False),
    Column("object", String, nullable=False),
    Column("at", Float, nullable=False),  # seconds since the epoch
    Column("document", JSON),  # null: deleted
    Index("indexed_object", "service", "object", "at"),
)

INDEX_COPIES_KEPT = 30  # per object; more than any test writes within one lag


def index_document(db: Connection, service: str, key: str, at: float, document: dict[str, Any] | None) -> None:
    """Show *document* to searches once their lag has passed (None: it is gone)."""
    db.execute(indexed.insert().values(service=service, object=key, at=at, document=document))
    mine = (indexed.c.service == service) & (indexed.c.object == key)
    kept = select(indexed.c.n).where(mine).order_by(indexed.c.n.desc()).limit(INDEX_COPIES_KEPT)
    db.execute(indexed.delete().where(mine & indexed.c.n.not_in(kept)))


def visible_documents(db: Connection, service: str, until: float) -> dict[str, dict[str, Any]]:
    """Return each object's latest copy that is not younger than *until*."""
    rows = db.execute(
        select(indexed.c.object, indexed.c.document)
        .where((indexed.c.service == service) & (indexed.c.at <= until))
        .order_by(indexed.c.n)
    )
    latest = {row.object: row.document for row in rows}
    return {key: document for key, document in latest.items() if document is not None}
