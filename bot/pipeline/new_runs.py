"""What MLflow has and nobody has judged yet: first the runs of before first contact, then those that are new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.domain.baselines import BASELINE_RUNS
from bot.domain.job_protocol import FIRE_TAG
from bot.domain.runs import Run
from bot.judging.context import JudgingContext
from bot.judging.run_recording import Age
from bot.judging.setting_aside import GuardedJudge
from bot.pipeline.cycle_report import CycleReport
from bot.pipeline.lease import PipelineLease
from bot.pipeline.newest_of_each import NewestOfEach
from bot.pipeline.run_discovery import RunDiscovery, SeenExperiment
from bot.services.mlflow.missing_experiments import say_nothing_there

_AT_ONCE = 25  # runs of the past
_JUDGED_BY_METRICS = 40  # runs of a series, before those whose artifacts are read: they fill the judge's memory


@dataclass(frozen=True, slots=True)
class NewRuns:
    """Judges the runs of one pipeline that nobody has judged yet."""

    context: JudgingContext
    discovery: RunDiscovery
    lease: PipelineLease
    stopping: Callable[[], bool]
    on_past: Callable[[int, int], None]  # at first contact: runs read; then those judged, and of how many

    @property
    def _guarded_judge(self) -> GuardedJudge:
        return GuardedJudge(self.context)

    def judge(self, report: CycleReport, but_not: Collection[str], as_of: datetime) -> bool:
        """Judge what there was to see *as of* then; False where Herald was asked to stop before the end of it."""
        sights = self.discovery.look(self.context.clock(), as_of)
        if not sights and self.context.section.job is None:
            report.trouble = say_nothing_there(self.context.section.wanted_experiments, self.context.run_store)
        report.judged += self._guarded_judge.try_again()
        if not self._judge_past(sights, report, but_not):
            return False
        sighting = self.discovery.sight(sights)
        for run, is_past in self.discovery.unseen(sights, sighting):
            if self.stopping():
                return False
            if run.tags.get(FIRE_TAG) not in but_not:
                report.judged += self._guarded_judge.judge(run, None, Age.PAST if is_past else Age.NEW)
                self.lease.renew()
        self.discovery.see_to(sights, sighting)
        return True

    def _judge_past(self, sights: Sequence[SeenExperiment], report: CycleReport, but_not: Collection[str]) -> bool:
        """Judge what was there at first contact; False where Herald was asked to stop before the end of it."""
        newest = self._read_past(sights, report, but_not)
        if newest is None:
            return False
        unread = sorted((each.run for each in newest), key=lambda run: run.place)
        series = [self.context.series_of(run) for run in unread]
        left = Counter(series)
        old: list[Run] = []  # too far from the present for their artifacts to matter
        for done, (run, name) in enumerate(zip(unread, series, strict=True)):
            self.on_past(done, len(unread))
            left[name] -= 1
            is_old = left[name] >= BASELINE_RUNS + self.context.section.watch.recent
            if old and not (is_old and len(old) < _AT_ONCE):
                self.lease.renew()
                report.judged += self._guarded_judge.judge_old(old)
                old = []
            if self.stopping():
                return False
            if is_old:
                old.append(run)
            else:
                self.lease.renew()
                report.judged += self._guarded_judge.judge(run, None, Age.PAST if left[name] else Age.NEWEST_OF_PAST)
        return True

    def _read_past(
        self, sights: Sequence[SeenExperiment], report: CycleReport, but_not: Collection[str]
    ) -> NewestOfEach | None:
        """Put on record what is too old to be judged, as it is read; return the rest, or None if asked to stop.

        With it is remembered from where the past would have to be read again, should Herald be killed.
        """
        newest = NewestOfEach(BASELINE_RUNS + self.context.section.watch.recent + _JUDGED_BY_METRICS)
        for page in self.discovery.past(sights):
            self.lease.renew()
            if self.stopping():
                return None
            there = [each for each in page.runs if each.run.tags.get(FIRE_TAG) not in but_not]
            added = (newest.add(self.context.series_of(each.run), each) for each in there)
            older = [each.run for each in added if each is not None]
            if older:
                report.judged += self._guarded_judge.put_on_record(older)
                self.discovery.remember(page.sight, newest.first_begun(page.sight.experiment.experiment_id))
            report.history += len(there)
            self.on_past(report.history, 0)
        return newest
