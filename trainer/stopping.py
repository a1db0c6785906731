"""What SIGTERM, Ctrl-C and a terminal that is closed do while a job runs."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from trainer.errors import Stopped

Handler = Callable[[int, FrameType | None], Any] | signal.Handlers

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # the last of a terminal or a connection that is gone


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn what stops a job into Stopped within the block, once."""

    def stop(number: int, _frame: FrameType | None) -> None:
        ignore_stops()
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
    """Let what stops a job only be noted within the block, which looks for it by itself."""
    deferral = Deferral()

    def note(number: int, _frame: FrameType | None) -> None:
        deferral.asked = number
        if deferral.at_once:
            deferral.end_if_asked()

    try:
        with _signals_to(note):
            yield deferral
        deferral.end_if_asked()
    except Stopped:
        ignore_stops()
        raise


@contextmanager
def unstoppable() -> Iterator[None]:
    """Ignore all of them within the block: half of what it does must not be done."""
    with _signals_to(signal.SIG_IGN):
        yield


def ignore_stops() -> None:
    """Let nothing stop this process any more: once is enough, and what follows is tidying up."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _signals_to(handler: Handler) -> Iterator[None]:
    # Under nohup a closed terminal is ignored, and has to stay so.
    heard = [number for number in STOPPING if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
