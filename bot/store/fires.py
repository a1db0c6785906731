"""Fires in the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from bot.domain.fires import Fire, FireState, JobPlace, JobStanding, mint_fire_id
from bot.domain.job_protocol import FIRE_TAG
from bot.domain.recipes import AS_CONFIGURED, Recipe
from bot.domain.rerun_troubles import RerunTrouble
from bot.domain.runs import Run
from bot.store.batches import in_pieces
from bot.store.codec import dump, load
from bot.store.tables import fires, inquiries
from bot.store.upsert import insert_all_unless_there


@dataclass(frozen=True, slots=True)
class _Measured:
    metrics: Mapping[str, float]


def record(
    tx: Connection,
    pipeline: str,
    due_at: datetime,
    confirms: str | None = None,
    *,
    by_hand: bool = False,
    attempt: int = 0,
    recipe: Recipe = AS_CONFIGURED,
) -> Fire:
    """Record a fire, or return the one that is recorded for this due time."""
    fire_id = mint_fire_id(pipeline, due_at, confirms, attempt)
    known = find(tx, fire_id)
    if known is not None:
        return known
    number = tx.scalar(select(func.coalesce(func.max(fires.c.number), 0)).where(fires.c.pipeline == pipeline)) or 0
    fire = Fire(fire_id, pipeline, due_at, number + 1, confirms, by_hand=by_hand, attempt=attempt, recipe=recipe)
    values = {
        "fire_id": fire_id,
        "pipeline": pipeline,
        "due_at": due_at,
        "number": fire.number,
        "confirms": confirms,
        "state": fire.state,
        "by_hand": by_hand,
        "attempt": attempt,
        "recipe": None if recipe == AS_CONFIGURED else dump(recipe),
    }
    try:
        with tx.begin_nested():
            tx.execute(insert(fires).values(values))
    except IntegrityError:  # another Herald was faster
        return find(tx, fire_id) or fire
    return fire


def record_all(tx: Connection, due: Mapping[str, datetime]) -> dict[str, str]:
    """Record a fire for each of these pipelines, where none is recorded for its due time: in a few statements.

    Return the ids of those that were not there, by their pipelines.
    """
    ids = {mint_fire_id(name, moment): name for name, moment in due.items()}
    known: set[str] = set()
    last: dict[str, int] = {}
    for some in in_pieces(ids):
        known.update(tx.scalars(select(fires.c.fire_id).where(fires.c.fire_id.in_(some))))
    for some in in_pieces(due):
        highest = select(fires.c.pipeline, func.max(fires.c.number)).where(fires.c.pipeline.in_(some))
        last |= {row[0]: row[1] for row in tx.execute(highest.group_by(fires.c.pipeline))}
    rows = [
        {
            "fire_id": fire_id,
            "pipeline": name,
            "due_at": due[name],
            "number": last.get(name, 0) + 1,
            "state": FireState.DUE,
            "timed_out": False,
            "by_hand": False,
            "attempt": 0,
        }
        for fire_id, name in ids.items()
        if fire_id not in known
    ]
    insert_all_unless_there(tx, fires, rows)
    return {name: fire_id for fire_id, name in ids.items() if fire_id not in known}


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
            measured=dump(_Measured(fire.measured)) if fire.measured else None,
            trouble=None if fire.trouble is None else dump(fire.trouble),
            executor=fire.executor,
            place=None if fire.place is None else dump(fire.place),
        )
    )


def note_standing(tx: Connection, fire_id: str, standing: JobStanding | None) -> None:
    """Store how the job of a fire stands on its cluster, or elsewhere; None: it is seen from here."""
    said = None if standing is None else dump(standing)
    tx.execute(update(fires).where(fires.c.fire_id == fire_id).values(standing=said))


def note_place(tx: Connection, fire_id: str, place: JobPlace) -> None:
    tx.execute(update(fires).where(fires.c.fire_id == fire_id).values(place=dump(place)))


def find(tx: Connection, fire_id: str) -> Fire | None:
    row = tx.execute(select(fires).where(fires.c.fire_id == fire_id)).first()
    return None if row is None else _fire(row)


def seed_of(tx: Connection, fire: Fire) -> int:
    """Return the seed of a fire's job: that of the first try, whose work a later one may go on with."""
    first = find(tx, mint_fire_id(fire.pipeline, fire.due_at, fire.confirms)) if fire.attempt else None
    return (first or fire).number


def unfinished(tx: Connection, pipeline: str) -> Sequence[Fire]:
    """Return the pipeline's fires whose jobs may still live, oldest first."""
    query = select(fires).where(fires.c.pipeline == pipeline, fires.c.state == FireState.DUE)
    return sorted((_fire(row) for row in tx.execute(query)), key=lambda fire: fire.number)  # few, of many


def due_by(tx: Connection, pipeline: str, now: datetime) -> Sequence[Fire]:
    """Return those of them that a wrong clock has not recorded ahead: these wait for their time."""
    return [fire for fire in unfinished(tx, pipeline) if not fire.lies_ahead(now)]


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
    """Return the latest due time of its schedule that has a fire, of those until then: a clock may have been ahead."""
    own = fires.c.pipeline == pipeline, fires.c.due_at <= until, fires.c.confirms.is_(None), fires.c.by_hand.is_(False)
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


def reruns_of(tx: Connection, pipeline: str, run_id: str) -> Sequence[Fire]:
    """Return the reruns that were asked for of a run, oldest first; of one that was tried again the last try."""
    query = select(fires).where(fires.c.confirms == run_id, fires.c.pipeline == pipeline).order_by(fires.c.number)
    return list({fire.due_at: fire for fire in map(_fire, tx.execute(query))}.values())


def asks_of_late(tx: Connection, since: datetime) -> bool:
    """Say whether anything was rerun for a diagnosis that is not over, or ended after *since*; loads no numbers."""
    of_late = or_(inquiries.c.ended_at.is_(None), inquiries.c.ended_at > since)
    return tx.scalar(select(inquiries.c.inquiry_id).where(of_late).limit(1)) is not None


def made_by_reruns(tx: Connection, found: Iterable[Run]) -> frozenset[str]:
    """Return the ids of those runs that reruns have made: they are of no series, whoever sees them."""
    tagged = {run.run_id: run.tags.get(FIRE_TAG, "") for run in found}
    known: set[str] = set()
    for some in in_pieces({*tagged, *tagged.values()}):
        mine = fires.c.confirms.is_not(None), or_(fires.c.run_id.in_(some), fires.c.fire_id.in_(some))
        for row in tx.execute(select(fires.c.run_id, fires.c.fire_id).where(*mine)):
            known |= {row.run_id, row.fire_id}
    return frozenset(run_id for run_id, fire_id in tagged.items() if run_id in known or fire_id in known)


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
        AS_CONFIGURED if row.recipe is None else load(Recipe, row.recipe),
        {} if row.measured is None else load(_Measured, row.measured).metrics,
        None if row.trouble is None else load(RerunTrouble, row.trouble),
        row.executor or "",
        None if row.standing is None else load(JobStanding, row.standing),
        None if row.place is None else load(JobPlace, row.place),
    )
