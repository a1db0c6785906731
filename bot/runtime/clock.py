"""Now, by a clock that does not jump: the wall's time when Herald began, and what has passed since.

A wall clock that is wrong for a moment (a bad time server, a virtual machine that was moved) must not stop a schedule
for weeks. One that keeps to its new time was set right, and is followed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bot.runtime.log import get_logger

_SLEW = timedelta(seconds=2)  # clocks drift apart, and time servers pull at them
_BELIEVED_AFTER = 300.0  # seconds in which the wall clock keeps to another time

log = get_logger(__name__)


def wall_clock() -> datetime:
    return datetime.now(UTC)


def seconds_passed() -> float:
    """Return seconds since some moment, those in which the machine slept counted where the system can tell."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def pause(seconds: float) -> None:
    """Wait, by no clock that anybody sets: `time.sleep` fails where a library shows the process a time of its own."""
    threading.Event().wait(seconds)


@dataclass(slots=True)
class SteadyClock:
    """Call it for the time; shared by all threads."""

    wall: Callable[[], datetime] = wall_clock
    passed: Callable[[], float] = seconds_passed
    _anchor: tuple[datetime, float] | None = None  # a time of the wall, and what had passed then
    _stray: tuple[timedelta, float] | None = None  # how far the wall is ahead of us, and since when
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> datetime:
        with self._lock:
            wall, passed = self.wall(), self.passed()
            if self._anchor is None:
                self._anchor = (wall, passed)
            now = self._anchor[0] + timedelta(seconds=passed - self._anchor[1])
            ahead = wall - now
            if abs(ahead) <= _SLEW:
                self._anchor, self._stray = (wall, passed), None
                return wall
            if self._stray is None or abs(ahead - self._stray[0]) > _SLEW:
                self._stray = (ahead, passed)
                log.warning("the clock jumped; not followed unless it stays", ahead=str(ahead))
            elif passed - self._stray[1] >= _BELIEVED_AFTER:
                log.warning("the clock was set; followed", ahead=str(ahead), always=True)
                self._anchor, self._stray = (wall, passed), None
                return wall
            return now
