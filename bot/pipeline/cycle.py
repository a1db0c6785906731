"""One pass over a pipeline: fires are seen through to the runs of their jobs, and what is new is judged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bot.config.models import Config
from bot.config.pipeline import PipelineSection
from bot.domain.fires import Fire, FireState
from bot.errors import LeaseLostError, RunStoreError
from bot.judging.blindness import BlindnessWatch
from bot.judging.cluster_watch import ClusterWatch
from bot.judging.context import JudgingContext
from bot.judging.diagnosing import Diagnoser
from bot.judging.reminding import Reminder
from bot.judging.silence import SilenceWatch
from bot.judging.umbrellas import UmbrellaKeeper
from bot.judging.unjudged_metrics import find_unjudged
from bot.pipeline.cycle_report import CycleReport
from bot.pipeline.jobs import JobRunner
from bot.pipeline.lease import PipelineLease
from bot.pipeline.leftovers import Leftovers
from bot.pipeline.lookout import Lookout
from bot.pipeline.new_runs import NewRuns
from bot.pipeline.rerun_places import RerunPlaces, finish_together
from bot.pipeline.run_discovery import RunDiscovery
from bot.ports import Executor, RunStore
from bot.runtime import tallies
from bot.runtime.log import get_logger
from bot.runtime.steps import ignore_progress, ignore_step
from bot.store import Database, fires, quarantine
from bot.store.owners import Owner

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cycle:
    """Runs cycles of one pipeline; what has to be told goes into the outbox."""

    name: str
    config: Config
    database: Database
    run_store: RunStore
    executor_of: Callable[[str], Executor]
    owner: Owner
    lookout: Lookout  # shared with other pipelines
    clock: Callable[[], datetime]
    pause: Callable[[float], None]
    folder: Path  # that relative paths of the config start from
    stopping: Callable[[], bool] = lambda: False
    on_step: Callable[[str], None] = ignore_step
    on_past: Callable[[int, int], None] = (
        ignore_progress  # at first contact: runs read; then those judged, and of how many
    )

    @property
    def pipeline(self) -> PipelineSection:
        return self.config.pipeline[self.name]

    @property
    def _context(self) -> JudgingContext:
        return JudgingContext(self.name, self.config, self.database, self.run_store, self.clock, self.on_step)

    @property
    def _lease(self) -> PipelineLease:
        return PipelineLease(self.name, self.database, self.owner)

    @property
    def _jobs(self) -> JobRunner:
        return JobRunner(self._context, self.executor_of, self._lease, self.pause, self.stopping, self.folder)

    def _discovery(self, lookout: Lookout) -> RunDiscovery:
        return RunDiscovery(self.name, self.pipeline, self.database, self.run_store, lookout)

    def _new_runs(self, lookout: Lookout) -> NewRuns:
        return NewRuns(self._context, self._discovery(lookout), self._lease, self.stopping, self.on_past)

    @property
    def _blindness(self) -> BlindnessWatch:
        return BlindnessWatch(self._context)

    def run(self, due_at: datetime, *, by_hand: bool = False) -> CycleReport:
        """Run the job that is due at *due_at*, judge what is new, and confirm what is suspicious.

        What ended before is judged first, so that every run is held against the past alone; then a fire that an earlier
        Herald left is finished. Returns early when asked to stop; jobs live on. It looks for itself, and far back: who
        asks for this pipeline has what was logged late too.
        """
        report, lookout = CycleReport(), self.lookout.alone(self.name)
        with self._at_work(report) as held:
            if held:
                self._finish_recorded(report, lookout)
                if not self.stopping() and not report.elsewhere:
                    report.judged += self._jobs.finish(self._jobs.record(due_at, by_hand=by_hand))
                self._finish_cycle(report, lookout, self.clock())
        return report

    def resume(self) -> CycleReport:
        """Do the same for the fires that are recorded and not over, whoever recorded them.

        A pipeline without a job shares its look with others that are due: it began after the fires were.
        """
        report = CycleReport()
        with self._at_work(report) as held:
            if held:
                recorded = self._finish_recorded(report, self.lookout)
                looks = self.pipeline.job is None and bool(recorded)
                as_of = max(fire.due_at for fire in recorded) if looks else self.clock()
                self._finish_cycle(report, self.lookout, as_of)
        return report

    @contextmanager
    def _at_work(self, report: CycleReport) -> Iterator[bool]:
        """Hold the pipeline's lease; where it was lost meanwhile, another Herald goes on and nothing more is done."""
        try:
            with self._lease.held() as held, self._noting_blindness():
                report.busy = not held
                yield held
        except LeaseLostError as error:
            log.warning("left to another Herald", pipeline=self.name, why=str(error), always=True)
            report.busy = True

    @contextmanager
    def _noting_blindness(self) -> Iterator[None]:
        """Note that it could not be looked, and file it once it has lasted: nobody else may where nothing serves."""
        try:
            yield
        except RunStoreError as error:
            self._blindness.missed(str(error))
            self._blindness.look_for_blindness()
            raise

    def _finish_cycle(self, report: CycleReport, lookout: Lookout, as_of: datetime) -> None:
        self._judge_new(report, lookout, as_of)
        self._confirm(report)
        self._diagnose(report)
        self._end_looks()
        self.listen()
        if not self.stopping():  # what was filed until then is counted with what the next cycle finds
            UmbrellaKeeper(self._context).settle()

    def judge_only(self) -> CycleReport:
        """Judge what is new without starting, finishing or confirming any job: what a dry run does."""
        report = CycleReport()
        self._judge_new(report, self.lookout.alone(self.name), self.clock())
        UmbrellaKeeper(self._context).settle()
        return report

    def stop_job(self) -> bool:
        """End the job that runs for this pipeline, and record that it was stopped; says whether there was one.

        What another Herald is at work on is left to it.
        """
        with self._lease.held() as held, self.database.begin() as tx:
            recorded = fires.unfinished(tx, self.name) if held else ()
        return self._jobs.stop(recorded)

    def end_stopped(self) -> bool:
        """End the jobs of reruns whose diagnosis a person has stopped; says False where another Herald is to do so."""
        with self._lease.held() as held:
            if held:
                with self.database.begin() as tx:
                    recorded = [fire for fire in fires.unfinished(tx, self.name) if self._jobs.is_called_off(tx, fire)]
                self._jobs.stop(recorded)
                Leftovers(self._context, self.folder).remove_checkouts()
        return held

    def clear(self) -> None:
        """Remove what reruns of diagnoses left that no diagnosis needs; what another Herald is at work on is left."""
        if self.pipeline.diagnose is None:
            return
        with self._lease.held() as held:
            if held:
                leftovers = Leftovers(self._context, self.folder)
                leftovers.remove_checkouts()
                leftovers.remove_environments()

    def _finish_recorded(self, report: CycleReport, lookout: Lookout) -> Sequence[Fire]:
        with self.database.begin() as tx:
            recorded = fires.due_by(tx, self.name, self._lease.agreed_time(tx, self.clock()))
        if self.pipeline.job is None and not any(fire.started_at for fire in recorded):
            return recorded  # the look at the cycle's end sees all that this one would
        self._judge_new(report, lookout, self.clock(), but_not={fire.fire_id for fire in recorded})
        for fire in recorded:
            if not self.stopping() and not fire.gives_way:
                report.take(self._jobs.finish(fire))
        report.elsewhere = self._jobs.places.is_any_elsewhere()
        return recorded

    def _end_looks(self) -> None:
        """End the fires of a pipeline that only looks: its new runs are judged now."""
        if self.pipeline.job is not None:
            return
        now = self.clock()
        with self.database.begin() as tx:
            agreed = self._lease.agreed_time(tx, now)
            for fire in fires.due_by(tx, self.name, agreed):
                fires.save(tx, replace(fire, state=FireState.ENDED, started_at=now, ended_at=now))
                if fire.is_of_schedule:
                    tallies.lateness.note((agreed - fire.due_at).total_seconds())

    def _judge_new(self, report: CycleReport, lookout: Lookout, as_of: datetime, but_not: Collection[str] = ()) -> None:
        """Judge finished runs that were not judged before, whoever made them: first those of before first contact.

        Runs of the fires *but_not* are left for when their jobs are concluded.
        """
        saw_all = self._new_runs(lookout).judge(report, but_not, as_of)
        if saw_all and report.trouble:
            self._blindness.missed(report.trouble)
        elif saw_all:
            self._blindness.saw()
        with self.database.begin() as tx:
            report.set_aside = quarantine.of_pipeline(tx, self.name)
            report.unjudged = tuple(find_unjudged(tx, self.name))

    def listen(self) -> None:
        """Say what no run says: that none came in time, that none can be seen, that nobody has answered."""
        self._blindness.look_for_blindness()
        ClusterWatch(self._context).look()
        Reminder(self._context).remind()
        try:
            SilenceWatch(self._context, self._discovery(self.lookout).is_any_new).look_for_silence()
        except RunStoreError as error:
            self._blindness.missed(str(error))
            raise

    def diagnose(self) -> CycleReport:
        """Take the inquiries of the pipeline to their ends: rerun by rerun, and what is due meanwhile goes first."""
        report = CycleReport()
        with self._at_work(report) as held:
            is_left = held
            while is_left:
                self._finish_first(report)
                is_left = self._diagnose(report)
        return report

    def _finish_first(self, report: CycleReport) -> None:
        """Finish what is recorded and does not give way to others."""
        with self.database.begin() as tx:
            is_any = not all(fire.gives_way for fire in fires.unfinished(tx, self.name))
        if is_any:
            self._finish_recorded(report, self.lookout.alone(self.name))
            self._confirm(report)

    def _diagnose(self, report: CycleReport) -> bool:
        """Take inquiries on by one rerun, or as many as run at once, so that nothing that is due waits for longer.

        Says whether there is more.
        """
        if self.stopping():
            return False
        diagnoser = Diagnoser(self._context)
        diagnoser.go_on(self.folder)
        wanted = self._places.begin()
        if wanted and not self._are_finished(report, wanted):
            return False
        diagnoser.go_on(self.folder)
        Leftovers(self._context, self.folder).remove_checkouts()
        return bool(wanted)

    @property
    def _places(self) -> RerunPlaces:
        return RerunPlaces(self._context, self.owner)

    def _are_finished(self, report: CycleReport, wanted: Sequence[Fire]) -> bool:
        """See reruns through at the same time; say whether all are over."""
        if len(wanted) == 1:
            return self._is_finished(report, wanted[0])
        for judged in finish_together(self._jobs, wanted):
            report.take(judged)
        with self.database.begin() as tx:
            after = [fires.find(tx, fire.fire_id) for fire in wanted]
        return all(fire is None or fire.state.is_over for fire in after)

    def _confirm(self, report: CycleReport) -> bool:
        """Make the reruns that are recorded, one after the other, with those that they call for.

        Says whether all are over; else another Herald goes on with them, or this one later.
        """
        while not self.stopping():
            with self.database.begin() as tx:
                found = fires.unfinished(tx, self.name)
            wanted = next((fire for fire in found if fire.is_rerun and not fire.gives_way), None)
            if wanted is None:
                return True
            if not self._is_finished(report, wanted):
                return False
        return False

    def _is_finished(self, report: CycleReport, fire: Fire) -> bool:
        """See a rerun through; say whether it is over, or else for another Herald to go on with."""
        report.take(self._jobs.finish(fire))
        with self.database.begin() as tx:
            after = fires.find(tx, fire.fire_id)
        return after is None or after.state.is_over
