"""Incidents in the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, or_, select

from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey
from bot.domain.objects import Marker
from bot.store.batches import in_pieces
from bot.store.codec import dump, load
from bot.store.tables import incidents

_STANDING = (IncidentState.CANDIDATE, IncidentState.OPEN)


def save(tx: Connection, incident: Incident) -> None:
    """Store an incident, new or changed."""
    tx.execute(delete(incidents).where(incidents.c.incident_id == incident.incident_id))
    tx.execute(
        insert(incidents).values(
            incident_id=incident.incident_id,
            pipeline=incident.series.pipeline,
            series=incident.series.series,
            kind=incident.kind,
            state=incident.state,
            opened_at=incident.opened_at,
            incident=dump(incident),
            closed_at=incident.closed_at,
        )
    )


def forget(tx: Connection, incident_id: str) -> None:
    """Delete an incident that turned out to be another, and of which nobody was told."""
    tx.execute(delete(incidents).where(incidents.c.incident_id == incident_id))


def resolved(tx: Connection, series: SeriesKey, limit: int) -> Sequence[Incident]:
    """Return the series' incidents that were resolved, the latest *limit*, latest first."""
    query = select(incidents.c.incident).where(
        incidents.c.pipeline == series.pipeline,
        incidents.c.series == series.series,
        incidents.c.state == IncidentState.RESOLVED,
    )
    return [load(Incident, text) for text in tx.scalars(query.order_by(incidents.c.closed_at.desc()).limit(limit))]


def lock(tx: Connection, incident_id: str) -> None:
    """Let nobody else record a delivery for the incident before this transaction ends."""
    if tx.dialect.name == "postgresql":  # SQLite took its only lock when the transaction began
        tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(incident_id, 0))))


def find(tx: Connection, incident_id: str) -> Incident | None:
    text = tx.scalar(select(incidents.c.incident).where(incidents.c.incident_id == incident_id))
    return None if text is None else load(Incident, text)


def of_marker(tx: Connection, marker: str) -> Incident | None:
    """Return the incident whose ticket carries a marker."""
    read = Marker.read(marker)
    return None if read is None else find(tx, read.incident_id)


def starting_with(tx: Connection, beginning: str) -> Sequence[Incident]:
    """Return the incidents whose ids begin so, oldest first."""
    query = select(incidents.c.incident).where(incidents.c.incident_id.startswith(beginning, autoescape=True))
    return [load(Incident, text) for text in tx.scalars(query.order_by(incidents.c.opened_at))]


def is_known(tx: Connection, incident_id: str) -> bool:
    return tx.scalar(select(incidents.c.incident_id).where(incidents.c.incident_id == incident_id)) is not None


def is_open(tx: Connection, incident_id: str) -> bool:
    query = select(incidents.c.state).where(incidents.c.incident_id == incident_id)
    return tx.scalar(query) == IncidentState.OPEN


def which_are_over(tx: Connection, incident_ids: Iterable[str]) -> frozenset[str]:
    """Return those of the incidents that are known to be over."""
    over = [state for state in IncidentState if state.is_over]
    found: set[str] = set()
    for some in in_pieces(incident_ids):
        query = select(incidents.c.incident_id).where(incidents.c.incident_id.in_(some), incidents.c.state.in_(over))
        found.update(tx.scalars(query))
    return frozenset(found)


def standing(tx: Connection, series: SeriesKey) -> Sequence[Incident]:
    """Return the series' incidents that are not over, oldest first."""
    query = select(incidents.c.incident).where(
        incidents.c.pipeline == series.pipeline,
        incidents.c.series == series.series,
        incidents.c.state.in_(_STANDING),
    )
    return [load(Incident, text) for text in tx.scalars(query.order_by(incidents.c.opened_at))]


def count_standing(tx: Connection) -> dict[str, int]:
    """Count the incidents that are not over by pipeline."""
    query = select(incidents.c.pipeline, func.count().label("number")).where(incidents.c.state.in_(_STANDING))
    return {row.pipeline: row.number for row in tx.execute(query.group_by(incidents.c.pipeline))}


def standing_of_each(tx: Connection, limit: int | None = None) -> Sequence[Incident]:
    """Return the incidents that are not over by pipeline, oldest first; of each pipeline the latest *limit*, or all."""
    query = select(incidents.c.incident).where(incidents.c.state.in_(_STANDING))
    if limit is not None:
        newest = incidents.c.opened_at.desc(), incidents.c.incident_id
        place = func.row_number().over(partition_by=incidents.c.pipeline, order_by=newest)
        ranked = select(incidents.c.incident_id, place.label("place")).where(incidents.c.state.in_(_STANDING))
        of_each = ranked.subquery()
        query = query.where(incidents.c.incident_id.in_(select(of_each.c.incident_id).where(of_each.c.place <= limit)))
    ordered = query.order_by(incidents.c.pipeline, incidents.c.opened_at, incidents.c.incident_id)
    return [load(Incident, text) for text in tx.scalars(ordered)]


def in_states(tx: Connection, *states: IncidentState) -> Sequence[Incident]:
    """Return the incidents of all pipelines in these states, oldest first."""
    query = select(incidents.c.incident).where(incidents.c.state.in_(states))
    return [load(Incident, text) for text in tx.scalars(query.order_by(incidents.c.opened_at))]


def open_of_kind(tx: Connection, kind: Kind) -> Sequence[Incident]:
    """Return the open incidents of all pipelines of one kind, oldest first."""
    query = select(incidents.c.incident).where(incidents.c.state == IncidentState.OPEN, incidents.c.kind == kind)
    return [load(Incident, text) for text in tx.scalars(query.order_by(incidents.c.opened_at))]


def closed_since(tx: Connection, state: IncidentState, since: datetime) -> Sequence[Incident]:
    """Return the incidents of all pipelines that came to be over, in that state, since a moment; oldest first."""
    query = select(incidents.c.incident).where(incidents.c.state == state, incidents.c.closed_at >= since)
    return [load(Incident, text) for text in tx.scalars(query.order_by(incidents.c.opened_at))]


def standing_since(tx: Connection, since: datetime) -> Sequence[Incident]:
    """Return the incidents of all pipelines that were not over by then, oldest first."""
    ended_since = or_(incidents.c.closed_at.is_(None), incidents.c.closed_at > since)
    query = select(incidents.c.incident).where(ended_since).order_by(incidents.c.opened_at)
    return [load(Incident, text) for text in tx.scalars(query)]


def series_of_standing(tx: Connection) -> frozenset[SeriesKey]:
    """Return the series that have incidents which are not over."""
    query = select(incidents.c.pipeline, incidents.c.series).where(incidents.c.state.in_(_STANDING)).distinct()
    return frozenset(SeriesKey(row.pipeline, row.series) for row in tx.execute(query))


def of_pipeline(tx: Connection, pipeline: str, *states: IncidentState) -> Sequence[Incident]:
    """Return the pipeline's incidents in these states, oldest first."""
    query = select(incidents.c.incident).where(incidents.c.pipeline == pipeline, incidents.c.state.in_(states))
    return [load(Incident, text) for text in tx.scalars(query.order_by(incidents.c.opened_at))]
