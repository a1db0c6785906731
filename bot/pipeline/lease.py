"""The lease on a pipeline: one Herald at a time works on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from bot.store import Database, leases
from bot.store.owners import Owner

LEASE_OF = "pipeline:"  # and its name
LEASE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class PipelineLease:
    """The lease on one pipeline, as one Herald asks for it."""

    name: str
    database: Database
    owner: Owner

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the lease for a while; False where another Herald has it."""
        is_held = self.renew()
        try:
            yield is_held
        finally:
            if is_held:
                with self.database.begin() as tx:
                    leases.give_back(tx, f"{LEASE_OF}{self.name}", self.owner.name)

    def renew(self) -> bool:
        with self.database.begin() as tx:
            owner, now = self.owner, self.owner.clock(tx)
            return leases.take(tx, f"{LEASE_OF}{self.name}", owner.name, now, LEASE, owner.may_take_over)
