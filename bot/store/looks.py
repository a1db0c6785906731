"""How the looks at each pipeline's runs have gone."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from bot.domain.blindness import Look
from bot.store.tables import looks


def of_pipeline(tx: Connection, pipeline: str) -> Look:
    """Return how the looks at a pipeline have gone, and let nobody else change that until the end of *tx*."""
    row = tx.execute(select(looks).where(looks.c.pipeline == pipeline).with_for_update()).first()
    return Look(pipeline) if row is None else Look(row.pipeline, row.seen_at, row.failing_since, row.said)


def of_pipelines(tx: Connection) -> dict[str, Look]:
    """Return the looks of all pipelines that were looked at, or tried to be, by their names."""
    rows = tx.execute(select(looks)).all()
    return {row.pipeline: Look(row.pipeline, row.seen_at, row.failing_since, row.said) for row in rows}


def save(tx: Connection, look: Look) -> None:
    """Store how a look has gone, in the place of the one before."""
    tx.execute(delete(looks).where(looks.c.pipeline == look.pipeline))
    row = {"pipeline": look.pipeline, "seen_at": look.seen_at, "failing_since": look.failing_since, "said": look.said}
    tx.execute(insert(looks).values(row))
