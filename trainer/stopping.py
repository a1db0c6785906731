"""What SIGTERM and Ctrl-C do while a job runs."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(slots=True)
class Deferral:
    """A stop that waits until what is under way is whole."""

    at_once: bool = False  # what is under way takes longer than whoever stops us waits
    asked: int | None = None  # the signal that came

    def end_if_asked(self) -> None:
        """Raise Stopped where a signal came."""
        if self.asked is not None:
            raise Stopped(self.asked)


@contextmanager
def deferring_stops() -> Iterator[Deferral]:
    """Let SIGTERM and Ctrl-C only be noted within the block, which looks for them by itself."""
    deferral = Deferral()

    def note(number: int, _frame: FrameType | None) -> None:
        deferral.asked = number
        if deferral.at_once:
            deferral.end_if_asked()

    with _signals_to(note):
        yield deferral
    deferral.end_if_asked()


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
