"""What this process has done, counted for whoever watches over it: numbers alone, a few names to each."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class EventCounts:
    """Counts what happened by a few names; shared by all threads."""

    _counts: dict[tuple[str, ...], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, *names: str, times: int = 1) -> None:
        with self._lock:
            self._counts[names] = self._counts.get(names, 0) + times

    def counts(self) -> Mapping[tuple[str, ...], int]:
        with self._lock:
            return dict(self._counts)


@dataclass(frozen=True, slots=True)
class SortedLengths:
    """How long something took, of all that was measured under one name."""

    up_to: tuple[int, ...]  # how many were at most as long as each bound, and last all
    total: float  # seconds


@dataclass(slots=True)
class Stopwatch:
    """Sorts lengths of time by a few bounds, so that any number of them takes no more room; shared by all threads."""

    bounds: Sequence[float]  # seconds
    _found: dict[str, list[int]] = field(default_factory=dict)
    _totals: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, seconds: float, name: str = "") -> None:
        seconds = max(seconds, 0.0)  # clocks differ
        with self._lock:
            found = self._found.setdefault(name, [0] * (len(self.bounds) + 1))
            found[bisect_left(self.bounds, seconds)] += 1
            self._totals[name] = self._totals.get(name, 0.0) + seconds

    def spread(self, name: str = "") -> SortedLengths:
        with self._lock:
            found, total = list(self._found.get(name, ())), self._totals.get(name, 0.0)
        counted, up_to = 0, []
        for number in found or [0] * (len(self.bounds) + 1):
            counted += number
            up_to.append(counted)
        return SortedLengths(tuple(up_to), total)

    def names(self) -> Sequence[str]:
        with self._lock:
            return sorted(self._found)


runs_judged = EventCounts()  # by outcome
findings_made = EventCounts()  # by outcome
lateness = Stopwatch((0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 21_600))  # of a fire: from its due time to its start
delivery = Stopwatch((0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400))  # of an effect, by service: from owed
