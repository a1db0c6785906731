"""Searches MLflow for runs: those of one experiment in their order, and those that finished lately in any of many.

Terms and orders are of times and states alone: MLflow joins and sorts all values there are for a term on a metric.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from bot.domain.job_protocol import PARENT_TAG, RERUN_TAG
from bot.domain.runs import Run
from bot.errors import RunStoreError
from bot.ports import Experiment, FoundRun, HistoryPage, Selection
from bot.services.mlflow.answers import next_token, run_in
from bot.services.mlflow.artifact_places import ArtifactPlaces
from bot.services.mlflow.connection import MlflowConnection
from bot.services.mlflow.times import MILLISECONDS, ODD_UNITS, SECONDS, span, unit_of

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

_PAGE = 200
_FIRST_PAGE = 50  # of the newest: mostly there is nothing new
_NAMED_AT_ONCE = 200  # runs in one search
_FINISHED = "attributes.status = 'FINISHED'"
_HISTORY_PAGE = 1000
_MOST_PAGES = 10  # of runs inside others, before the newest that are in none
_STARTED_FIRST = "attributes.start_time ASC"
_STARTED_LAST = "attributes.start_time DESC"
_OLDEST_FIRST, _NEWEST_FIRST = "attributes.end_time ASC", "attributes.end_time DESC"


@dataclass(frozen=True, slots=True)
class _Met:
    """A run with its times as they were written."""

    end_time: object
    start_time: object
    found: FoundRun


@dataclass(frozen=True, slots=True)
class RunSearch:
    """Searches of one MLflow; *base* is where people open it."""

    mlflow: MlflowConnection
    base: str | None
    places: ArtifactPlaces

    def since(self, experiment: Experiment, since: datetime | None, selection: Selection) -> Iterator[Run]:
        """Yield runs of one experiment that ended since then, oldest first."""
        ids = [experiment.experiment_id]

        def wanted(some: Iterable[_Met]) -> Iterator[Run]:
            return (met.found.run for met in some if selection.nested or not met.found.is_nested)

        if since is None:
            yield from sorted(wanted(self._search(ids, "", selection.filter)), key=_by_end)
            return
        odd = sorted(wanted(self._odd(ids, since, selection.filter)), key=_by_end)
        in_order = wanted(self._ended(ids, since, MILLISECONDS, selection.filter))  # so many that they are not kept
        yield from heapq.merge(in_order, odd, key=_by_end)

    def newest(self, experiment: Experiment, count: int, selection: Selection) -> list[Run]:
        """Return the finished runs that were started last; hundreds of trials may have begun after their parent."""
        found: list[Run] = []
        token, size = None, count
        for _ in range(_MOST_PAGES):
            page, token = self._page(
                [experiment.experiment_id], _FINISHED, _STARTED_LAST, token, size, selection.filter
            )
            found += [met.found.run for met in page if selection.nested or not met.found.is_nested]
            if len(found) >= count or not token:
                break
            size = _PAGE
        return found[:count]

    def finished(self, experiment_ids: Sequence[str], since: datetime) -> Iterator[Sequence[FoundRun]]:
        """Yield pages of the finished runs that ended since then, by times in milliseconds, the newest first.

        Each page begins where the one before has ended, by the runs' own times: what is logged or deleted meanwhile
        moves no run from one page past the next.
        """
        first, beyond = span(since, MILLISECONDS)
        ids, last, known, token, size = list(experiment_ids), beyond - 1, set[str](), None, _FIRST_PAGE
        while True:
            terms = f"{_FINISHED} and attributes.end_time >= {first} and attributes.end_time <= {last}"
            page, token = self._page(ids, terms, _NEWEST_FIRST, token, size)
            new = [met for met in page if met.found.run.run_id not in known and _is_between(met.end_time, first, last)]
            yield [met.found for met in new]
            if not token:
                return
            oldest = page[-1].end_time
            if new and isinstance(oldest, int) and first <= oldest < last:
                last, token = oldest, None
                known = {met.found.run.run_id for met in page if met.end_time == oldest}
            else:  # so many ended at one moment
                known |= {met.found.run.run_id for met in page}
            size = _PAGE

    def history(self, experiment: Experiment, begun: int, selection: Selection) -> Iterator[HistoryPage]:
        """Yield pages of the finished runs of an experiment, in the order in which they were started.

        They are told by their start, which every run has; each page goes on from the last start of the one before.
        """
        known, token = set[str](), None
        while True:
            terms = f"{_FINISHED} and attributes.start_time >= {begun}"
            page, token = self._page(
                [experiment.experiment_id], terms, _STARTED_FIRST, token, _HISTORY_PAGE, selection.filter
            )
            new = [met for met in page if met.found.run.run_id not in known]
            last = page[-1].start_time if page else None
            if token and new and isinstance(last, int) and last > begun:
                begun, token, is_last = last, None, False
                known = {met.found.run.run_id for met in page if met.start_time == last}
            else:  # the end of it, or so many were started at one moment
                is_last = not token
                known |= {met.found.run.run_id for met in page}
            wanted = [met for met in new if selection.nested or not met.found.is_nested]
            yield HistoryPage([(_number(met.start_time), met.found.run) for met in wanted])
            if is_last:
                return

    def finished_oddly(self, experiment_ids: Sequence[str], since: datetime) -> Iterator[FoundRun]:
        """Yield those whose times are in another unit, or that say no end."""
        return (met.found for met in self._odd(experiment_ids, since, "", _FINISHED))

    def named(self, experiment_ids: Sequence[str], run_ids: Sequence[str], taken: str) -> list[Run]:
        """Return the runs of these ids that are there, and that a filter has *taken*."""
        found: list[Run] = []
        for start in range(0, len(run_ids), _NAMED_AT_ONCE):
            some = run_ids[start : start + _NAMED_AT_ONCE]
            try:
                found += self._named(experiment_ids, some, taken)
            except RunStoreError:
                if not taken or len(some) == 1:
                    raise
                for each in some:  # an old MLflow (2.3) reads no other term beside a list
                    found += self._named(experiment_ids, [each], taken)
        return found

    def _named(self, experiment_ids: Sequence[str], some: Sequence[str], taken: str) -> list[Run]:
        listed = ", ".join(f"'{run_id}'" for run_id in some)
        terms = f"attributes.run_id = {listed}" if len(some) == 1 else f"attributes.run_id IN ({listed})"
        page, _ = self._page(experiment_ids, terms, _NEWEST_FIRST, None, len(some), taken)
        return [met.found.run for met in page]

    def _odd(self, ids: Sequence[str], since: datetime, taken: str = "", own: str = "") -> Iterator[_Met]:
        """Yield the runs whose times are in another unit, and the finished ones that say no end."""
        for unit in ODD_UNITS:
            yield from self._ended(ids, since, unit, taken, own)
        yield from self._endless(ids, since, taken)

    def _ended(
        self, ids: Sequence[str], since: datetime, unit: Fraction, taken: str = "", own: str = ""
    ) -> Iterator[_Met]:
        """Yield the runs that ended since then whose programs have written their times in a unit."""
        first, beyond = span(since, unit)
        terms = _all_of(own, f"attributes.end_time >= {first} and attributes.end_time < {beyond}")
        for met in self._search(ids, terms, taken):
            if unit_of(met.end_time) == unit:  # a server may not have kept to the terms
                yield met

    def _endless(self, ids: Sequence[str], since: datetime, taken: str) -> Iterator[_Met]:
        """Yield the finished runs that say no end, or none that a calendar has; they are told by their start."""
        (first, _), (in_seconds, beyond) = span(since, MILLISECONDS), span(since, SECONDS)
        started = f"{_FINISHED} and attributes.start_time"
        for terms in (f"{started} >= {first}", f"{started} >= {in_seconds} and attributes.start_time < {beyond}"):
            for met in self._search(ids, terms, taken):
                if unit_of(met.end_time) is None and met.found.run.ended >= since:
                    yield met

    def _search(self, ids: Sequence[str], terms: str, taken: str) -> Iterator[_Met]:
        """Yield the runs that terms of ours hold of, and those that config has *taken* over from people."""
        token: str | None = None
        while True:
            page, token = self._page(ids, terms, _OLDEST_FIRST, token, _PAGE, taken)
            yield from page
            if not token:
                return

    def _page(
        self, ids: Sequence[str], terms: str, order: str, token: str | None, size: int, taken: str = ""
    ) -> tuple[Sequence[_Met], str | None]:
        of = f"the experiment {ids[0]}" if len(ids) == 1 else "its experiments"
        with self.mlflow.translated(taken, of):
            page: Any = self.mlflow.reader.search_runs(
                list(ids), _all_of(terms, taken), max_results=size, order_by=[order], page_token=token
            )
            own = (run for run in page if RERUN_TAG not in run.data.tags)
            return [self._met(run) for run in own], next_token(token, page.token)

    def _met(self, run: MlflowRun) -> _Met:
        self.places.note(run.info.run_id, run.info.artifact_uri or "")
        found = FoundRun(run_in(run, self.base), run.info.experiment_id, PARENT_TAG in run.data.tags)
        return _Met(run.info.end_time, run.info.start_time, found)


def _all_of(*terms: str) -> str:
    return " and ".join(each for each in terms if each)


def _number(time: object) -> int:
    return time if isinstance(time, int) else 0


def _is_between(end_time: object, first: int, last: int) -> bool:
    return isinstance(end_time, int) and first <= end_time <= last


def _by_end(run: Run) -> datetime:
    return run.ended
