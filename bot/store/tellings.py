"""Where people were told of incidents, by the effects that told them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from bot.store.owed import EffectState
from bot.store.tables import outbox


def of_incident(tx: Connection, incident_id: str, kinds: Collection[str]) -> Sequence[tuple[str, datetime]]:
    """Return the services that took effects of these kinds about an incident, and when each of these was owed."""
    done = outbox.c.state == EffectState.DELIVERED, outbox.c.incident_id == incident_id, outbox.c.kind.in_(kinds)
    query = select(outbox.c.service, outbox.c.created_at).where(*done).order_by(outbox.c.seq)
    return [(row.service, row.created_at) for row in tx.execute(query)]
