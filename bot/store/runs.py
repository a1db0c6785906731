"""Judged runs, with what was said of them, and the state of their series; long, since one table is all theirs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from pydantic_core import from_json
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, tuple_, update

from bot.domain.checkpoints import MARK_EVERY, REPLAYED, Checkpoint
from bot.domain.incidents import SeriesKey
from bot.domain.judge import Finding, Outcome, SeriesState
from bot.domain.judged_run import JudgedRun
from bot.domain.ruled_state import RuledState
from bot.domain.runs import DataCard, Run, Unread
from bot.errors import in_short
from bot.runtime.log import get_logger
from bot.store.batches import in_pieces
from bot.store.codec import dump, load
from bot.store.tables import runs, series_states

_KEPT = 512  # runs
_NEWEST_FIRST = runs.c.ended_at.desc(), runs.c.run_id.desc()
_MARKED = REPLAYED + 2 * MARK_EVERY  # runs
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_SPARE = 5  # runs to take the latest from, should it be one that cannot be read

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UnreadableRun:
    """A judged run of which no more can be read."""

    run_id: str
    ended: datetime


@dataclass(frozen=True, slots=True)
class Newest:
    """The latest run of each series of a pipeline, of those that can be read."""

    of_series: Sequence[JudgedRun] = ()
    unreadable: UnreadableRun | None = None  # the newest of them all, where that is one


@dataclass(frozen=True, slots=True)
class _Findings:
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Unread:
    unread: tuple[Unread, ...]


def is_seen(tx: Connection, pipeline: str, run_id: str) -> bool:
    return tx.scalar(select(runs.c.run_id).where(*_is_run(pipeline, run_id))) is not None


def seen(tx: Connection, pipeline: str, run_ids: Iterable[str]) -> frozenset[str]:
    """Return those of *run_ids* that the pipeline has judged."""
    found: set[str] = set()
    for some in in_pieces(run_ids):
        found.update(tx.scalars(select(runs.c.run_id).where(runs.c.pipeline == pipeline, runs.c.run_id.in_(some))))
    return frozenset(found)


def record(tx: Connection, judged: JudgedRun) -> None:
    tx.execute(insert(runs).values(**_row(judged)))


def record_all(tx: Connection, judged: Sequence[JudgedRun]) -> None:
    if judged:
        tx.execute(insert(runs), [_row(each) for each in judged])


def _row(judged: JudgedRun) -> dict[str, Any]:
    return {
        "run_id": judged.run.run_id,
        "pipeline": judged.series.pipeline,
        "series": judged.series.series,
        "fire_id": judged.fire_id,
        "ended_at": judged.run.ended,
        "judged_at": judged.judged_at,
        "outcome": judged.outcome,
        "accepted": judged.accepted,
        "wants_confirmation": judged.wants_confirmation,
        "page_title": judged.page_title,
        "run": dump(judged.run),
        "card": dump(judged.card),
        "findings": dump(_Findings(judged.findings)),
        "unread": dump(_Unread(judged.unread)) if judged.unread else None,
        "plain": _plain(judged),
    }


def _plain(judged: JudgedRun) -> str | None:
    return None if judged.plain is None else dump(_Findings(judged.plain))


def find(tx: Connection, pipeline: str, run_id: str) -> JudgedRun | None:
    return next(_readable(tx.execute(select(runs).where(*_is_run(pipeline, run_id)))), None)


def find_each(tx: Connection, ids: Iterable[tuple[str, str]]) -> dict[tuple[str, str], JudgedRun]:
    """Return the runs of these pipelines and ids that are on record, in one go."""
    wanted = set(ids)
    found = {}
    for some in in_pieces(run_id for _, run_id in wanted):
        for judged in _readable(tx.execute(select(runs).where(runs.c.run_id.in_(some))).all()):
            key = judged.series.pipeline, judged.run.run_id
            if key in wanted:
                found[key] = judged
    return found


def judged_at(tx: Connection, series: SeriesKey, moment: datetime) -> JudgedRun | None:
    """Return the run of a series that was judged at this very moment, the latest where there were several."""
    query = select(runs).where(*_of(series), runs.c.judged_at == moment).order_by(*_NEWEST_FIRST).limit(_SPARE)
    return next(_readable(tx.execute(query).all()), None)


def recent(
    tx: Connection,
    series: SeriesKey,
    limit: int,
    *,
    accepted_only: bool = False,
    before: datetime | None = None,
    ahead_of: Run | None = None,
) -> Sequence[JudgedRun]:
    """Return the latest runs of a series, oldest first: that had ended *before* a moment or at it, or *ahead of* a run.

    Runs that ended at one moment are in the order of their ids.
    """
    query = select(runs).where(*_of(series))
    if accepted_only:
        query = query.where(runs.c.accepted)
    if before is not None:
        query = query.where(runs.c.ended_at <= before)
    if ahead_of is not None:
        tied = and_(runs.c.ended_at == ahead_of.ended, runs.c.run_id < ahead_of.run_id)
        query = query.where(or_(runs.c.ended_at < ahead_of.ended, tied))
    rows = tx.execute(query.order_by(*_NEWEST_FIRST).limit(limit)).all()
    return list(_readable(reversed(rows)))


def newest_values(tx: Connection, metrics: Mapping[SeriesKey, str], limit: int) -> Mapping[SeriesKey, Sequence[float]]:
    """Return what the latest runs of each series have of its metric, oldest first; NaN where one lacks it."""
    of, found = runs.alias(), {}
    for some in in_pieces(metrics):
        wanted = tuple_(runs.c.pipeline, runs.c.series).in_([(series.pipeline, series.series) for series in some])
        each = select(runs.c.pipeline, runs.c.series).where(wanted).distinct().subquery()
        ends = select(of.c.ended_at).where(of.c.pipeline == each.c.pipeline, of.c.series == each.c.series)
        first = ends.order_by(of.c.ended_at.desc()).limit(1).offset(limit - 1).scalar_subquery()  # none: it has fewer
        begins = select(each.c.pipeline, each.c.series, func.coalesce(first, _LONG_AGO).label("since")).cte()
        begins = begins.prefix_with("MATERIALIZED", dialect="postgresql")  # else it looks once more for every run
        theirs = runs.c.pipeline == begins.c.pipeline, runs.c.series == begins.c.series
        query = select(runs.c.pipeline, runs.c.series, runs.c.run).join(begins, and_(*theirs))
        rows = tx.execute(
            query.where(runs.c.ended_at >= begins.c.since).order_by(runs.c.pipeline, runs.c.series, *_NEWEST_FIRST)
        )
        for key, newest in groupby(rows, key=itemgetter(0, 1)):
            series = SeriesKey(*key)
            found[series] = [value_in(text, metrics[series]) for _, _, text in islice(newest, limit)][::-1]
    return found


def value_in(text: str, metric: str) -> float:
    """Read one metric of a run as it is stored; all the rest is not asked, and what cannot be read is NaN."""
    try:
        return float(from_json(text)[0]["metrics"][metric])
    except (ValueError, LookupError, TypeError):
        return math.nan


def comes_late(tx: Connection, series: SeriesKey, run: Run) -> bool:
    """Say whether runs that come after this one were judged already."""
    query = select(runs.c.run_id).where(*_of(series), _is_after(run)).limit(1)
    return tx.scalar(query) is not None


def after(tx: Connection, series: SeriesKey, run: Run, limit: int) -> Sequence[JudgedRun]:
    """Return the first runs of a series that come after a run, oldest first."""
    query = select(runs).where(*_of(series), _is_after(run)).order_by(runs.c.ended_at, runs.c.run_id)
    return list(_readable(tx.execute(query.limit(limit))))


def judge_anew(tx: Connection, judged: JudgedRun) -> None:
    """Store what is said of a run now that another has come before it."""
    tx.execute(
        update(runs)
        .where(*_is_run(judged.series.pipeline, judged.run.run_id))
        .values(
            outcome=judged.outcome,
            accepted=judged.accepted,
            wants_confirmation=judged.wants_confirmation,
            findings=dump(_Findings(judged.findings)),
            plain=_plain(judged),
        )
    )


def settle(tx: Connection, judged: JudgedRun) -> None:
    """Store what is said of a run now that reruns of it are over, and the page that waited for that."""
    judge_anew(tx, judged)
    mine = _is_run(judged.series.pipeline, judged.run.run_id)
    tx.execute(update(runs).where(*mine).values(page_title=judged.page_title))


def mark(tx: Connection, series: SeriesKey, run_id: str, checkpoint: Checkpoint) -> None:
    """Keep how a series stood after a run; of those before the newest it is forgotten."""
    tx.execute(update(runs).where(*_is_run(series.pipeline, run_id)).values(checkpoint=dump(checkpoint)))
    newest = select(runs.c.run_id).where(*_of(series)).order_by(*_NEWEST_FIRST).limit(_MARKED).subquery()
    old = *_of(series), runs.c.checkpoint.is_not(None), runs.c.run_id.not_in(select(newest.c.run_id))
    tx.execute(update(runs).where(*old).values(checkpoint=None))


def marked(tx: Connection, series: SeriesKey) -> Mapping[str, Checkpoint]:
    """Return the checkpoints that are kept of a series, by the runs that they follow."""
    query = select(runs.c.run_id, runs.c.checkpoint).where(*_of(series), runs.c.checkpoint.is_not(None))
    return {row.run_id: load(Checkpoint, row.checkpoint) for row in tx.execute(query)}


def doubtful(tx: Connection, series: SeriesKey) -> Sequence[str]:
    """Return the ids of bad runs that are not accepted, oldest first."""
    bad = runs.c.outcome.in_((Outcome.SUSPICIOUS, Outcome.REGRESSED))
    query = select(runs.c.run_id).where(*_of(series), bad, ~runs.c.accepted)
    return list(tx.scalars(query.order_by(runs.c.ended_at, runs.c.run_id)))


def accept(tx: Connection, pipeline: str, run_ids: Iterable[str]) -> None:
    """Let runs be baseline from now on."""
    for some in in_pieces(run_ids):
        tx.execute(update(runs).where(runs.c.pipeline == pipeline, runs.c.run_id.in_(some)).values(accepted=True))


def count_since(tx: Connection, pipeline: str, since: datetime) -> int:
    """Count the pipeline's judged runs that had ended at or after a moment."""
    mine = runs.c.pipeline == pipeline, runs.c.ended_at >= since
    return tx.scalar(select(func.count()).select_from(runs).where(*mine)) or 0


