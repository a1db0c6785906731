"""How long all that one effect, or one page, asks for may take together: set around it, kept by all that is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_until: ContextVar[float] = ContextVar("until", default=float("inf"))  # as time.monotonic() tells it


@contextmanager
def ending_at(moment: float) -> Iterator[None]:
    """Let no request within go on past *moment* of time.monotonic(), nor past an earlier one that is set around it."""
    token = _until.set(min(moment, _until.get()))
    try:
        yield
    finally:
        _until.reset(token)


def seconds_left() -> float:
    """Return how long a request may still take; infinite where nothing was set."""
    return _until.get() - time.monotonic()
