"""Failures that a service in memory is told to have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bot.errors import IntegrationError


class Faults:
    """Failures still to come, by the name of a method; each comes once."""

    def __init__(self) -> None:
        self._next: dict[str, list[tuple[IntegrationError, bool]]] = {}
        self.calls: Counter[str] = Counter()  # how often each method was called

    def fail_next(self, method: str, error: IntegrationError, *, committed: bool = False) -> None:
        """Let the next call of *method* raise *error*, after carrying it out where *committed* is set."""
        self._next.setdefault(method, []).append((error, committed))

    def clear(self, method: str) -> None:
        """Take back what was still to come of *method*."""
        self._next.pop(method, None)

    @contextmanager
    def during(self, method: str) -> Iterator[None]:
        self.calls[method] += 1
        waiting = self._next.get(method)
        error, committed = waiting.pop(0) if waiting else (None, False)
        if error is not None and not committed:
            raise error
        yield
        if error is not None:
            raise error
