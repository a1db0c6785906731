"""How many requests this process has made to others, by host and by what became of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

NO_ANSWER = "none"  # stands for the status of a request that none came to


@dataclass(slots=True)
class RequestCounts:
    """Counts requests; shared by all threads."""

    _made: Counter[tuple[str, str]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, host: str, status: str) -> None:
        with self._lock:
            self._made[host, status] += 1

    def by_host_and_status(self) -> Mapping[tuple[str, str], int]:
        with self._lock:
            return dict(self._made)


requests_made = RequestCounts()
