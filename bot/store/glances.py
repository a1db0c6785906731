"""Many pipelines' runs at a glance: what a page of all of them needs, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from bot.domain.incidents import SeriesKey
from bot.domain.judge.findings import Outcome
from bot.store.runs import value_in
from bot.store.tables import runs


@dataclass(frozen=True, slots=True)
class Extent:
    """How many runs a pipeline has, and when the last of them ended: what is read of them holds while this does."""

    count: int = 0
    last: datetime | None = None


def extents(tx: Connection, pipeline: str | None = None) -> dict[str, Extent]:
    """Return the extent of every pipeline that has runs, or of that one alone."""
    query = select(runs.c.pipeline, func.count().label("number"), func.max(runs.c.ended_at).label("last"))
    if pipeline is not None:
        query = query.where(runs.c.pipeline == pipeline)
    return {row.pipeline: Extent(row.number, row.last) for row in tx.execute(query.group_by(runs.c.pipeline))}


def newest_points(tx: Connection, series: SeriesKey, metric: str, limit: int) -> list[tuple[float, Outcome]]:
    """Return what the latest runs of a series have of a metric and how they came out, oldest first."""
    mine = runs.c.pipeline == series.pipeline, runs.c.series == series.series
    query = select(runs.c.run, runs.c.outcome).where(*mine).order_by(runs.c.ended_at.desc(), runs.c.run_id.desc())
    return [(value_in(row.run, metric), Outcome(row.outcome)) for row in tx.execute(query.limit(limit))][::-1]