def latest_with(tx: Connection, pipeline: str, outcome: Outcome, since: datetime) -> Sequence[JudgedRun]:
    """Return the latest run of each of the pipeline's series that came out so and had ended since, oldest first."""
    place = func.row_number().over(partition_by=runs.c.series, order_by=_NEWEST_FIRST)
    mine = runs.c.pipeline == pipeline, runs.c.outcome == outcome, runs.c.ended_at >= since
    ranked = select(runs.c.run_id, place.label("place")).where(*mine).subquery()
    newest = select(ranked.c.run_id).where(ranked.c.place == 1)
    query = select(runs).where(runs.c.pipeline == pipeline, runs.c.run_id.in_(newest))
    return list(_readable(tx.execute(query.order_by(runs.c.ended_at, runs.c.run_id))))


def latest(tx: Connection, pipeline: str) -> JudgedRun | None:
    query = select(runs).where(runs.c.pipeline == pipeline).order_by(*_NEWEST_FIRST).limit(_SPARE)
    return next(_readable(tx.execute(query).all()), None)


def latest_of_each(tx: Connection, pipeline: str) -> Sequence[JudgedRun]:
    """Return the latest run of each of the pipeline's series."""
    place = func.row_number().over(partition_by=runs.c.series, order_by=_NEWEST_FIRST)
    ranked = select(runs.c.run_id, place.label("place")).where(runs.c.pipeline == pipeline).subquery()
    newest = select(ranked.c.run_id).where(ranked.c.place == 1)
    query = select(runs).where(runs.c.pipeline == pipeline, runs.c.run_id.in_(newest))
    return list(_readable(tx.execute(query.order_by(runs.c.series))))


