"""Forgets what is older than config keeps and nothing needs any more."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, ScalarSelect, Table, and_, delete, func, or_, select

from bot.domain.effects import DIGESTS, SECTIONS, PublishArchive
from bot.domain.fires import FireState
from bot.domain.incidents import Incident, IncidentState
from bot.domain.objects import ObjectKey, ObjectKind
from bot.domain.views import links_of
from bot.store import snapshots
from bot.store.batches import AT_ONCE, in_pieces
from bot.store.codec import load
from bot.store.filings import umbrellas
from bot.store.outbox import each_outstanding, last_digest
from bot.store.owed import EffectState
from bot.store.rules import runs_named
from bot.store.tables import (
    confirmations,
    contacts,
    fires,
    heard,
    incidents,
    inquiries,
    objects,
    outbox,
    rules,
    runs,
    set_aside,
)

_LATEST_RUNS = 60  # of each series: they are its history
_LATEST_ACCEPTED = 30  # of each series: they are its baseline
_LATEST_FIRES = 10  # of each pipeline and kind: they number the next one, and say what another one was followed by
_OVERLAP = timedelta(days=1)  # of a pipeline that config no longer has
_CLOCK_SKEW = timedelta(days=1)  # a run that ended so much later than Herald looked may have been seen


def forget(tx: Connection, before: datetime, overlaps: Mapping[str, timedelta]) -> int:
    """Delete old rows, and return how many.

    Kept are incidents that are open or were until lately, with all that belongs to them; what is owed, with all that it
    names; what the next verdict leans on; and every run that a pipeline's next look, which goes back by its overlap,
    could meet again and would take for news.
    """
    gone = _forget_incidents(tx, before)
    lively = frozenset(tx.scalars(select(incidents.c.incident_id)))
    gone += _forget_runs(tx, before, overlaps) + _forget_fires(tx, before) + _forget_confirmations(tx, before)
    gone += tx.execute(delete(set_aside).where(set_aside.c.since < before)).rowcount
    gone += _forget_rules(tx, before)
    gone += tx.execute(delete(inquiries).where(inquiries.c.asked_at < before, _is_of_none(inquiries))).rowcount
    gone += snapshots.forget(tx, before)
    gone += _forget_effects(tx, before) + _forget_objects(tx, before, lively)
    return gone + _forget_heard(tx, before)


def _is_of_none(table: Table) -> ColumnElement[bool]:
    """Say that the incident which a row is about is forgotten."""
    return table.c.incident_id.not_in(select(incidents.c.incident_id))


def _forget_rules(tx: Connection, before: datetime) -> int:
    """Delete rules that ended long ago with their incident, but for the latest, which numbers the next one."""
    ended = func.coalesce(rules.c.undone_at, rules.c.until)
    seen = or_(rules.c.undone_at.is_not(None), rules.c.lapse_seen_at.is_not(None))
    needed = or_(rules.c.incident_id.in_(select(incidents.c.incident_id)), rules.c.number == _latest_rule())
    return tx.execute(delete(rules).where(ended < before, seen, ~needed)).rowcount


def _latest_rule() -> ScalarSelect[Any]:
    return select(func.max(rules.c.number)).scalar_subquery()


def _forget_heard(tx: Connection, before: datetime) -> int:
    """Delete what was heard long ago in tickets and threads that nobody reads any more: it is never met again."""
    ticket = objects.c.external_id == heard.c.place
    message = objects.c.place + " " + objects.c.external_id == heard.c.place
    is_read = select(objects.c.target).where(or_(ticket, message)).exists()
    return tx.execute(delete(heard).where(heard.c.at < before, ~is_read)).rowcount


def _forget_incidents(tx: Connection, before: datetime) -> int:
    over = [state for state in IncidentState if state.is_over]
    ended = func.coalesce(incidents.c.closed_at, incidents.c.opened_at)
    return tx.execute(delete(incidents).where(incidents.c.state.in_(over), ended < before)).rowcount


def _runs_of_incidents(tx: Connection) -> set[str]:
    """Return the runs that opened incidents, or that these gathered, and those at which an expected level begins."""
    needed: set[str] = set()
    for texts in tx.scalars(select(incidents.c.incident)).partitions(AT_ONCE):
        for incident in (load(Incident, text) for text in texts):
            needed.update((incident.opened_by, *incident.bad_runs))
    return needed | runs_named(tx)


def _forget_runs(tx: Connection, before: datetime, overlaps: Mapping[str, timedelta]) -> int:
    series = (runs.c.pipeline, runs.c.series)
    place = func.row_number().over(partition_by=series, order_by=runs.c.ended_at.desc())
    baseline = func.row_number().over(partition_by=(*series, runs.c.accepted), order_by=runs.c.ended_at.desc())
    ranked = select(runs.c.run_id, runs.c.accepted, place.label("place"), baseline.label("baseline")).subquery()
    kept = select(ranked.c.run_id).where(
        or_(ranked.c.place <= _LATEST_RUNS, ranked.c.accepted & (ranked.c.baseline <= _LATEST_ACCEPTED))
    )
    old = runs.c.ended_at < before, runs.c.run_id.not_in(kept)
    met_again = [~window for window in _met_again(tx, before, overlaps)]
    unneeded = tx.execute(select(runs.c.pipeline, runs.c.run_id).where(*old, *met_again)).all()
    needed = _runs_of_incidents(tx) if unneeded else set()
    of_each: dict[str, list[str]] = {}
    for row in unneeded:
        if row.run_id not in needed:
            of_each.setdefault(row.pipeline, []).append(row.run_id)
    return sum(_delete(tx, runs.c.run_id, ids, runs.c.pipeline == name) for name, ids in of_each.items())


def _met_again(tx: Connection, before: datetime, overlaps: Mapping[str, timedelta]) -> Iterator[ColumnElement[bool]]:
    """Yield the old runs that are known to be no news by their rows alone."""
    for contact in tx.execute(select(contacts)):
        of_pipeline = runs.c.pipeline == contact.pipeline
        if not contact.past_read and contact.looked_at >= before:
            yield of_pipeline  # the past is being read
        mark = contact.watermark or contact.since
        begin = mark - overlaps.get(contact.pipeline, _OVERLAP)
        if begin < before:  # it was not looked at for long, or looks far back
            yield and_(of_pipeline, runs.c.ended_at.between(begin, mark + _CLOCK_SKEW))


def _forget_fires(tx: Connection, before: datetime) -> int:
    """Delete old fires but for the latest; what is due by the clock is told apart from confirmations and from hands."""
    kinds = (fires.c.pipeline, fires.c.by_hand, fires.c.confirms.is_(None))
    places = [
        func.row_number().over(partition_by=kind, order_by=fires.c.number.desc()).label(name)
        for name, kind in {"place": (fires.c.pipeline,), "of_kind": kinds}.items()
    ]
    ranked = select(fires.c.fire_id, *places).subquery()
    kept = select(ranked.c.fire_id).where(or_(ranked.c.place <= _LATEST_FIRES, ranked.c.of_kind <= _LATEST_FIRES))
    old = fires.c.due_at < before, fires.c.state != FireState.DUE, fires.c.fire_id.not_in(kept)
    return tx.execute(delete(fires).where(*old)).rowcount


def _forget_confirmations(tx: Connection, before: datetime) -> int:
    """Delete what reruns came to of runs that are forgotten."""
    is_known = select(runs.c.run_id).where(
        runs.c.pipeline == confirmations.c.pipeline, runs.c.run_id == confirmations.c.run_id
    )
    return tx.execute(delete(confirmations).where(confirmations.c.settled_at < before, ~is_known.exists())).rowcount


def _forget_effects(tx: Connection, before: datetime) -> int:
    """Delete what was delivered or cancelled, but for the latest digest and what says which pages are kept true."""
    done = outbox.c.state.in_((EffectState.DELIVERED, EffectState.CANCELLED))
    needed = or_(outbox.c.incident_id.is_(None), outbox.c.incident_id.not_in(select(incidents.c.incident_id)))
    latest = select(func.max(outbox.c.seq)).where(outbox.c.kind.in_(SECTIONS)).group_by(outbox.c.lane)
    unneeded = [outbox.c.kind != PublishArchive.kind, outbox.c.seq.not_in(latest)]
    if (digest := last_digest(tx)) is not None:
        unneeded.append(or_(outbox.c.kind.not_in(DIGESTS), outbox.c.created_at < digest))
    old = select(outbox.c.seq).where(done, needed, outbox.c.created_at < before, *unneeded)
    return _delete(tx, outbox.c.seq, list(tx.scalars(old)))


def _forget_objects(tx: Connection, before: datetime, lively: Collection[str]) -> int:
    """Delete what no open incident, no run, nothing owed and no page that is kept up to date names any more."""
    old = list(tx.scalars(select(objects.c.target).where(objects.c.created_at < before)))
    if not old:
        return 0
    named = {str(key) for key in _named(tx)}
    titles = set(tx.scalars(select(runs.c.page_title).where(runs.c.page_title.is_not(None))))

    def is_needed(target: str) -> bool:
        key = ObjectKey.read(target)
        is_page_of_run = key.kind is ObjectKind.PAGE and key.name in titles
        return target in named or is_page_of_run or not _name_parts(key.name).isdisjoint(lively)

    return _delete(tx, objects.c.target, [target for target in old if not is_needed(target)])


def _name_parts(name: str) -> frozenset[str]:
    """Return what markers and messages are named after, incidents among it."""
    return frozenset(re.split(r"[- ]", name))


def _named(tx: Connection) -> Iterator[ObjectKey]:
    """Yield the objects that what is owed names, tickets above others, and the pages that are kept up to date."""
    for owed in each_outstanding(tx):
        yield owed.effect.target
        yield from owed.effect.needs
        yield from links_of(owed.view).values()
    yield from umbrellas(tx)
    pages = (*SECTIONS, PublishArchive.kind)  # each in the lane of its page
    yield from map(ObjectKey.read, tx.scalars(select(outbox.c.lane).where(outbox.c.kind.in_(pages)).distinct()))


def _delete(tx: Connection, column: Column[Any], values: Iterable[Any], *conditions: ColumnElement[bool]) -> int:
    """Delete the rows of these values, and return how many there were."""
    pieces = (delete(column.table).where(column.in_(some), *conditions) for some in in_pieces(values))
    return sum(tx.execute(each).rowcount for each in pieces)
