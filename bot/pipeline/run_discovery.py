"""What a pipeline sees of MLflow: its experiments, which of their runs are past, and which are new."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.config.pipeline import PipelineSection, WatchSection
from bot.domain.runs import Run, RunStatus
from bot.errors import NoStoreError
from bot.ports import Experiment, RunStore, Selection
from bot.store import Database, contacts, fires, quarantine, runs
from bot.store.contacts import Contact

_CLOCK_SKEW = timedelta(minutes=5)  # between MLflow's clock and ours
_SEEN_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class SeenExperiment:
    """One experiment, and what is known of it."""

    experiment: Experiment
    contact: Contact

    def is_past(self, run: Run) -> bool:
        return run.ended <= self.contact.since


@dataclass(frozen=True, slots=True)
class RunDiscovery:
    """Looks at the experiments of one pipeline."""

    pipeline: str
    section: PipelineSection
    database: Database
    run_store: RunStore

    def look(self, now: datetime) -> tuple[SeenExperiment, ...]:
        """Find the pipeline's experiments, and take note of those met for the first time.

        One that was made since the last look has no past. Of any other, what had ended before now is the past.
        """
        found = self._experiments()
        with self.database.begin() as tx:
            known = {contact.experiment_id: contact for contact in contacts.of_pipeline(tx, self.pipeline)}
            last_look = max((contact.looked_at for contact in known.values()), default=None)
            met = [known.get(each.experiment_id) or self._meet(each, last_look, now) for each in found]
            for contact in met or [Contact(self.pipeline, "", now, now, past_read=True)]:
                contacts.save(tx, replace(contact, looked_at=now))
        return tuple(SeenExperiment(each, contact) for each, contact in zip(found, met, strict=True))

    def _experiments(self) -> Sequence[Experiment]:
        try:
            return self.run_store.experiments(self.section.watched)
        except NoStoreError:
            if self.section.job is None:
                raise
            return ()  # the first job makes it

    def _meet(self, experiment: Experiment, last_look: datetime | None, now: datetime) -> Contact:
        is_new = last_look is not None and experiment.created > last_look - _CLOCK_SKEW
        since = experiment.created - _CLOCK_SKEW if is_new else now
        return Contact(self.pipeline, experiment.experiment_id, since, now, past_read=is_new)

    def past(self, sights: Sequence[SeenExperiment]) -> list[Run]:
        """Return the finished runs that were there at first contact and have not been read yet, oldest first."""
        unread = [sight for sight in sights if not sight.contact.past_read]
        found = [
            run
            for sight in unread
            for run in self.run_store.runs_since(sight.experiment, None, self._selection)
            if sight.is_past(run) and self._counts(run, sight.experiment)
        ]
        with self.database.begin() as tx:
            seen = self._done_with(tx, found)
        return sorted((run for run in found if run.run_id not in seen), key=lambda run: run.place)

    def unseen(self, sights: Sequence[SeenExperiment]) -> Iterator[tuple[Run, bool]]:
        """Yield finished runs that were not judged, oldest first, with whether they had ended before first contact."""
        streams = [self._since_mark(sight) for sight in sights]
        batch: list[tuple[Run, bool]] = []
        for pair in heapq.merge(*streams, key=lambda pair: pair[0].ended):
            batch.append(pair)
            if len(batch) >= _SEEN_AT_ONCE:
                yield from self._without_seen(batch)
                batch = []
        yield from self._without_seen(batch)

    def is_any_new(self, now: datetime) -> bool:
        """Say whether there is a finished run that was not judged."""
        return any(True for _ in self.unseen(self.look(now)))

    def _since_mark(self, sight: SeenExperiment) -> Iterator[tuple[Run, bool]]:
        mark = sight.contact.watermark or sight.contact.since
        for run in self.run_store.runs_since(sight.experiment, mark - self.section.watch.overlap, self._selection):
            if self._counts(run, sight.experiment):
                yield run, sight.is_past(run)

    def _counts(self, run: Run, experiment: Experiment) -> bool:
        return is_counted(self.run_store, experiment, run, self.section.watch)

    def _without_seen(self, batch: Sequence[tuple[Run, bool]]) -> list[tuple[Run, bool]]:
        with self.database.begin() as tx:
            seen = self._done_with(tx, [run for run, _ in batch])
        unseen = [(run, past) for run, past in batch if run.run_id not in seen]
        return sorted(unseen, key=lambda pair: pair[0].place)

    def _done_with(self, tx: Connection, found: Sequence[Run]) -> frozenset[str]:
        """Return those that were judged, reruns, and those that broke what judges them and are tried again later."""
        run_ids = [run.run_id for run in found]
        done = runs.seen(tx, self.pipeline, run_ids) | quarantine.among(tx, self.pipeline, run_ids)
        return done | fires.made_by_reruns(tx, found)

    def move_marks(self, sights: Sequence[SeenExperiment], now: datetime) -> None:
        """Remember that everything up to *now* was looked at."""
        with self.database.begin() as tx:
            for sight in sights:
                contacts.save(tx, replace(sight.contact, past_read=True, watermark=now))

    @property
    def _selection(self) -> Selection:
        return Selection(self.section.watch.filter, self.section.watch.nested)


def is_counted(run_store: RunStore, experiment: Experiment, run: Run, watch: WatchSection) -> bool:
    """Say whether a run is one of the pipeline's; one that only holds others, such as a sweep's, has no metrics."""
    if run.status is not RunStatus.FINISHED:
        return False
    is_bare = not run.metrics and not watch.parents
    return not (is_bare and run_store.has_children(experiment, run.run_id))
