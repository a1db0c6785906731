"""What SIGTERM and Ctrl-C do while a job runs."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from trainer.errors import Stopped

Handler = Callable[[int, FrameType | None], Any] | signal.Handlers

STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into Stopped within the block."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for other in STOPPING:
            signal.signal(other, signal.SIG_IGN)  # once is enough: what follows is tidying up
        raise Stopped(number)

    with _signals_to(stop):
        yield


@contextmanager
def unstoppable() -> Iterator[None]:
    """Ignore both within the block: half of what it does must not be done."""
    with _signals_to(signal.SIG_IGN):
        yield


@contextmanager
def _signals_to(handler: Handler) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in STOPPING}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
