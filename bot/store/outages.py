"""What fails or is late, as the state shows it: services that take nothing, fires that do not start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, or_, select

from bot.domain.fires import OF_CLOCKS, FireState
from bot.domain.own_health import Outage
from bot.store.owed import EffectState, ParkedFor
from bot.store.tables import fires, outbox, pipelines


def failing_services(tx: Connection) -> Sequence[Outage]:
    """Return the services that have failed for what was owed since some moment, and have taken nothing since."""
    failing = outbox.c.state == EffectState.PENDING, outbox.c.parked_for == ParkedFor.FAILING
    query = select(
        outbox.c.service, func.min(outbox.c.parked_at).label("since"), func.max(outbox.c.error).label("said")
    )
    found = [row for row in tx.execute(query.where(*failing).group_by(outbox.c.service)) if row.since is not None]
    return [
        Outage(row.service, row.since, _waiting(tx, row.service), row.said or "")
        for row in sorted(found, key=lambda row: (row.since, row.service))
        if not _took_any(tx, row.service, row.since)
    ]


def _took_any(tx: Connection, service: str, since: datetime) -> bool:
    taken = outbox.c.state == EffectState.DELIVERED, outbox.c.service == service, outbox.c.delivered_at > since
    return tx.execute(select(outbox.c.seq).where(*taken).limit(1)).first() is not None


def _waiting(tx: Connection, service: str) -> int:
    owed = outbox.c.state == EffectState.PENDING, outbox.c.service == service
    return tx.scalar(select(func.count()).select_from(outbox).where(*owed)) or 0


def due_and_not_started(tx: Connection, now: datetime) -> Mapping[str, datetime]:
    """Return by pipeline the due time that nothing has started for, whether it is recorded or not; some are to come.

    A pipeline that is at work is late for nothing. What a wrong clock has recorded ahead is not due, and hides nothing.
    """
    is_due = or_(fires.c.due_at <= now + OF_CLOCKS, fires.c.started_at.is_not(None))
    standing = fires.c.state == FireState.DUE, is_due
    recorded = {
        row.pipeline: None if row.started_at or row.by_hand or row.confirms or row.attempt else row.due_at
        for row in tx.execute(select(fires).where(*standing).order_by(fires.c.due_at.desc()))
    }
    planned = select(pipelines.c.name, pipelines.c.next_due).where(pipelines.c.next_due.is_not(None))
    unrecorded = {row.name: row.next_due for row in tx.execute(planned) if row.name not in recorded}
    return unrecorded | {name: due for name, due in recorded.items() if due is not None}
