"""What doctor says of who leads the Heralds that share a state, and of that one's clock."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from bot.domain.checks import Check
from bot.store import leadership, serving
from bot.store.owners import database_time


def check_leader(tx: Connection) -> Iterator[Check]:
    """Say who leads, since when; a clock that is off by more than the lease is told, though no lease goes by it."""
    found = leadership.standing(tx)
    if found is None:
        return
    who = f"{found.holder}, epoch {found.epoch:,}"
    if found.is_over(database_time(tx)):
        yield Check("leader", ok=True, said=f"nobody leads: no `herald serve` is at work on this state; last did {who}")
        return
    yield Check("leader", ok=True, said=f"{who}, since {found.since:%Y-%m-%d %H:%M} UTC")
    for each in serving.differences(tx, database_time(tx)):
        said = f"{each.herald} has another configuration than the one that leads: {each.said}"
        remedy = "Give all that share a state one configuration: what only a follower has is never due."
        yield Check("configuration", ok=False, said=said, remedy=remedy)
    if found.is_clock_off:
        way = "ahead of" if found.clock_ahead.total_seconds() > 0 else "behind"
        off = abs(found.clock_ahead.total_seconds())
        said = (
            f"the clock of {found.holder} is {off:,.0f} s {way} the database's: what is due comes so much off its time"
        )
        yield Check("clock of the leader", ok=False, said=said, remedy="Set that machine's clock, and keep it by NTP.")
