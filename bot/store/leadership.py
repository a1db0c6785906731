"""Who leads the Heralds that share a state: one row, by the database's time, with an epoch that only grows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, select, update

from bot.errors import LeaseLostError
from bot.store.owners import Life, Owner
from bot.store.tables import leadership, serving
from bot.store.upsert import insert_unless_there

LEASE = timedelta(seconds=30)
_NAME = "leader"
_LONGEST = 10 * LEASE  # nobody leads for so long without renewing: the database's clock was wrong


@dataclass(frozen=True, slots=True)
class Leadership:
    """Who leads, or led last."""

    holder: str
    epoch: int
    since: datetime
    until: datetime
    clock_ahead: timedelta  # of the holder's clock before the database's, when it renewed last

    @property
    def is_clock_off(self) -> bool:
        """Say whether the holder's clock is off by more than the lease: no lease goes by it, and due times do."""
        return abs(self.clock_ahead) > LEASE

    def is_over(self, now: datetime) -> bool:
        return not now < self.until <= now + _LONGEST


@dataclass(frozen=True, slots=True)
class LeaderFence:
    """Lets a transaction write only in one epoch, and the next one begin only after the transaction's end."""

    holder: str
    epoch: int

    def check(self, tx: Connection) -> None:
        # A look at the key alone: the holder renews meanwhile, and whoever would follow it waits.
        look = (
            select(leadership.c.epoch).where(*_of(self.holder, self.epoch)).with_for_update(read=True, key_share=True)
        )
        if tx.scalar(look) is None:
            raise LeaseLostError(f"another Herald leads since: nothing of epoch {self.epoch} is written any more")


def standing(tx: Connection) -> Leadership | None:
    """Return who leads, or led last; None where nobody ever did."""
    row = tx.execute(select(leadership).where(leadership.c.name == _NAME)).first()
    if row is None:
        return None
    return Leadership(row.holder, row.epoch, row.since, row.until, timedelta(seconds=row.clock_ahead))


def take(tx: Connection, owner: Owner, wall: datetime) -> int | None:
    """Take or keep the lead, and return the epoch; None where another leads. *wall* is this machine's time."""
    held, now = standing(tx), owner.clock(tx)
    values = {"until": now + LEASE, "clock_ahead": (wall - now).total_seconds()}
    anew = values | {"holder": owner.name, "since": now}
    if held is None:
        return 1 if insert_unless_there(tx, leadership, name=_NAME, epoch=1, **anew) else None
    if held.holder == owner.name:
        kept = update(leadership).where(*_of(owner.name, held.epoch)).values(values)
        return held.epoch if tx.execute(kept).rowcount == 1 else None
    if not held.is_over(now) and owner.life_of(held.holder) is not Life.GONE:
        return None
    epoch = held.epoch + 1
    followed = update(leadership).where(*_of(held.holder, held.epoch)).values(anew | {"epoch": epoch})
    if tx.execute(followed).rowcount != 1:
        return None
    tx.execute(delete(serving).where(serving.c.herald == held.holder))  # it is noted again if it was only paused
    return epoch


def resign(tx: Connection, owner: Owner) -> None:
    """Let another lead at once."""
    mine = leadership.c.name == _NAME, leadership.c.holder == owner.name
    tx.execute(update(leadership).where(*mine).values(until=owner.clock(tx)))


def _of(holder: str, epoch: int) -> tuple[ColumnElement[bool], ...]:
    return leadership.c.name == _NAME, leadership.c.holder == holder, leadership.c.epoch == epoch
