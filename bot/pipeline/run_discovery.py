"""What a pipeline sees of MLflow: its experiments, which of their runs are past, and which are new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.config.pipeline import PipelineSection, WatchSection
from bot.domain.runs import Run, RunStatus
from bot.errors import NoStoreError
from bot.pipeline.lookout import CLOCK_SKEW, Lookout, done_with
from bot.pipeline.waiting_runs import Sighting
from bot.ports import FROM_THE_BEGINNING, Experiment, FoundRun, HistoryPage, RunStore, Selection
from bot.services.mlflow.times import MILLISECONDS, read_moment, unit_of
from bot.store import Database, contacts
from bot.store.batches import in_pieces
from bot.store.contacts import Contact

_A_MOMENT = timedelta(seconds=30)
_SEEN_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class SeenExperiment:
    """One experiment, and what is known of it."""

    experiment: Experiment
    contact: Contact

    def is_past(self, run: Run) -> bool:
        return run.ended <= self.contact.since


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run that had ended before first contact."""

    begun: int  # when it was started, as MLflow writes it
    run: Run
    sight: SeenExperiment


@dataclass(frozen=True, slots=True)
class PastPage:
    """Some of the past of one experiment."""

    sight: SeenExperiment
    runs: Sequence[PastRun]


@dataclass(frozen=True, slots=True)
class RunDiscovery:
    """Looks at the experiments of one pipeline."""

    pipeline: str
    section: PipelineSection
    database: Database
    run_store: RunStore
    lookout: Lookout

    def look(self, now: datetime, as_of: datetime) -> tuple[SeenExperiment, ...]:
        """Find the pipeline's experiments as they were no earlier than *as_of*, and take note of those met now.

        One that was made since the last look has no past. Of any other, what had ended before now is the past.
        """
        found = self._experiments(as_of)
        with self.database.begin() as tx:
            known = {contact.experiment_id: contact for contact in contacts.of_pipeline(tx, self.pipeline)}
            last_look = max((contact.looked_at for contact in known.values()), default=None)
            met = [known.get(each.experiment_id) or self._meet(each, last_look, now) for each in found]
            for contact in met or [Contact(self.pipeline, "", now, now, past_read=True)]:
                contacts.save(tx, replace(contact, looked_at=now))
        return tuple(SeenExperiment(each, contact) for each, contact in zip(found, met, strict=True))

    def _experiments(self, as_of: datetime) -> Sequence[Experiment]:
        try:
            return self.lookout.experiments(self.pipeline, as_of)
        except NoStoreError:
            if self.section.job is None:
                raise
            return ()  # the first job makes it

    def _meet(self, experiment: Experiment, last_look: datetime | None, now: datetime) -> Contact:
        is_new = last_look is not None and experiment.created > last_look - CLOCK_SKEW
        since = experiment.created - CLOCK_SKEW if is_new else now
        return Contact(self.pipeline, experiment.experiment_id, since, now, past_read=is_new)

    def past(self, sights: Sequence[SeenExperiment]) -> Iterator[PastPage]:
        """Yield page by page the finished runs that were there at first contact, from where the last reading came to.

        Of each page those that were not judged yet.
        """
        for sight in sights:
            if sight.contact.past_read:
                continue
            begun = FROM_THE_BEGINNING if sight.contact.watermark is None else milliseconds(sight.contact.watermark)
            for page in self.run_store.history(sight.experiment, begun, self._selection):
                yield PastPage(sight, self._unread(sight, page))

    def _unread(self, sight: SeenExperiment, page: HistoryPage) -> list[PastRun]:
        runs = [PastRun(begun, run, sight) for begun, run in page.runs if sight.is_past(run)]
        with self.database.begin() as tx:
            done = done_with(tx, self.pipeline, [each.run for each in runs])
        new = (each for each in runs if each.run.run_id not in done)
        return [each for each in new if is_counted(self.run_store, sight.experiment, each.run, self.section.watch)]

    def remember(self, sight: SeenExperiment, begun: int | None) -> None:
        """Remember that of the past all is on record that was started before then."""
        moment = read_moment(begun) if unit_of(begun) == MILLISECONDS else None
        if moment is not None:
            with self.database.begin() as tx:
                contacts.save(tx, replace(sight.contact, watermark=moment))

    def sight(self, sights: Sequence[SeenExperiment]) -> Sighting:
        """Return what looks have found for the pipeline, be it new or not."""
        return self.lookout.found(self.pipeline, [sight.contact for sight in sights])

    def unseen(self, sights: Sequence[SeenExperiment], sighting: Sighting) -> Iterator[tuple[Run, bool]]:
        """Yield finished runs that were not judged, oldest first, with whether they had ended before first contact."""
        for some in in_pieces(sighting.runs, _SEEN_AT_ONCE):
            yield from self._news_among(some, {sight.experiment.experiment_id: sight for sight in sights}, sighting)

    def _news_among(
        self, some: Sequence[FoundRun], sights: Mapping[str, SeenExperiment], sighting: Sighting
    ) -> Iterator[tuple[Run, bool]]:
        with self.database.begin() as tx:
            done = done_with(tx, self.pipeline, [each.run for each in some])
        news = [each for each in some if each.run.run_id not in done and self._is_watched(each, sights)]
        now = self._as_they_are(news, sights, sighting)
        for each in news:
            run, sight = now.get(each.run.run_id), sights[each.experiment_id]
            if run is not None and is_counted(self.run_store, sight.experiment, run, self.section.watch):
                yield run, sight.is_past(run)

    def _is_watched(self, found: FoundRun, sights: Mapping[str, SeenExperiment]) -> bool:
        """Say whether a run is where the pipeline looks, and was logged in time."""
        sight = sights.get(found.experiment_id)
        if sight is None or (found.is_nested and not self.section.watch.nested):
            return False
        mark = sight.contact.seen_to
        return found.run.ended >= mark - self.section.watch.overlap

    def _as_they_are(
        self, news: Sequence[FoundRun], sights: Mapping[str, SeenExperiment], sighting: Sighting
    ) -> Mapping[str, Run]:
        """Return runs as they are now, by their ids; without those that are gone, or that the filter leaves out."""
        taken = self.section.watch.filter
        asked = [each.run.run_id for each in news if taken or each.run.run_id in sighting.aged]
        found = {each.run.run_id: each.run for each in news if each.run.run_id not in asked}
        if asked:
            found |= {run.run_id: run for run in self.run_store.named(list(sights), asked, taken)}
        return found

    def is_any_new(self, now: datetime) -> bool:
        """Say whether there is a finished run that was not judged."""
        sights = self.look(now, now - _A_MOMENT)
        return any(True for _ in self.unseen(sights, self.sight(sights)))

    def see_to(self, sights: Sequence[SeenExperiment], sighting: Sighting) -> None:
        """Remember that everything sighted was seen to, and since when nothing can have been missed."""
        self.lookout.see_to(self.pipeline, sighting)
        moved = [
            replace(sight.contact, past_read=True, watermark=mark)
            for sight in sights
            if (mark := sighting.all_until.get(sight.experiment.experiment_id)) is not None
        ]
        changed = [each for each in moved if each not in {sight.contact for sight in sights}]
        if changed:
            with self.database.begin() as tx:
                for contact in changed:
                    contacts.save(tx, contact)

    @property
    def _selection(self) -> Selection:
        return Selection(self.section.watch.filter, self.section.watch.nested)


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def is_counted(run_store: RunStore, experiment: Experiment, run: Run, watch: WatchSection) -> bool:
    """Say whether a run is one of the pipeline's; one that only holds others, such as a sweep's, has no metrics."""
    if run.status is not RunStatus.FINISHED:
        return False
    is_bare = not run.metrics and not watch.parents
    return not (is_bare and run_store.has_children(experiment, run.run_id))
