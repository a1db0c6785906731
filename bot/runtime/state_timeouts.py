"""How long anybody waits for a database server with the state that is away, or that hangs and says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class StateTimeouts:
    """Limits that PostgreSQL keeps, and this process where the server keeps none any more; SQLite has its own."""

    connect: timedelta = timedelta(seconds=5)  # until a connection is there; libpq takes 2 s at least
    statement: timedelta | None = None  # of one statement, locks included; None: as long as it takes
    keeps_deadline: bool = False  # whoever set one around its work (`bot.runtime.deadline`) waits no longer than that
