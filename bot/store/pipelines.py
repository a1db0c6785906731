"""Pipelines in the database: since when they are known, and when they are due next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from bot.store.tables import pipelines
from bot.store.upsert import insert_all_unless_there


@dataclass(frozen=True, slots=True)
class KnownPipeline:
    name: str
    known_since: datetime
    schedule: str = ""  # as it was when *next_due* was worked out; empty: none
    scheduled_since: datetime | None = None
    next_due: datetime | None = None  # the first due time that has no fire yet


def know_all(tx: Connection, names: Iterable[str], now: datetime) -> dict[str, KnownPipeline]:
    """Return what is known of these pipelines by name; those that were not known are from now on."""
    found, names = find_all(tx), list(names)
    new = [name for name in names if name not in found]
    if new:
        insert_all_unless_there(tx, pipelines, [{"name": name, "known_since": now, "schedule": ""} for name in new])
        found = find_all(tx)
    return {name: found[name] for name in names}


def know(tx: Connection, name: str, now: datetime) -> KnownPipeline:
    """Return what is known of a pipeline, which is from now on known."""
    known = find(tx, name)
    if known is not None:
        return known
    try:
        with tx.begin_nested():
            tx.execute(insert(pipelines).values(name=name, known_since=now, schedule=""))
    except IntegrityError:  # another Herald was faster
        return find(tx, name) or KnownPipeline(name, now)
    return KnownPipeline(name, now)


def find_all(tx: Connection) -> dict[str, KnownPipeline]:
    """Return all pipelines that are known, by name."""
    return {row.name: _known(row) for row in tx.execute(select(pipelines))}


def find(tx: Connection, name: str) -> KnownPipeline | None:
    row = tx.execute(select(pipelines).where(pipelines.c.name == name)).first()
    return None if row is None else _known(row)


def plan(tx: Connection, known: KnownPipeline, next_due: datetime | None) -> KnownPipeline:
    """Store when the pipeline is due next."""
    tx.execute(update(pipelines).where(pipelines.c.name == known.name).values(next_due=next_due))
    return replace(known, next_due=next_due)


def plan_all(tx: Connection, due: Mapping[str, datetime | None]) -> None:
    """Store when pipelines are due next."""
    if due:
        planned = update(pipelines).where(pipelines.c.name == bindparam("known_name"))
        rows = [{"known_name": name, "next_due": moment} for name, moment in due.items()]
        tx.execute(planned.values(next_due=bindparam("next_due")), rows)


def reschedule(
    tx: Connection, known: KnownPipeline, schedule: str, now: datetime, next_due: datetime | None
) -> KnownPipeline:
    """Store a schedule that is new, or another than before."""
    changed = replace(known, schedule=schedule, scheduled_since=now, next_due=next_due)
    tx.execute(
        update(pipelines)
        .where(pipelines.c.name == known.name)
        .values(schedule=schedule, scheduled_since=now, next_due=next_due)
    )
    return changed


def _known(row: Row[Any]) -> KnownPipeline:
    return KnownPipeline(row.name, row.known_since, row.schedule, row.scheduled_since, row.next_due)
