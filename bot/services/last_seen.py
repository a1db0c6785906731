"""What a service was last seen to hold, so that it need not be asked again before each write."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST = 256
BRIEFLY = 30.0  # seconds: what belongs together is written within them


class LastSeen(Generic[T]):
    """Values by key, each taken out before a write and kept again after it.

    A write that ends badly leaves nothing behind, so the next one asks the service. Safe to share between threads:
    whoever comes second finds nothing. Other Heralds write too: what no version of the service's guards is believed for
    *life* seconds, and what one of them may have written is told by :meth:`forget`.
    """

    def __init__(self, life: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._values: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._life = life
        self._clock = clock
        self._lock = threading.Lock()

    def take(self, key: str) -> T | None:
        with self._lock:
            kept_at, value = self._values.pop(key, (0.0, None))
        return value if self._life is None or self._clock() - kept_at <= self._life else None

    def see(self, key: str) -> T | None:
        """Return a value and leave it, for what Herald never writes."""
        with self._lock:
            kept_at, value = self._values.get(key, (0.0, None))
        return value if self._life is None or self._clock() - kept_at <= self._life else None

    def forget(self, key: str) -> None:
        with self._lock:
            self._values.pop(key, None)

    def keep(self, key: str, value: T) -> None:
        with self._lock:
            self._values[key] = self._clock(), value
            if len(self._values) > _MOST:
                self._values.popitem(last=False)