def latest_by_pipeline(tx: Connection) -> Mapping[str, Newest]:
    """Return the latest run of each series of every pipeline of which any run is judged, in one go."""
    each = select(runs.c.pipeline, runs.c.series).distinct().subquery()
    of = runs.alias()
    newest = select(of.c.run_id).where(of.c.pipeline == each.c.pipeline, of.c.series == each.c.series)
    its_id = newest.order_by(of.c.ended_at.desc(), of.c.run_id.desc()).limit(1).scalar_subquery()
    query = select(runs).join(each, and_(runs.c.pipeline == each.c.pipeline, runs.c.run_id == its_id))
    rows = tx.execute(query.order_by(runs.c.pipeline, runs.c.series)).all()
    return {pipeline: _newest(list(some)) for pipeline, some in groupby(rows, key=lambda row: str(row.pipeline))}


def _newest(of_series: Sequence[Row[Any]]) -> Newest:
    read = list(_readable(of_series))
    last = max(of_series, key=lambda row: (row.ended_at, row.run_id))
    is_read = any(judged.run.run_id == last.run_id for judged in read)
    return Newest(read, None if is_read else UnreadableRun(last.run_id, last.ended_at))


def count(tx: Connection, pipeline: str) -> int:
    return tx.scalar(select(func.count()).select_from(runs).where(runs.c.pipeline == pipeline)) or 0


