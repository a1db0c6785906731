"""Which Heralds are at work on a state, and with what configuration: in digests, as each has noted them of late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select, update

from bot.domain.config_differences import ConfigDifference, compare
from bot.store import leadership
from bot.store.codec import dump, load
from bot.store.tables import serving
from bot.store.upsert import insert_unless_there

NOTED_EVERY = timedelta(seconds=30)
_LATELY = NOTED_EVERY + leadership.LEASE  # later than that it is taken for dead, as the one that leads is
_FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Digests:
    parts: Mapping[str, str]


def note(tx: Connection, herald: str, digests: Mapping[str, str], now: datetime) -> None:
    """Note that a Herald is at work, and with what; those of which nothing was heard for long are forgotten."""
    values = {"seen_at": now, "digests": dump(_Digests(digests))}
    tx.execute(delete(serving).where(serving.c.seen_at < now - _FORGOTTEN_AFTER))
    if not insert_unless_there(tx, serving, herald=herald, **values):
        tx.execute(update(serving).where(serving.c.herald == herald).values(values))


def leave(tx: Connection, herald: str) -> None:
    """Take away a Herald that ends."""
    tx.execute(delete(serving).where(serving.c.herald == herald))


def differences(tx: Connection, now: datetime) -> Sequence[ConfigDifference]:
    """Return the Heralds whose configuration is not that of the one that leads; none where nobody leads.

    *Now* is the database's time.
    """
    lead = leadership.standing(tx)
    if lead is None or lead.is_over(now):
        return ()
    of_late = serving.c.seen_at.between(now - _LATELY, now + _LATELY)
    rows = tx.execute(select(serving.c.herald, serving.c.digests).where(of_late).order_by(serving.c.herald))
    known = {row.herald: load(_Digests, row.digests).parts for row in rows}
    return compare(known, lead.holder)
