"""Rules in the database: the ledger of what people answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, insert, or_, select, update

from bot.domain.incidents import SeriesKey
from bot.domain.rules import Person, Rule, RuleKind
from bot.errors import in_short
from bot.runtime.log import get_logger
from bot.store.batches import in_pieces
from bot.store.codec import dump, load
from bot.store.tables import rules

log = get_logger(__name__)


def add(tx: Connection, rule: Rule) -> Rule:
    """Store a new rule, and return it with the number that it gets."""
    made = tx.execute(insert(rules).values(_row(rule)))
    number = made.inserted_primary_key
    assert number is not None
    return replace(rule, number=number[0])


def undo(tx: Connection, number: int, by: Person, now: datetime) -> Rule | None:
    """Take a rule back, and return it; None where there is none of that number, or it was taken back before."""
    query = select(rules).where(rules.c.number == number, rules.c.undone_at.is_(None)).with_for_update()
    found = _readable(tx.execute(query))
    if not found:
        return None
    undone = replace(found[0], undone_at=now, undone_by=by)
    tx.execute(update(rules).where(rules.c.number == number).values(_row(undone)))
    return undone


def find(tx: Connection, number: int) -> Rule | None:
    return next(iter(_readable(tx.execute(select(rules).where(rules.c.number == number)))), None)


def of_series(tx: Connection, series: SeriesKey) -> Sequence[Rule]:
    """Return all rules about a series, whether they hold or not, in the order of their numbers."""
    return _in_order(tx, select(rules).where(rules.c.pipeline == series.pipeline, rules.c.series == series.series))


def of_pipeline(tx: Connection, pipeline: str) -> Sequence[Rule]:
    """Return all rules about a pipeline's series, whether they hold or not, in the order of their numbers."""
    return _in_order(tx, select(rules).where(rules.c.pipeline == pipeline))


def of_incident(tx: Connection, incident_id: str) -> Sequence[Rule]:
    """Return all rules that came from an incident's ticket, in the order of their numbers."""
    return _in_order(tx, select(rules).where(rules.c.incident_id == incident_id))


def of_incidents(tx: Connection, incident_ids: Iterable[str]) -> Sequence[Rule]:
    """Return all rules that came from the tickets of some incidents, in the order of their numbers."""
    found: list[Rule] = []
    for some in in_pieces(incident_ids):
        found += _in_order(tx, select(rules).where(rules.c.incident_id.in_(some)))
    return sorted(found, key=lambda rule: rule.number)


def in_force(tx: Connection, moment: datetime, pipeline: str | None = None) -> Sequence[Rule]:
    """Return the rules that hold at a moment, of one pipeline or of all, in the order of their numbers."""
    query = select(rules).where(*_holds_at(moment))
    return _in_order(tx, query if pipeline is None else query.where(rules.c.pipeline == pipeline))


def made_since(tx: Connection, since: datetime) -> Sequence[Rule]:
    """Return the rules that were made at or after a moment, in the order of their numbers."""
    return _in_order(tx, select(rules).where(rules.c.made_at >= since))


def lapsing(tx: Connection, after: datetime, until: datetime) -> Sequence[Rule]:
    """Return the rules that lapse after one moment and by another, unless they were taken back; in that order."""
    query = select(rules).where(rules.c.until > after, rules.c.until <= until, _not_undone_before_its_end())
    return _readable(tx.execute(query.order_by(rules.c.until, rules.c.number)))


def lapsed_unseen(tx: Connection, now: datetime) -> Sequence[Rule]:
    """Return the rules that have lapsed by now of which nothing that follows is on record yet."""
    query = select(rules).where(rules.c.lapse_seen_at.is_(None), rules.c.until <= now, _not_undone_before_its_end())
    return _in_order(tx, query)


def see_lapse(tx: Connection, number: int, now: datetime) -> bool:
    """Note that what follows from a rule's end is on record; False where that was noted before."""
    mine = rules.c.number == number, rules.c.lapse_seen_at.is_(None)
    return tx.execute(update(rules).where(*mine).values(lapse_seen_at=now)).rowcount == 1


def settle_fix(tx: Connection, incident_id: str, now: datetime) -> None:
    """Note that runs have shown whether something is fixed, as somebody said: his rule has served."""
    fixed = rules.c.incident_id == incident_id, rules.c.kind == RuleKind.FIXED
    for rule in _in_order(tx, select(rules).where(*fixed, *_holds_at(now))):
        served = _row(replace(rule, until=now))
        tx.execute(update(rules).where(rules.c.number == rule.number).values(**served, lapse_seen_at=now))


def runs_named(tx: Connection) -> frozenset[str]:
    """Return the runs that rules which nobody took back name."""
    expected = select(rules).where(rules.c.kind.in_((RuleKind.EXPECTED, RuleKind.NOISE)), rules.c.undone_at.is_(None))
    named = {run for rule in _readable(tx.execute(expected)) for run in (rule.from_run, rule.to_run)}
    return frozenset(named - {""})


def count_in_force(tx: Connection, moment: datetime) -> int:
    return tx.scalar(select(func.count()).select_from(rules).where(*_holds_at(moment))) or 0


def _row(rule: Rule) -> dict[str, Any]:
    return {
        "pipeline": rule.scope.series.pipeline,
        "series": rule.scope.series.series,
        "incident_id": rule.scope.incident_id,
        "kind": rule.kind,
        "made_at": rule.made_at,
        "until": rule.until,
        "undone_at": rule.undone_at,
        "rule": dump(rule),
    }


def _holds_at(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    lasts = or_(rules.c.until.is_(None), rules.c.until > moment)
    stands = or_(rules.c.undone_at.is_(None), rules.c.undone_at > moment)
    return rules.c.made_at <= moment, lasts, stands


def _not_undone_before_its_end() -> ColumnElement[bool]:
    return or_(rules.c.undone_at.is_(None), and_(rules.c.until.is_not(None), rules.c.undone_at > rules.c.until))


def _in_order(tx: Connection, query: Select[Any]) -> list[Rule]:
    return _readable(tx.execute(query.order_by(rules.c.number)))


def _readable(rows: Iterable[Row[Any]]) -> list[Rule]:
    """Return the rules that can be read; one that cannot hides no other."""
    found = []
    for row in rows:
        try:
            found.append(replace(load(Rule, row.rule), number=row.number))
        except ValueError as error:  # which pydantic's errors are
            log.warning("a rule cannot be read", pipeline=row.pipeline, number=row.number, error=in_short(error))
    return found
