"""Fires in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from bot.domain.fires import Fire, FireState, mint_fire_id
from bot.store.tables import fires


def record(
    tx: Connection,
    pipeline: str,
    due_at: datetime,
    confirms: str | None = None,
    *,
    by_hand: bool = False,
    attempt: int = 0,
) -> Fire:
    """Record a fire, or return the one that is recorded for this due time."""
    fire_id = mint_fire_id(pipeline, due_at, confirms, attempt)
    known = find(tx, fire_id)
    if known is not None:
        return known
    number = tx.scalar(select(func.coalesce(func.max(fires.c.number), 0)).where(fires.c.pipeline == pipeline)) or 0
    fire = Fire(fire_id, pipeline, due_at, number + 1, confirms, by_hand=by_hand, attempt=attempt)
    values = {
        "fire_id": fire_id,
        "pipeline": pipeline,
        "due_at": due_at,
        "number": fire.number,
        "confirms": confirms,
        "state": fire.state,
        "by_hand": by_hand,
        "attempt": attempt,
    }
    try:
        with tx.begin_nested():
            tx.execute(insert(fires).values(values))
    except IntegrityError:  # another Herald was faster
        return find(tx, fire_id) or fire
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
    query = select(fires).where(fires.c.pipeline == pipeline, fires.c.state == FireState.DUE)
    return sorted((_fire(row) for row in tx.execute(query)), key=lambda fire: fire.number)  # few, of many


def waiting(tx: Connection) -> Sequence[Fire]:
    """Return the fires of all pipelines that are not over: those whose jobs may live first, then by due time."""
    query = select(fires).where(fires.c.state == FireState.DUE)
    rows = tx.execute(query.order_by(fires.c.started_at.is_(None), fires.c.due_at, fires.c.number))
    return [_fire(row) for row in rows]


def of_pipeline(tx: Connection, pipeline: str) -> Sequence[Fire]:
    """Return the pipeline's fires, oldest first."""
    query = select(fires).where(fires.c.pipeline == pipeline).order_by(fires.c.number)
    return [_fire(row) for row in tx.execute(query)]


def last_due(tx: Connection, pipeline: str, until: datetime) -> datetime | None:
    """Return the latest due time of the pipeline that has a fire, of those until then: a clock may have been ahead."""
    own = fires.c.pipeline == pipeline, fires.c.due_at <= until
    latest: datetime | None = tx.scalar(select(func.max(fires.c.due_at)).where(*own))
    return latest


def latest_success(tx: Connection, pipeline: str, since: datetime) -> Fire | None:
    """Return the fire whose job ended well last, if that was after *since*; confirming reruns do not count."""
    query = select(fires).where(
        fires.c.pipeline == pipeline,
        fires.c.state == FireState.ENDED,
        fires.c.confirms.is_(None),
        fires.c.ended_at > since,
    )
    row = tx.execute(query.order_by(fires.c.ended_at.desc()).limit(1)).first()
    return None if row is None else _fire(row)


def confirmations_of(tx: Connection, run_id: str) -> int:
    """Count the confirming reruns that a suspicious run has had; one that was lost and tried again counts once."""
    mine = (fires.c.confirms == run_id, fires.c.attempt == 0)
    return tx.scalar(select(func.count()).select_from(fires).where(*mine)) or 0


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
        row.by_hand,
        row.attempt,
    )
