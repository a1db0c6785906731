"""The state in numbers, for whoever watches over Herald itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from bot.domain.fires import Standing
from bot.domain.incidents import IncidentState
from bot.store.fires import waiting
from bot.store.tables import fires, incidents, runs


def fires_by_state(tx: Connection) -> Sequence[tuple[str, str, int]]:
    """Count the fires that are on record by pipeline and state."""
    query = select(fires.c.pipeline, fires.c.state, func.count()).group_by(fires.c.pipeline, fires.c.state)
    return [(name, state, number) for name, state, number in tx.execute(query)]


@dataclass(frozen=True, slots=True)
class StandingJobs:
    """How many jobs of one executor stand in one way."""

    executor: str
    standing: Standing
    count: int


def jobs(tx: Connection) -> Sequence[StandingJobs]:
    """Count the jobs that were started and are not over by their executors, and how they stand there."""
    found = Counter(
        (fire.executor, Standing.RUNNING if fire.standing is None else fire.standing.standing)
        for fire in waiting(tx)
        if fire.executor and fire.started_at is not None
    )
    return [StandingJobs(executor, standing, number) for (executor, standing), number in sorted(found.items())]


def runs_by_outcome(tx: Connection) -> Sequence[tuple[str, str, int]]:
    """Count the judged runs that are on record by pipeline and outcome."""
    query = select(runs.c.pipeline, runs.c.outcome, func.count()).group_by(runs.c.pipeline, runs.c.outcome)
    return [(name, outcome, number) for name, outcome, number in tx.execute(query)]


def open_incidents(tx: Connection) -> Sequence[tuple[str, str, int]]:
    """Count the open incidents by pipeline and kind."""
    query = select(incidents.c.pipeline, incidents.c.kind, func.count()).where(incidents.c.state == IncidentState.OPEN)
    grouped = query.group_by(incidents.c.pipeline, incidents.c.kind)
    return [(name, kind, number) for name, kind, number in tx.execute(grouped)]
