"""Incidents in the database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, insert, select

from bot.domain.incidents import Incident, IncidentState, SeriesKey
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
        )
    )


def lock(tx: Connection, incident_id: str) -> None:
    """Let nobody else record a delivery for the incident before this transaction ends."""
    if tx.dialect.name == "postgresql":  # SQLite took its only lock when the transaction began
        tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(incident_id, 0))))


def is_known(tx: Connection, incident_id: str) -> bool:
    return tx.scalar(select(incidents.c.incident_id).where(incidents.c.incident_id == incident_id)) is not None


def is_open(tx: Connection, incident_id: str) -> bool:
    query = select(incidents.c.state).where(incidents.c.incident_id == incident_id)
    return tx.scalar(query) == IncidentState.OPEN


def standing(tx: Connection, series: SeriesKey) -> Sequence[Incident]:
    """Return the series' incidents that are not over, oldest first."""
    query = select(incidents.c.incident).where(
        incidents.c.pipeline == series.pipeline,
        incidents.c.series == series.series,
        incidents.c.state.in_(_STANDING),
    )
    return [load(Incident, text) for text in tx.scalars(query.order_by(incidents.c.opened_at))]


def of_pipeline(tx: Connection, pipeline: str, *states: IncidentState) -> Sequence[Incident]:
    """Return the pipeline's incidents in these states, oldest first."""
    query = select(incidents.c.incident).where(incidents.c.pipeline == pipeline, incidents.c.state.in_(states))
    return [load(Incident, text) for text in tx.scalars(query.order_by(incidents.c.opened_at))]
