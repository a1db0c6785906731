"""The lease on a pipeline: one Herald at a time works on it, and whoever lost it writes nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import Connection

from bot.store import Database, fences, leases
from bot.store.leases import LeaseFence
from bot.store.owners import Owner, agreed_time

LEASE_OF = "pipeline:"  # and its name
LEASE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class PipelineLease:
    """The lease on one pipeline, as one Herald asks for it."""

    name: str
    database: Database
    owner: Owner

    @property
    def _full_name(self) -> str:
        return f"{LEASE_OF}{self.name}"

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the lease for a while; False where another Herald has it.

        Transactions that this thread begins meanwhile raise LeaseLostError once another has taken it over. Threads of
        one Herald hold it together, and the last gives it back.
        """
        holding = self._begin()
        if holding is None:
            yield False
            return
        try:
            with fences.behind(self.database, LeaseFence(self._full_name, self.owner.name, holding)):
                yield True
        finally:
            self._end()

    def agreed_time(self, tx: Connection, own: datetime) -> datetime:
        """Return the time by which those who share the state decide what is due; *own* is that of this process."""
        return agreed_time(tx, own, self.owner.clock)

    def renew(self) -> bool:
        """Go on holding it; False where it was lost."""
        holding = self.owner.holdings.known_as(self._full_name)
        return self._take() is not None if holding is None else self._keep(holding)

    def _begin(self) -> str | None:
        with self.owner.holdings.lock:
            known = self.owner.holdings.known_as(self._full_name)
            holding = self._take() if known is None else known if self._keep(known) else None
            if holding is not None:
                self.owner.holdings.join(self._full_name, holding)
            return holding

    def _take(self) -> str | None:
        owner, holding = self.owner, uuid4().hex
        with fences.lifted(), self.database.begin() as tx:
            now, may = owner.clock(tx), owner.may_take_over
            is_held = leases.take(tx, self._full_name, owner.name, now, LEASE, may, holding=holding)
        return holding if is_held else None

    def _keep(self, holding: str) -> bool:
        with fences.lifted(), self.database.begin() as tx:
            return leases.renew(tx, self._full_name, self.owner.name, holding, self.owner.clock(tx) + LEASE)

    def _end(self) -> None:
        with self.owner.holdings.lock:
            is_last = self.owner.holdings.leave(self._full_name)
        if is_last:
            with fences.lifted(), self.database.begin() as tx:
                leases.give_back(tx, self._full_name, self.owner.name)
