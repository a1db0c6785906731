"""Fires in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from bot.domain.fires import Fire, FireState, mint_fire_id
from bot.store.tables import fires


def record(tx: Connection, pipeline: str, due_at: datetime, confirms: str | None = None) -> Fire:
    """Record a fire, or return the one that is recorded for this due time."""
    fire_id = mint_fire_id(pipeline, due_at, confirms)
    known = find(tx, fire_id)
    if known is not None:
        return known
    number = tx.scalar(select(func.coalesce(func.max(fires.c.number), 0)).where(fires.c.pipeline == pipeline)) or 0
    fire = Fire(fire_id, pipeline, due_at, number + 1, confirms)
    tx.execute(
        insert(fires).values(
            fire_id=fire_id, pipeline=pipeline, due_at=due_at, number=fire.number, confirms=confirms, state=fire.state
        )
    )
    return fire


def save(tx: Connection, fire: Fire) -> None:
    """Store how a fire stands."""
    tx.execute(
        update(fires)
        .where(fires.c.fire_id == fire.fire_id)
        .values(
            state=fire.state,
            started_at=fire.started_at,
            ended_at=fire.ended_at,
            run_id=fire.run_id,
            exit_code=fire.exit_code,
            timed_out=fire.timed_out,
        )
    )


def find(tx: Connection, fire_id: str) -> Fire | None:
    row = tx.execute(select(fires).where(fires.c.fire_id == fire_id)).first()
    return None if row is None else _fire(row)


def unfinished(tx: Connection, pipeline: str) -> Sequence[Fire]:
    """Return the pipeline's fires whose jobs may still live, oldest first."""
    query = select(fires).where(fires.c.pipeline == pipeline, fires.c.state == FireState.DUE).order_by(fires.c.number)
    return [_fire(row) for row in tx.execute(query)]


def latest(tx: Connection, pipeline: str) -> Fire | None:
    query = select(fires).where(fires.c.pipeline == pipeline).order_by(fires.c.number.desc()).limit(1)
    row = tx.execute(query).first()
    return None if row is None else _fire(row)


def confirmations_of(tx: Connection, run_id: str) -> int:
    """Count the confirming reruns that a suspicious run has had."""
    return tx.scalar(select(func.count()).select_from(fires).where(fires.c.confirms == run_id)) or 0


def _fire(row: Row[Any]) -> Fire:
    return Fire(
        row.fire_id,
        row.pipeline,
        row.due_at,
        row.number,
        row.confirms,
        FireState(row.state),
        row.started_at,
        row.ended_at,
        row.run_id,
        row.exit_code,
        row.timed_out,
    )
