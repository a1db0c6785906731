"""How many requests this process has made to others, by service and by what became of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

NO_ANSWER = "none"  # stands for the status of a request that none came to
OTHER = "other"  # whose address config does not have: it sent us there, or is asked by no name


@dataclass(slots=True)
class RequestCounts:
    """Counts requests; shared by all threads.

    Services have names that config gives them, so that no address is ever shown, and strangers share one name.
    """

    _services: tuple[tuple[str, str], ...] = ()  # how their addresses begin, the longest first, and their names
    _made: Counter[tuple[str, str]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def know(self, services: Mapping[str, str]) -> None:
        """Take on the names of services by the beginnings of their addresses, in the place of those before."""
        self._services = tuple(sorted(services.items(), key=lambda pair: -len(pair[0])))

    def note(self, url: str, status: str) -> None:
        asked = beginning(url)
        service = next((name for start, name in self._services if is_below(asked, start)), OTHER)
        with self._lock:
            self._made[service, status] += 1

    def by_service_and_status(self) -> Mapping[tuple[str, str], int]:
        with self._lock:
            return dict(self._made)


def beginning(url: str) -> str:
    """Return what tells services apart in an address: host, port and path."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2].lower()}{parts.path.rstrip('/')}"


def is_below(asked: str, start: str) -> bool:
    return asked == start or asked.startswith(f"{start}/")


requests_made = RequestCounts()
