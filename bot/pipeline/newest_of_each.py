"""Of the runs of a past, as they are read, the newest of each series: they are judged, and what is older is not."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from bot.domain.incidents import SeriesKey
from bot.pipeline.run_discovery import PastRun


@dataclass(slots=True)
class NewestOfEach:
    """Holds at most so many runs of each series, those that ended last."""

    most: int
    _held: dict[SeriesKey, list[tuple[tuple[datetime, str], PastRun]]] = field(default_factory=dict)

    def add(self, series: SeriesKey, run: PastRun) -> PastRun | None:
        """Hold a run; return the one that is too old to be held from now on."""
        held = self._held.setdefault(series, [])
        if len(held) < self.most:
            heapq.heappush(held, (run.run.place, run))
            return None
        return heapq.heappushpop(held, (run.run.place, run))[1]

    def first_begun(self, experiment_id: str) -> int | None:
        """Return the earliest start of what is held of an experiment: from there on it would have to be read again."""
        return min((each.begun for each in self if each.sight.experiment.experiment_id == experiment_id), default=None)

    def __iter__(self) -> Iterator[PastRun]:
        return (run for held in self._held.values() for _, run in held)
