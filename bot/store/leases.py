"""Leases: who may work on something now, until when."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from bot.store.tables import leases


def take(tx: Connection, name: str, owner: str, now: datetime, length: timedelta) -> bool:
    """Take or renew a lease; False where somebody else holds it."""
    held = tx.execute(select(leases).where(leases.c.name == name).with_for_update()).first()
    until = now + length
    if held is None:
        tx.execute(insert(leases).values(name=name, owner=owner, until=until))
        return True
    if held.owner != owner and held.until > now:
        return False
    tx.execute(update(leases).where(leases.c.name == name).values(owner=owner, until=until))
    return True


def give_back(tx: Connection, name: str, owner: str) -> None:
    tx.execute(delete(leases).where(leases.c.name == name, leases.c.owner == owner))