def load_state(tx: Connection, series: SeriesKey) -> SeriesState:
    query = select(series_states.c.state).where(*_is(series))
    text = tx.scalar(query)
    return SeriesState() if text is None else load(SeriesState, text)


def other_states(tx: Connection, series: SeriesKey, limit: int) -> list[SeriesState]:
    """Return the states of some other series of the same pipeline."""
    mine = series_states.c.pipeline == series.pipeline, series_states.c.series != series.series
    query = select(series_states.c.state).where(*mine).order_by(series_states.c.series).limit(limit)
    found = []
    for text in tx.scalars(query):
        try:
            found.append(load(SeriesState, text))
        except ValueError as error:  # it is that series' own trouble
            log.warning("a state cannot be read", pipeline=series.pipeline, error=in_short(error))
    return found


def load_ruled(tx: Connection, series: SeriesKey) -> RuledState | None:
    """Return how a series stands under the rules of its newest run; None where none changed what was found."""
    text = tx.scalar(select(series_states.c.ruled).where(*_is(series)))
    return None if text is None else load(RuledState, text)


def save_state(tx: Connection, series: SeriesKey, state: SeriesState, ruled: RuledState | None = None) -> None:
    """Store how a series stands, and under rules."""
    row = {"state": dump(state), "ruled": None if ruled is None else dump(ruled)}
    tx.execute(delete(series_states).where(*_is(series)))
    tx.execute(insert(series_states).values(pipeline=series.pipeline, series=series.series, **row))


def _is_after(run: Run) -> ColumnElement[bool]:
    tied = and_(runs.c.ended_at == run.ended, runs.c.run_id > run.run_id)
    return or_(runs.c.ended_at > run.ended, tied)


def _is_run(pipeline: str, run_id: str) -> tuple[Any, ...]:
    return runs.c.pipeline == pipeline, runs.c.run_id == run_id


def _of(series: SeriesKey) -> tuple[Any, ...]:
    return runs.c.pipeline == series.pipeline, runs.c.series == series.series


def _is(series: SeriesKey) -> tuple[Any, ...]:
    return series_states.c.pipeline == series.pipeline, series_states.c.series == series.series


@lru_cache(_KEPT)
def _read(run: str, card: str, findings: str) -> tuple[Run, DataCard, tuple[Finding, ...]]:
    """Read what does not change once it is written; the runs of a baseline are asked for again and again."""
    return load(Run, run), load(DataCard, card), load(_Findings, findings).findings


def _readable(rows: Iterable[Row[Any]]) -> Iterator[JudgedRun]:
    """Yield the runs that can be read; one that cannot (another version wrote it, a disk lost it) hides no other."""
    for row in rows:
        try:
            judged = _judged(row)
        except ValueError as error:  # which pydantic's errors are
            log.warning("left out, for it cannot be read", pipeline=row.pipeline, run=row.run_id, error=in_short(error))
        else:
            yield judged


def _judged(row: Row[Any]) -> JudgedRun:
    run, card, findings = _read(row.run, row.card, row.findings)
    return JudgedRun(
        run,
        SeriesKey(row.pipeline, row.series),
        card,
        findings,
        Outcome(row.outcome),
        row.accepted,
        row.wants_confirmation,
        row.judged_at,
        row.fire_id,
        row.page_title,
        load(_Unread, row.unread).unread if row.unread else (),
        load(_Findings, row.plain).findings if row.plain else None,
    )
