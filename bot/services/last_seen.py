"""What a service was last seen to hold, so that it need not be asked again before each write."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST = 256


class LastSeen(Generic[T]):
    """Values by key, each taken out before a write and kept again after it.

    A write that ends badly leaves nothing behind, so the next one asks the service. Safe to share between threads:
    whoever comes second finds nothing.
    """

    def __init__(self) -> None:
        self._values: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> T | None:
        with self._lock:
            return self._values.pop(key, None)

    def keep(self, key: str, value: T) -> None:
        with self._lock:
            self._values[key] = value
            if len(self._values) > _MOST:
                self._values.popitem(last=False)
