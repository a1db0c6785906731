"""Fences: what each transaction of a piece of work looks at first, so that whoever lost a lease writes nothing more.

A Herald may be paused at any moment for any time, and goes on with what it was about to do. No look at a clock before
it helps: only a look in the same transaction does, at a row that nobody changes before the transaction ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from bot.store.database import Database


class Fence(Protocol):
    """A lease, as those see it who work under it."""

    def check(self, tx: Connection) -> None:
        """Raise LeaseLostError where the lease is another's; else nobody takes it before *tx* ends."""


_Standing = tuple[tuple["Database", Fence], ...]
_standing: ContextVar[_Standing] = ContextVar("fences", default=())  # of this thread


@contextmanager
def behind(database: Database, fence: Fence) -> Iterator[None]:
    """Let every transaction that begins in the block on *database* look at the fence first."""
    before = _standing.set((*_standing.get(), (database, fence)))
    try:
        yield
    finally:
        _standing.reset(before)


@contextmanager
def lifted() -> Iterator[None]:
    """Let transactions of the block look at none: those that renew what the fences look at."""
    before = _standing.set(())
    try:
        yield
    finally:
        _standing.reset(before)


def check(database: Database, tx: Connection) -> None:
    for fenced, fence in _standing.get():
        if fenced is database:
            fence.check(tx)
