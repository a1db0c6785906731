"""What the contract of executors asks of each kind: a harness that knows its cluster."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from bot.ports import Executor


class ExecutorHarness(Protocol):
    """Where jobs of one kind run for a test, as processes that see this machine's files."""

    def herald(self) -> Executor:
        """Return an executor as a Herald that has just started has it."""

    def cuts(self) -> Sequence[AbstractContextManager[None]]:
        """Return what cuts a submission off, at each of its steps in turn; none where nothing can be between."""

    def away(self) -> AbstractContextManager[None] | None:
        """Return what lets nobody reach the cluster meanwhile, while jobs go on there; None where that cannot be."""

    def lose(self, fire_id: str) -> None:
        """Let a job vanish with its processes, so that nobody can tell how it ended."""

    def close(self) -> None:
        """End everything that lives on."""
