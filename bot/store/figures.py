"""The state in numbers, for whoever watches over Herald itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from bot.domain.fires import FireState
from bot.domain.incidents import IncidentState
from bot.store.tables import fires, incidents, runs


def fires_by_state(tx: Connection) -> Sequence[tuple[str, str, int]]:
    """Count the fires that are on record by pipeline and state."""
    query = select(fires.c.pipeline, fires.c.state, func.count()).group_by(fires.c.pipeline, fires.c.state)
    return [(name, state, number) for name, state, number in tx.execute(query)]


def lateness(tx: Connection, now: datetime) -> dict[str, timedelta]:
    """Return by pipeline how long after its due time the latest fire started, or has been waiting since."""
    newest = select(fires.c.pipeline, func.max(fires.c.number).label("number")).where(
        ~fires.c.by_hand, fires.c.confirms.is_(None)
    )
    each = newest.group_by(fires.c.pipeline).subquery()
    query = select(fires.c.pipeline, fires.c.due_at, fires.c.started_at, fires.c.state).join(
        each, (fires.c.pipeline == each.c.pipeline) & (fires.c.number == each.c.number)
    )
    found = {}
    for row in tx.execute(query):
        until = row.started_at or (now if row.state == FireState.DUE else row.due_at)
        found[row.pipeline] = max(until - row.due_at, timedelta(0))
    return found


def runs_by_outcome(tx: Connection) -> Sequence[tuple[str, str, int]]:
    """Count the judged runs that are on record by pipeline and outcome."""
    query = select(runs.c.pipeline, runs.c.outcome, func.count()).group_by(runs.c.pipeline, runs.c.outcome)
    return [(name, outcome, number) for name, outcome, number in tx.execute(query)]


def open_incidents(tx: Connection) -> Sequence[tuple[str, str, int]]:
    """Count the open incidents by pipeline and kind."""
    query = select(incidents.c.pipeline, incidents.c.kind, func.count()).where(incidents.c.state == IncidentState.OPEN)
    grouped = query.group_by(incidents.c.pipeline, incidents.c.kind)
    return [(name, kind, number) for name, kind, number in tx.execute(grouped)]
