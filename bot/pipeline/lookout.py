"""One look at MLflow for all pipelines: what it finds waits for each of them until its cycle has seen to it.

Pipelines that are due together share a look: one list of experiments, and one search over all of theirs for what has
finished since the look before. That sees what ended lately. What was logged long after its end, or with odd times, is
found by looks far back, which come of themselves: from where the last of them had begun, less the pipelines' overlap.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.runs import Run
from bot.errors import RefusedError, RunStoreError
from bot.pipeline.waiting_runs import MOST, Sighting, WaitingRuns
from bot.ports import Experiment, FoundRun, RunStore
from bot.runtime.log import get_logger
from bot.store import Database, contacts, fires, quarantine, runs
from bot.store.batches import in_pieces
from bot.store.contacts import Contact

CLOCK_SKEW = timedelta(minutes=5)  # between the clocks of those who write to MLflow and ours
FAR_BACK_EVERY = timedelta(minutes=30)
_FAR_BACK_AT_THE_LATEST = 2 * FAR_BACK_EVERY  # with a cycle, where it does not come beside them
_SHARED_FOR = timedelta(minutes=2)  # a look serves those who come so much later
_FAILURE_SHARED_FOR = timedelta(seconds=20)  # after its end; who tries again after half a minute is to ask MLflow
_SAME_SPAN = timedelta(hours=1)  # experiments that are to be read from about the same time on are read together
_MOST_REFUSALS = 40  # of one look's searches, before it is given up

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SharedLook:
    """When a look began, which experiments were there, and why nothing could be seen."""

    began: datetime
    experiments: Sequence[Experiment] = ()
    trouble: RunStoreError | None = None
    failed: datetime | None = None

    def serves(self, as_of: datetime, now: datetime) -> bool:
        """Say whether it began after *as_of* and is no older than is shared."""
        if self.failed is not None:
            return self.began > as_of and abs(now - self.failed) <= _FAILURE_SHARED_FOR
        return self.began > as_of and abs(now - self.began) <= _SHARED_FOR


@dataclass(slots=True)
class Lookout:
    """Looks at one MLflow for the pipelines *names*."""

    config: Config
    database: Database
    run_store: RunStore
    clock: Callable[[], datetime]
    names: set[str]
    _last: SharedLook | None = None
    _far_back_at: datetime | None = None
    _seen: dict[str, datetime] = field(default_factory=dict)  # by experiment: when the last look at it had begun
    _met: set[tuple[str, str]] = field(default_factory=set)  # pipelines with experiments that were looked at for them
    _refused: dict[str, RefusedError] = field(default_factory=dict)  # by experiment
    _waiting: WaitingRuns = field(default_factory=lambda: WaitingRuns(MOST))
    _watchers: dict[str, tuple[str, ...]] = field(default_factory=dict)  # pipelines, by experiment that is there
    _named: dict[str, tuple[str, ...]] = field(default_factory=dict)  # pipelines, by the name of an experiment
    _looking: threading.RLock = field(default_factory=threading.RLock)

    def alone(self, name: str) -> Lookout:
        """Return one that looks for one pipeline, knows of nothing yet, and so looks far back."""
        waiting = WaitingRuns(sys.maxsize)
        return Lookout(self.config, self.database, self.run_store, self.clock, {name}, _waiting=waiting)

    def experiments(self, name: str, as_of: datetime) -> Sequence[Experiment]:
        """Return the pipeline's experiments, by a look that began after *as_of*, and not long ago."""
        with self._looking:
            if name not in self.names:  # what was found before did not wait for it
                self.names.add(name)
                self._named.clear()
                self._last = None
            last, now = self._last, self.clock()
            if last is None or not last.serves(as_of, now):
                last = self._last = self._look(now)
        if last.trouble is not None:
            raise copy(last.trouble)  # each adds to it by which way it came
        return [each for each in last.experiments if name in self._watching(each)]

    def found(self, name: str, met: Sequence[Contact]) -> Sighting:
        """Return what the pipeline has to see to; those of its experiments that no look has met are looked at now.

        Raises what MLflow has said of one of them that it refuses.
        """
        with self._looking:
            anew = [each for each in met if not self._is_met(each)]
            anew = [each for each in anew if each.experiment_id not in self._refused]
            if anew:
                self._look_far_back(anew, self.clock())
            for each in met:
                if each.experiment_id in self._refused:
                    raise copy(self._refused[each.experiment_id])
            began = self._last.began if self._last is not None else self.clock()
        return self._waiting.of(name, began) or self._alone(name, met)

    def _alone(self, name: str, met: Sequence[Contact]) -> Sighting:
        """Look anew for a pipeline of which more was waiting than is kept."""
        alone = self.alone(name)
        alone.experiments(name, alone.clock())
        return alone.found(name, met)

    def see_to(self, name: str, sighting: Sighting) -> None:
        """Take note that the pipeline has seen to all of that."""
        self._waiting.see_to(name, sighting.runs)

    def look_far_back(self) -> None:
        """Look for what was logged late, at all experiments that are looked at."""
        now = self.clock()
        self._look_far_back([each for each in self._contacts() if self._is_met(each)], now)
        self._far_back_at = now

    def _look(self, now: datetime) -> SharedLook:
        try:
            there = self.run_store.experiments(self._patterns())
            self._watchers = {each.experiment_id: names for each in there if (names := self._watching(each))}
            self._forget_others()
            is_due = self._far_back_at is None or now - self._far_back_at > _FAR_BACK_AT_THE_LATEST
            known = [each for each in self._contacts() if each.pipeline in self._watchers.get(each.experiment_id, ())]
            far = [each for each in known if is_due or not self._is_met(each)]
            near = sorted(self._seen.keys() - {each.experiment_id for each in far})
            if far:
                self._look_far_back(far, now)
            if near:
                self._look_at_newest(near, now)
            self._far_back_at = now if is_due else self._far_back_at
        except RunStoreError as error:
            return SharedLook(now, trouble=error, failed=self.clock())
        return SharedLook(now, there)

    def _look_at_newest(self, near: Sequence[str], now: datetime) -> None:
        """Look for what has finished since the look before, and at as much of what is older as the same page shows."""
        since = min(self._seen[each] for each in near) - CLOCK_SKEW
        oldest = min(since, *(self._far_back_from(each) for each in near))

        def look(some: Sequence[str]) -> None:
            for page in self.run_store.finished(some, oldest):
                self._take(page, now)
                if page and page[-1].run.ended < since:
                    return

        self._seen |= dict.fromkeys(self._search(near, look), now)
        self._forget_others()

    def _look_far_back(self, known: Sequence[Contact], now: datetime) -> None:
        """Look at experiments for whatever has finished that one of their pipelines may not have met yet."""
        marks: dict[str, datetime] = {}
        ids = {each.experiment_id for each in known}
        known = [*known, *(each for each in self._contacts() if each.experiment_id in ids)]
        for each in known:
            mark = self._mark(each)
            marks[each.experiment_id] = min(mark, marks.get(each.experiment_id, mark))
        self._waiting.begin_anew({name for each in marks for name in self._watchers.get(each, ())})
        for since, together in _of_one_span(marks):

            def look(some: Sequence[str], since: datetime = since) -> None:
                for page in self.run_store.finished(some, since):
                    self._take(page, now)
                for odd in in_pieces(self.run_store.finished_oddly(some, since)):
                    self._take(odd, now)

            seen = self._search(together, look)
            self._waiting.complete(seen, now)
            self._seen |= {each: self._seen.get(each, now) for each in seen}
            self._met |= {(each.pipeline, each.experiment_id) for each in known if each.experiment_id in seen}

    def _take(self, page: Sequence[FoundRun], now: datetime) -> None:
        """Let runs wait for the pipelines that have not seen to them."""
        unknown = self._waiting.unknown(page, self._watchers)
        if unknown:
            with self.database.begin() as tx:
                done = {name: done_with(tx, name, [each.run for each in some]) for name, some in unknown.items()}
            self._waiting.add(unknown, done, now)

    def _is_met(self, contact: Contact) -> bool:
        """Say whether looks go to an experiment, and one far back has been for the pipeline."""
        pair = contact.pipeline, contact.experiment_id
        return pair in self._met and contact.experiment_id in self._seen

    def _mark(self, contact: Contact) -> datetime:
        """Return from when on to look for a pipeline: what the last look far back has found for it still waits."""
        overlap = self.config.pipeline[contact.pipeline].watch.overlap
        began = self._waiting.all_until(contact.experiment_id) if self._is_met(contact) else None
        return (began or contact.seen_to) - overlap

    def _far_back_from(self, experiment_id: str) -> datetime:
        names = self._watchers[experiment_id]
        began = self._waiting.all_until(experiment_id) or self._seen[experiment_id]
        return began - max(self.config.pipeline[name].watch.overlap for name in names)

    def _forget_others(self) -> None:
        """Forget experiments that are gone: should they come back, they are looked at from where they were left."""
        for gone in self._seen.keys() - self._watchers.keys():
            self._seen.pop(gone, None)
        self._met = {pair for pair in tuple(self._met) if pair[1] in self._seen}

    def _contacts(self) -> list[Contact]:
        with self.database.begin() as tx:
            return [each for each in contacts.of_pipelines(tx) if each.pipeline in self.names]

    def _search(self, ids: Sequence[str], look: Callable[[Sequence[str]], None]) -> list[str]:
        """Look at experiments together; where MLflow refuses, at fewer of them, down to those that it is about.

        Returns those that could be looked at.
        """
        apart = [[each] for each in ids if each in self._refused]
        together = in_pieces(each for each in ids if each not in self._refused)
        left, seen, refusals = [*together, *apart], list[str](), 0
        while left:
            some = left.pop()
            try:
                look(some)
            except RefusedError as error:
                refusals += 1
                if refusals > _MOST_REFUSALS + len(apart):
                    raise
                if len(some) > 1:
                    left += [some[: len(some) // 2], some[len(some) // 2 :]]
                    continue
                log.warning("refused", experiment=some[0], error=str(error))
                self._refused[some[0]] = error
                self._seen.pop(some[0], None)  # once it may be looked at again, it is from where it was left
            else:
                seen += some
                for each in some:
                    self._refused.pop(each, None)
        return seen

    def _patterns(self) -> Sequence[str]:
        return sorted({glob for name in self._configured for glob in self.config.pipeline[name].watched})

    @property
    def _configured(self) -> Sequence[str]:
        return sorted(self.names & self.config.pipeline.keys())

    def _watching(self, experiment: Experiment) -> tuple[str, ...]:
        """Return the pipelines that watch an experiment."""
        known = self._named.get(experiment.name)
        if known is None:
            found = (name for name in self._configured if _watches(self.config, name, experiment))
            known = self._named[experiment.name] = tuple(found)
        return known


def watch_all(config: Config, database: Database, run_store: RunStore, clock: Callable[[], datetime]) -> Lookout:
    """Let one look out for all pipelines that come to be due."""
    names = {name for name, section in config.pipeline.items() if section.schedule is not None}
    return Lookout(config, database, run_store, clock, names)


def done_with(tx: Connection, pipeline: str, found: Sequence[Run]) -> frozenset[str]:
    """Return those that were judged, reruns, and those that broke what judges them and are tried again later."""
    run_ids = [run.run_id for run in found]
    done = runs.seen(tx, pipeline, run_ids) | quarantine.among(tx, pipeline, run_ids)
    return done | fires.made_by_reruns(tx, found)


def _watches(config: Config, name: str, experiment: Experiment) -> bool:
    return any(fnmatchcase(experiment.name, pattern) for pattern in config.pipeline[name].watched)


def _of_one_span(marks: Mapping[str, datetime]) -> Iterator[tuple[datetime, list[str]]]:
    """Yield experiments that are to be read from about the same time on, and that time."""
    together: list[str] = []
    since: datetime | None = None
    for experiment_id, mark in sorted(marks.items(), key=lambda item: (item[1], item[0])):
        if since is not None and mark - since > _SAME_SPAN:
            yield since, together
            together, since = [], None
        since = since or mark
        together.append(experiment_id)
    if since is not None:
        yield since, together
