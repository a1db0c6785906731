"""Leases: who may work on something now, until when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, select, update

from bot.errors import LeaseLostError
from bot.store.owners import TakeOver, ran_out
from bot.store.tables import leases
from bot.store.upsert import insert_unless_there


def take(
    tx: Connection,
    name: str,
    owner: str,
    now: datetime,
    length: timedelta,
    may_take_over: TakeOver = ran_out,
    *,
    holding: str | None = None,
) -> bool:
    """Take or renew a lease; False where somebody else holds it. *now* is the database's.

    *holding* is what `renew` and `LeaseFence` know this time of holding it by.
    """
    values = {"name": name, "owner": owner, "until": now + length, "holding": holding}
    if insert_unless_there(tx, leases, **values):
        return True
    held = tx.execute(select(leases).where(leases.c.name == name).with_for_update()).first()
    if held is None:  # given back this very moment
        return insert_unless_there(tx, leases, **values)
    if held.owner != owner and not may_take_over(held.owner, held.until, now):
        return False
    tx.execute(update(leases).where(leases.c.name == name).values(values))
    return True


def renew(tx: Connection, name: str, owner: str, holding: str, until: datetime) -> bool:
    """Go on holding a lease; False where it was lost, even if nobody holds it now: who had it may have finished."""
    mine = leases.c.name == name, leases.c.owner == owner, leases.c.holding == holding
    return tx.execute(update(leases).where(*mine).values(until=until)).rowcount == 1


_HELD = (  # made once: every transaction under a lease asks it
    select(leases.c.name)
    .where(*(leases.c[name] == bindparam(name) for name in ("name", "owner", "holding")))
    .with_for_update(read=True)
)


@dataclass(frozen=True, slots=True)
class LeaseFence:
    """Lets a transaction write only while a lease is held, and nobody take it before the transaction ends."""

    name: str
    owner: str
    holding: str

    def check(self, tx: Connection) -> None:
        if tx.scalar(_HELD, {"name": self.name, "owner": self.owner, "holding": self.holding}) is None:
            raise LeaseLostError(f"{self.name}: another Herald went on with it, and nothing more is written here")


def give_back(tx: Connection, name: str, owner: str) -> None:
    tx.execute(delete(leases).where(leases.c.name == name, leases.c.owner == owner))


def give_back_all_but(tx: Connection, prefix: str, owner: str, kept: Collection[str]) -> None:
    """Give back what this owner still holds though it is at work on none of it: it could not be given back before."""
    mine = leases.c.name.startswith(prefix, autoescape=True), leases.c.owner == owner
    tx.execute(delete(leases).where(*mine, leases.c.name.not_in([f"{prefix}{name}" for name in kept])))


def held_by_others(
    tx: Connection, prefix: str, owner: str, now: datetime, may_take_over: TakeOver = ran_out
) -> frozenset[str]:
    """Return what others hold, of the leases whose names begin with *prefix*, without it."""
    others = leases.c.name.startswith(prefix, autoescape=True), leases.c.owner != owner
    held = [row for row in tx.execute(select(leases).where(*others)) if not may_take_over(row.owner, row.until, now)]
    return frozenset(row.name.removeprefix(prefix) for row in held)
