"""What a run is judged with, from MLflow: its artifacts, its baseline and the released run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.domain.judged_run import JudgedRun
from bot.domain.runs import DataCard, Run, RunResult, Trouble, Unread
from bot.errors import ArtifactsAwayError, RunStoreError, in_short
from bot.judging.context import JudgingContext
from bot.runtime.log import get_logger
from bot.store import quarantine
from bot.store.quarantine import SetAside

_BASELINE_BYTES = 512_000_000  # of per-example tables that a run is held against
_PATIENCE = 3, timedelta(minutes=10)  # tries, or time, after which a run is judged without artifacts that are away

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunLoader:
    """Loads the runs of one pipeline."""

    context: JudgingContext

    def load(self, run: Run) -> RunResult:
        """Load a run that is to be judged: without its artifacts where they have been away for long enough."""
        try:
            return self.context.run_store.load(run)
        except ArtifactsAwayError as error:
            if not self._has_waited(run, error):
                raise
            return RunResult(run, unread=(Unread("artifacts", Trouble.NOT_HAD, in_short(error)),))

    def _has_waited(self, run: Run, error: ArtifactsAwayError) -> bool:
        """Count one more try; say whether there were enough of them, over however many cycles."""
        name, now, (most, longest) = self.context.name, self.context.clock(), _PATIENCE
        with self.context.database.begin() as tx:
            known = quarantine.find(tx, name, run.run_id)
            if known is not None and not known.waits:  # it was set aside, and has all the time there is
                return True
            since, tries = (known.since, known.tries + 1) if known is not None else (now, 1)
            why = in_short(error)
            quarantine.save(
                tx, SetAside(name, run.run_id, run.name, why, run.ended, since, tries, version="", waits=True)
            )
        return tries >= most or now - since >= longest

    def baseline(
        self, result: RunResult, accepted: Sequence[JudgedRun], experiment_ids: Sequence[str], *, is_past: bool = False
    ) -> tuple[RunResult, ...]:
        """Load what a run is held against; what was deleted in MLflow is no baseline while it is.

        Of a run of the past nothing is told, and those before it were listed with it: MLflow is not asked whether they
        are there. Their artifacts are read where it brings some to be held against them. Where there is no room for all
        per-example tables, the newest have it.
        """
        ids = [judged.run.run_id for judged in accepted]
        there = frozenset(ids) if is_past else self.context.run_store.present(experiment_ids, ids)
        found: list[RunResult] = []
        room = _BASELINE_BYTES
        for judged in reversed(accepted):
            if judged.run.run_id in there:
                is_read = result.examples is not None or (bool(result.card) and not judged.card)
                earlier = self._load_earlier(judged.run, judged.card) if is_read else RunResult(judged.run, judged.card)
                room -= earlier.examples.size if earlier.examples is not None else 0
                found.append(earlier if room >= 0 else replace(earlier, examples=None))
        return tuple(reversed(found))

    def released(self, run: Run, *, is_early: bool = False) -> RunResult | None:
        """Load the released run, where config names one and *run* may be held against it: later, of its series.

        With *is_early* that does not matter: runs after it may be later.
        """
        release = self.context.section.pinned
        if release is None:
            return None
        found = self.context.run_store.released(release)
        if found is None:
            log.warning("no such release", pipeline=self.context.name, release=str(release))
            return None
        is_other = found.run_id != run.run_id and (is_early or found.place < run.place)
        is_held_against = is_other and self.context.series_of(found) == self.context.series_of(run)
        return self._load_earlier(found, DataCard()) if is_held_against else None

    def _load_earlier(self, run: Run, card: DataCard) -> RunResult:
        """Load a run to hold others against: with its metrics alone where its artifacts break what reads them."""
        try:
            return self.context.run_store.load(run, card or None)
        except Exception as error:
            if isinstance(error, RunStoreError) and not isinstance(error, ArtifactsAwayError):
                raise
            name = self.context.name
            log.warning(
                "compared without its artifacts", pipeline=name, run=run.run_id, named=run.name, error=in_short(error)
            )
            return RunResult(run, card)
