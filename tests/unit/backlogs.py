"""States that are full: thousands of incidents, tickets and owed effects, put in quickly."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, Pool, event, insert

from bot.domain.effects import CommentTicket, Effect, OpenTicket, TellChannel
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, mint_id
from bot.domain.judge import Outcome
from bot.domain.objects import Marker, ObjectKey, ObjectKind
from bot.domain.views import View
from bot.store import Database, runs
from bot.store.codec import dump
from bot.store.effect_json import dump_effect
from bot.store.owed import EffectState
from bot.store.tables import incidents, objects, outbox
from tests.unit.state_samples import NOON, comment_view, judged, message_view, run_at, ticket_view

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Each:
    """One incident of many, and what belongs to it."""

    number: int
    pipeline: str

    @property
    def opened_by(self) -> str:
        return f"run{self.number:06}"

    @property
    def incident_id(self) -> str:
        return mint_id(SeriesKey(self.pipeline), Kind.REGRESSED, self.opened_by)

    @property
    def ticket(self) -> ObjectKey:
        return ObjectKey("jira", ObjectKind.TICKET, str(Marker("test", self.incident_id)))

    @property
    def message(self) -> ObjectKey:
        return ObjectKey("slack", ObjectKind.MESSAGE, f"C1 test-{self.incident_id}")

    def incident(self, state: IncidentState) -> Incident:
        opened = NOON + self.number * MINUTE
        closed = opened + MINUTE if state.is_over else None
        made = Incident(self.incident_id, Kind.REGRESSED, SeriesKey(self.pipeline), state, self.opened_by, opened)
        return replace(made, metrics=("ndcg",), bad_runs=(self.opened_by,), closed_at=closed)

    def effects(self) -> Iterator[tuple[Effect, View | None]]:
        """Yield a ticket and a message, each naming the other's place."""
        view = replace(ticket_view(), marker=self.ticket.name)
        yield OpenTicket(self.ticket, "opened", self.incident_id), view
        told = replace(message_view(ticket=self.ticket), mark=f"test-{self.incident_id}")
        yield TellChannel(self.message, self.opened_by, self.incident_id), told

    def comment(self) -> tuple[Effect, View]:
        return CommentTicket(self.ticket, "again", self.incident_id), comment_view(self.opened_by)


def many(number: int, pipelines: int = 20) -> list[Each]:
    return [Each(each, f"search{each % pipelines:03}") for each in range(number)]


def fill(
    database: Database,
    told: list[Each],
    *,
    state: IncidentState = IncidentState.OPEN,
    have_tickets: bool = True,
    owed: bool = False,
) -> None:
    """Put in incidents with their runs; their tickets and messages are known, or owed."""
    with database.begin() as tx:
        _insert(tx, incidents, [_incident_row(each.incident(state)) for each in told])
        for each in told:
            run = run_at(each.opened_by, NOON + each.number * MINUTE, ndcg=0.6)
            runs.record(tx, judged(run, Outcome.REGRESSED, SeriesKey(each.pipeline)))
        if have_tickets:
            keys = [key for each in told for key in (each.ticket, each.message)]
            _insert(tx, objects, [_object_row(key, number) for number, key in enumerate(keys)])
        if owed:
            _insert(tx, outbox, [effect_row(each.pipeline, *pair) for each in told for pair in each.effects()])


def effect_row(pipeline: str, effect: Effect, view: View | None, **changes: Any) -> dict[str, Any]:
    return {
        "effect_id": effect.effect_id,
        "kind": effect.kind,
        "service": effect.target.service,
        "lane": effect.lane,
        "pipeline": pipeline,
        "incident_id": effect.incident_id,
        "effect": dump_effect(effect),
        "view": None if view is None else dump(view),
        "state": EffectState.PENDING,
        "not_before": NOON,
        "created_at": NOON,
        "error": None,
        "parked_for": None,
        "parked_at": None,
        **changes,
    }


def _incident_row(incident: Incident) -> dict[str, Any]:
    return {
        "incident_id": incident.incident_id,
        "pipeline": incident.series.pipeline,
        "series": incident.series.series,
        "kind": incident.kind,
        "state": incident.state,
        "opened_at": incident.opened_at,
        "incident": dump(incident),
        "closed_at": incident.closed_at,
    }


def _object_row(key: ObjectKey, number: int) -> dict[str, Any]:
    return {
        "target": str(key),
        "external_id": f"MEM-{number + 1}",
        "place": "C1" if key.kind is ObjectKind.MESSAGE else "",
        "title": f"MEM-{number + 1}",
        "url": f"https://service.example/MEM-{number + 1}",
        "created_at": NOON,
    }


def _insert(tx: Any, table: Any, rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), 500):
        tx.execute(insert(table), rows[start : start + 500])


@dataclass(slots=True)
class Work:
    """What databases were asked, and how much SQLite had to do for it: a measure that no busy machine changes."""

    texts: list[str] = field(default_factory=list)
    hundreds: int = 0  # of steps of SQLite's virtual machine

    @property
    def statements(self) -> int:
        return len(self.texts)


@contextmanager
def counted() -> Iterator[Work]:
    """Count what every database is asked meanwhile."""
    work = Work()

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        work.texts.append(statement)

    def step() -> int:
        work.hundreds += 1
        return 0

    watched: list[Any] = []

    def watch(connection: Any, *_: Any) -> None:
        if hasattr(connection, "set_progress_handler"):
            connection.set_progress_handler(step, 100)
            watched.append(connection)

    event.listen(Engine, "before_cursor_execute", hear)
    event.listen(Pool, "checkout", watch)
    try:
        yield work
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
        event.remove(Pool, "checkout", watch)
        for connection in watched:
            with suppress(sqlite3.ProgrammingError):  # closed meanwhile
                connection.set_progress_handler(None, 0)
