"""What signals ask of `herald serve`, and the end of a process that was asked to stop, whatever hangs then."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from bot.runtime.clock import pause

STOP_SECONDS = 30.0  # from the signal to the end of the process, at most


@dataclass(slots=True)
class Orders:
    """What signals ask of a server; each order wakes it.

    A signal comes at any point of the loop, so nothing here takes a lock that the loop might hold just then.
    """

    began: float = field(default_factory=time.monotonic)  # before all that takes long to import, and the configuration
    stop: bool = False
    reload: bool = False
    _wake: SimpleQueue[None] = field(default_factory=SimpleQueue)

    def ask_to_stop(self) -> None:
        self.stop = True
        self.wake()

    def ask_to_reload(self) -> None:
        self.reload = True
        self.wake()

    def is_stopping(self) -> bool:
        return self.stop

    def wake(self) -> None:
        self._wake.put(None)

    def wait(self, seconds: float) -> None:
        """Sleep until the time is over or somebody calls :meth:`wake`."""
        with suppress(Empty):
            self._wake.get(timeout=seconds)


def end_within(seconds: float, numbers: Collection[signal.Signals], leave: Callable[[], None]) -> Callable[[], None]:
    """Call *leave* so long after one of these signals, on a thread of its own, unless what is returned was called.

    The signals are heard even while the main thread waits for a database, when its own handlers cannot run yet.
    """
    hears, told = socket.socketpair()
    told.setblocking(False)
    before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    awaited = {int(number) for number in numbers}

    def listen() -> None:
        while awaited.isdisjoint(heard := hears.recv(64)):
            if not heard:
                hears.close()
                return
        pause(seconds)
        leave()

    def forget() -> None:
        signal.set_wakeup_fd(before)
        told.close()

    threading.Thread(target=listen, name="stopping", daemon=True).start()
    _kept.append((hears, told))
    return forget


_kept: list[tuple[socket.socket, socket.socket]] = []  # or they would be closed


def leave_at_once() -> None:
    """End the process without waiting for threads; what they had under way is found in the state by the next Herald."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)
