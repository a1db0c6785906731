"""Forgets what is older than config keeps and nothing needs any more."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, func, or_, select

from bot.domain.fires import FireState
from bot.domain.incidents import Incident, IncidentState
from bot.store.codec import load
from bot.store.outbox import EffectState
from bot.store.tables import fires, incidents, objects, outbox, runs

_LATEST_RUNS = 60  # of each series: they are its history
_LATEST_ACCEPTED = 30  # of each series: they are its baseline
_LATEST_FIRES = 10  # of each pipeline: they number the next one


def forget(tx: Connection, before: datetime) -> int:
    """Delete old rows, and return how many; open incidents keep all that belongs to them, and so does what is owed."""
    standing = [
        load(Incident, row)
        for row in tx.scalars(
            select(incidents.c.incident).where(incidents.c.state.in_((IncidentState.CANDIDATE, IncidentState.OPEN)))
        )
    ]
    return sum(
        (
            _forget_runs(tx, before, {run_id for incident in standing for run_id in incident.bad_runs}),
            _forget_fires(tx, before),
            _forget_incidents(tx, before),
            _forget_effects(tx, before, {incident.incident_id for incident in standing}),
        )
    )


def _forget_runs(tx: Connection, before: datetime, needed: set[str]) -> int:
    series = (runs.c.pipeline, runs.c.series)
    place = func.row_number().over(partition_by=series, order_by=runs.c.ended_at.desc())
    baseline = func.row_number().over(partition_by=(*series, runs.c.accepted), order_by=runs.c.ended_at.desc())
    ranked = select(runs.c.run_id, runs.c.accepted, place.label("place"), baseline.label("baseline")).subquery()
    kept = select(ranked.c.run_id).where(
        or_(ranked.c.place <= _LATEST_RUNS, ranked.c.accepted & (ranked.c.baseline <= _LATEST_ACCEPTED))
    )
    old = runs.c.ended_at < before, runs.c.run_id.not_in(kept), runs.c.run_id.not_in(sorted(needed))
    return tx.execute(delete(runs).where(*old)).rowcount


def _forget_fires(tx: Connection, before: datetime) -> int:
    place = func.row_number().over(partition_by=fires.c.pipeline, order_by=fires.c.number.desc())
    ranked = select(fires.c.fire_id, place.label("place")).subquery()
    kept = select(ranked.c.fire_id).where(ranked.c.place <= _LATEST_FIRES)
    old = fires.c.due_at < before, fires.c.state != FireState.DUE, fires.c.fire_id.not_in(kept)
    return tx.execute(delete(fires).where(*old)).rowcount


def _forget_incidents(tx: Connection, before: datetime) -> int:
    over = incidents.c.state.in_((IncidentState.RESOLVED, IncidentState.DISMISSED))
    return tx.execute(delete(incidents).where(over, incidents.c.opened_at < before)).rowcount


def _forget_effects(tx: Connection, before: datetime, standing: set[str]) -> int:
    """Delete what was delivered or cancelled, and the objects that nothing owed and no open incident names."""
    done = outbox.c.state.in_((EffectState.DELIVERED, EffectState.CANCELLED))
    needed = or_(outbox.c.incident_id.is_(None), outbox.c.incident_id.not_in(sorted(standing)))
    gone = tx.execute(delete(outbox).where(done, needed, outbox.c.created_at < before)).rowcount
    if tx.scalar(select(func.count()).select_from(outbox).where(outbox.c.created_at < before, ~done)):
        return gone  # something old is still owed: it may name any object
    old = [row.target for row in tx.execute(select(objects.c.target).where(objects.c.created_at < before))]
    unneeded = [target for target in old if not any(incident_id in target for incident_id in standing)]
    tx.execute(delete(objects).where(objects.c.target.in_(unneeded)))
    return gone + len(unneeded)
