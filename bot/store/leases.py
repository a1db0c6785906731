"""Leases: who may work on something now, until when."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_, select, update

from bot.store.tables import leases
from bot.store.upsert import insert_unless_there


def take(tx: Connection, name: str, owner: str, now: datetime, length: timedelta) -> bool:
    """Take or renew a lease; False where somebody else holds it."""
    until = now + length
    if insert_unless_there(tx, leases, name=name, owner=owner, until=until):
        return True
    free = or_(leases.c.owner == owner, leases.c.until <= now)
    return tx.execute(update(leases).where(leases.c.name == name, free).values(owner=owner, until=until)).rowcount == 1


def give_back(tx: Connection, name: str, owner: str) -> None:
    tx.execute(delete(leases).where(leases.c.name == name, leases.c.owner == owner))


def held_by_others(tx: Connection, prefix: str, owner: str, now: datetime) -> frozenset[str]:
    """Return what others hold, of the leases whose names begin with *prefix*, without it."""
    held = leases.c.name.startswith(prefix, autoescape=True), leases.c.owner != owner, leases.c.until > now
    return frozenset(name.removeprefix(prefix) for name in tx.scalars(select(leases.c.name).where(*held)))
