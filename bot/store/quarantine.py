"""Runs that are set aside: they broke whatever looked at them, or wait for artifacts that cannot be had just now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from bot.store.batches import in_pieces
from bot.store.tables import set_aside


@dataclass(frozen=True, slots=True)
class SetAside:
    """One run, and how often it was tried."""

    pipeline: str
    run_id: str  # or the fire's, where a job left no run
    name: str
    why: str  # of the last try
    ended_at: datetime
    since: datetime
    tries: int
    version: str  # of the Herald that tried last
    not_before: datetime | None = None  # of the next try; None: not by this version
    fire_id: str | None = None
    was_past: bool = False  # it had ended before first contact
    log_tail: str = ""  # of a failed job
    waits: bool = False  # for its artifacts: it is judged in its turn, and holds up those behind it

    def is_due(self, now: datetime, version: str) -> bool:
        return self.version != version or (self.not_before is not None and self.not_before <= now)


def of_pipeline(tx: Connection, pipeline: str) -> Sequence[SetAside]:
    """Return what is set aside, the oldest run first; what only waits is not."""
    query = select(set_aside).where(set_aside.c.pipeline == pipeline, ~set_aside.c.waits)
    return [_read(row) for row in tx.execute(query.order_by(set_aside.c.ended_at, set_aside.c.run_id))]


def of_each(tx: Connection) -> Mapping[str, Sequence[SetAside]]:
    """Return the same by pipeline."""
    query = select(set_aside).where(~set_aside.c.waits)
    rows = map(_read, tx.execute(query.order_by(set_aside.c.pipeline, set_aside.c.ended_at, set_aside.c.run_id)))
    return {name: list(some) for name, some in groupby(rows, key=lambda each: each.pipeline)}


def find(tx: Connection, pipeline: str, run_id: str) -> SetAside | None:
    row = tx.execute(select(set_aside).where(*_is(pipeline, run_id))).first()
    return None if row is None else _read(row)


def among(tx: Connection, pipeline: str, run_ids: Iterable[str]) -> frozenset[str]:
    """Return those of *run_ids* that are set aside."""
    wanted, found = list(run_ids), set[str]()
    for piece in in_pieces(wanted):
        some = set_aside.c.run_id.in_(piece)
        query = select(set_aside.c.run_id).where(set_aside.c.pipeline == pipeline, ~set_aside.c.waits, some)
        found.update(tx.scalars(query))
    return frozenset(found)


def last_end(tx: Connection, pipeline: str) -> datetime | None:
    """Return when the latest run that is set aside had ended."""
    newest: datetime | None = tx.scalar(
        select(func.max(set_aside.c.ended_at)).where(set_aside.c.pipeline == pipeline, ~set_aside.c.waits)
    )
    return newest


def save(tx: Connection, aside: SetAside) -> None:
    """Store that a run is set aside, or how its next try went."""
    drop(tx, aside.pipeline, aside.run_id)
    tx.execute(
        insert(set_aside).values(
            pipeline=aside.pipeline,
            run_id=aside.run_id,
            name=aside.name,
            why=aside.why,
            fire_id=aside.fire_id,
            ended_at=aside.ended_at,
            was_past=aside.was_past,
            log_tail=aside.log_tail,
            since=aside.since,
            tries=aside.tries,
            not_before=aside.not_before,
            version=aside.version,
            waits=aside.waits,
        )
    )


def drop(tx: Connection, pipeline: str, run_id: str) -> None:
    """Forget that a run was set aside: it is judged, or gone."""
    tx.execute(delete(set_aside).where(*_is(pipeline, run_id)))


def _is(pipeline: str, run_id: str) -> tuple[Any, ...]:
    return set_aside.c.pipeline == pipeline, set_aside.c.run_id == run_id


def _read(row: Row[Any]) -> SetAside:
    return SetAside(
        pipeline=row.pipeline,
        run_id=row.run_id,
        name=row.name,
        why=row.why,
        ended_at=row.ended_at,
        since=row.since,
        tries=row.tries,
        version=row.version,
        not_before=row.not_before,
        fire_id=row.fire_id,
        was_past=row.was_past,
        log_tail=row.log_tail,
        waits=row.waits,
    )
