"""Runs that looks have found, each waiting for the pipelines that watch it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.ports import FoundRun

MOST = 2000  # of one pipeline, that wait for others' cycles


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a pipeline has to see to."""

    runs: Sequence[FoundRun]  # in the order in which they ended
    all_until: Mapping[str, datetime]  # by experiment: what was there by then is among them, or was seen to before
    aged: frozenset[str] = frozenset()  # ids of those that an earlier look has found: they may have changed


@dataclass(slots=True)
class WaitingRuns:
    """What waits for each pipeline, *most* at once; what one has seen to is told again from the next look far back."""

    most: int
    _waiting: dict[str, dict[str, tuple[FoundRun, datetime]]] = field(default_factory=dict)  # by pipeline, by run
    _seen_to: dict[str, set[str]] = field(default_factory=dict)  # by pipeline
    _all_until: dict[str, datetime] = field(default_factory=dict)  # by experiment
    _too_many: set[str] = field(default_factory=set)  # pipelines that have to look for themselves
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def unknown(
        self, found: Iterable[FoundRun], watchers: Mapping[str, Sequence[str]]
    ) -> Mapping[str, Sequence[FoundRun]]:
        """Return by pipeline what it has not seen to; *watchers* are pipelines by experiment."""
        some: dict[str, list[FoundRun]] = {}
        with self._lock:
            for each in found:
                for name in watchers.get(each.experiment_id, ()):
                    if each.run.run_id not in self._seen_to.get(name, ()):
                        some.setdefault(name, []).append(each)
        return some

    def add(
        self, found: Mapping[str, Sequence[FoundRun]], done: Mapping[str, Collection[str]], began: datetime
    ) -> None:
        """Let runs wait, by pipeline, that a look has found which *began* then; those that are *done* have not to."""
        with self._lock:
            for name, some in found.items():
                waiting = self._waiting.setdefault(name, {})
                waiting |= {each.run.run_id: (each, began) for each in some if each.run.run_id not in done[name]}
                self._seen_to.setdefault(name, set()).update(done[name])
                if len(waiting) > self.most:
                    waiting.clear()
                    self._too_many.add(name)

    def begin_anew(self, names: Iterable[str]) -> None:
        """Forget what was seen to: the state knows it, and of what it does not know something may have changed."""
        with self._lock:
            for name in names:
                self._seen_to.pop(name, None)

    def complete(self, experiment_ids: Iterable[str], began: datetime) -> None:
        """Take note that all that was there when a look far back *began* has been added."""
        with self._lock:
            self._all_until |= dict.fromkeys(experiment_ids, began)

    def all_until(self, experiment_id: str) -> datetime | None:
        with self._lock:
            return self._all_until.get(experiment_id)

    def of(self, name: str, began: datetime) -> Sighting | None:
        """Return what waits for a pipeline whose look *began* then; None where it was too much to be kept."""
        with self._lock:
            if name in self._too_many:
                return None
            waiting = sorted(self._waiting.get(name, {}).values(), key=lambda each: each[0].run.place)
            aged = frozenset(found.run.run_id for found, since in waiting if since < began)
            return Sighting([found for found, _ in waiting], dict(self._all_until), aged)

    def see_to(self, name: str, found: Iterable[FoundRun]) -> None:
        """Take note that a pipeline has seen to these runs."""
        with self._lock:
            self._too_many.discard(name)
            waiting, seen_to = self._waiting.get(name, {}), self._seen_to.setdefault(name, set())
            for each in found:
                waiting.pop(each.run.run_id, None)
                seen_to.add(each.run.run_id)
