"""One pass over a pipeline: fires are seen through to the runs of their jobs, and what is new is judged."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from bot.config.models import Config
from bot.config.pipeline import JobSection, PipelineSection
from bot.delivery.dispatcher import ignore_step
from bot.domain.fires import Fire, FireState
from bot.domain.job_protocol import FIRE_TAG, GUESS_TAG
from bot.domain.judged_run import JudgedRun
from bot.domain.runs import Run, RunStatus
from bot.errors import JobError, RunStoreError
from bot.executors import job_logs
from bot.judging.blindness import Lookout
from bot.judging.context import JudgingContext
from bot.judging.doubts import Doubt, find_doubts
from bot.judging.recording import Age
from bot.judging.run_judge import BASELINE_RUNS
from bot.judging.setting_aside import GuardedJudge
from bot.judging.silence import SilenceWatch
from bot.pipeline.run_discovery import Sight, Watch
from bot.ports import Executor, Job, JobState, JobStatus, RunStore
from bot.runtime.log import get_logger
from bot.services.mlflow.missing_experiments import say_nothing_there
from bot.store import Database, aside, fires, leases, runs
from bot.store.aside import SetAside
from bot.store.owners import Owner

LEASE_OF = "pipeline:"  # and its name
_LEASE = timedelta(minutes=2)
_LOG_LINES = 20
_AT_ONCE = 25  # runs of the past

log = get_logger(__name__)


def ignore_progress(done: int, total: int) -> None:
    """Take note of how far a long piece of work has come, and do nothing."""


@dataclass(slots=True)
class CycleReport:
    """What a cycle did, run by run."""

    judged: list[JudgedRun] = field(default_factory=list)
    set_aside: Sequence[SetAside] = ()  # of the pipeline, since when ever
    history: int = 0  # runs that were there at first contact
    trouble: str = ""  # why there was nothing to look at
    unseen: str = ""  # why it could not be looked
    doubts: Sequence[Doubt] = ()  # metrics that cannot be judged
    busy: bool = False  # another Herald is at work on this pipeline

    @property
    def is_hopeless(self) -> bool:
        """Say whether no run that was judged has ever had anything to be judged by."""
        found = [finding for judged in self.judged for finding in judged.findings]
        return bool(found) and all(finding.is_unheard_of for finding in found)


@dataclass(frozen=True, slots=True)
class Cycle:
    """Runs cycles of one pipeline; what has to be told goes into the outbox."""

    name: str
    config: Config
    database: Database
    run_store: RunStore
    executor: Executor
    owner: Owner
    clock: Callable[[], datetime]
    pause: Callable[[float], None]
    folder: Path  # that relative paths of the config start from
    stopping: Callable[[], bool] = lambda: False
    on_step: Callable[[str], None] = ignore_step
    on_past: Callable[[int, int], None] = ignore_progress  # at first contact: runs read, and how many
    poll_seconds: float = 0.2

    @property
    def pipeline(self) -> PipelineSection:
        return self.config.pipeline[self.name]

    @property
    def _context(self) -> JudgingContext:
        return JudgingContext(self.name, self.config, self.database, self.run_store, self.clock, self.on_step)

    @property
    def _judge(self) -> GuardedJudge:
        return GuardedJudge(self._context)

    @property
    def _watch(self) -> Watch:
        return Watch(self.name, self.pipeline, self.database, self.run_store)

    @property
    def _lookout(self) -> Lookout:
        return Lookout(self._context)

    def run(self, due_at: datetime, *, by_hand: bool = False) -> CycleReport:
        """Run the job that is due at *due_at*, judge what is new, and confirm what is suspicious.

        What ended before is judged first, so that every run is held against the past alone; then a fire that an earlier
        Herald left is finished. Returns early when asked to stop; jobs live on.
        """
        report = CycleReport()
        with self._lease(report) as held, self._noting_blindness():
            if held:
                self._finish_recorded(report)
                if not self.stopping():
                    self._finish(self._fire(due_at, by_hand=by_hand), report)
                self._finish_cycle(report)
        return report

    def resume(self) -> CycleReport:
        """Do the same for the fires that are recorded and not over, whoever recorded them."""
        report = CycleReport()
        with self._lease(report) as held, self._noting_blindness():
            if held:
                self._finish_recorded(report)
                self._finish_cycle(report)
        return report

    @contextmanager
    def _noting_blindness(self) -> Iterator[None]:
        """Note that it could not be looked, and file it once it has lasted: nobody else may where nothing serves."""
        try:
            yield
        except RunStoreError as error:
            self._lookout.missed(str(error))
            self._lookout.look_for_blindness()
            raise

    def _finish_cycle(self, report: CycleReport) -> None:
        self._judge_new(report)
        self._confirm(report)
        self._end_looks()
        self.listen()

    def judge_only(self) -> CycleReport:
        """Judge what is new without starting, finishing or confirming any job: what a dry run does."""
        report = CycleReport()
        self._judge_new(report)
        return report

    def stop_job(self) -> bool:
        """End the job that runs for this pipeline, and record that it was stopped; says whether there was one.

        What another Herald is at work on is left to it.
        """
        stopped = False
        with self._lease(CycleReport()) as held, self.database.begin() as tx:
            recorded = fires.unfinished(tx, self.name) if held else ()
        for fire in recorded:
            if self.pipeline.job is None or fire.started_at is None:
                continue
            job = self._job(fire, self.pipeline.job)
            if self.executor.poll(job).state is JobState.RUNNING:
                try:
                    self.executor.stop(job)
                except JobError as error:
                    log.error("job not stopped", pipeline=self.name, error=str(error))  # noqa: TRY400  a sentence
                    continue
                with self.database.begin() as tx:
                    fires.save(tx, replace(fire, state=FireState.STOPPED, ended_at=self.clock()))
                stopped = True
        return stopped

    def _finish_recorded(self, report: CycleReport) -> None:
        with self.database.begin() as tx:
            recorded = fires.unfinished(tx, self.name)
        if self.pipeline.job is None and not any(fire.started_at for fire in recorded):
            return  # the look at the cycle's end sees all that this one would
        self._judge_new(report, but_not={fire.fire_id for fire in recorded})
        for fire in recorded:
            if not self.stopping():
                self._finish(fire, report)

    def _end_looks(self) -> None:
        """End the fires of a pipeline that only looks: its new runs are judged now."""
        if self.pipeline.job is not None:
            return
        now = self.clock()
        with self.database.begin() as tx:
            for fire in fires.unfinished(tx, self.name):
                fires.save(tx, replace(fire, state=FireState.ENDED, started_at=now, ended_at=now))

    def _fire(self, due_at: datetime, confirms: str | None = None, *, by_hand: bool = False) -> Fire:
        with self.database.begin() as tx:
            fire = fires.record(tx, self.name, due_at, confirms, by_hand=by_hand)
            self.on_step("fire.recording")
        self.on_step("fire.recorded")
        return fire

    def _finish(self, fire: Fire, report: CycleReport) -> None:
        """See a fire's job through, adopting one that already lives, and judge its run."""
        job_config = self.pipeline.job
        if fire.state.is_over or (job_config is None and fire.started_at is None):
            return
        if job_config is None:  # config had a job when it started
            with self.database.begin() as tx:
                fires.save(tx, replace(fire, state=FireState.LOST, ended_at=self.clock()))
            return
        job = self._job(fire, job_config)
        started = replace(fire, started_at=fire.started_at or self.clock())
        with self.database.begin() as tx:
            fires.save(tx, started)
        self.on_step("job.starting")
        try:
            self.executor.start(job)
        except JobError as error:
            failed = replace(started, state=FireState.FAILED, ended_at=self.clock())
            report.judged += self._judge.record_failure(failed, None, log_tail=str(error))
            return
        self.on_step("job.started")
        status = self._wait(job)
        if status is None:
            return
        self.on_step("job.ended")
        self._conclude(started, job, status, report)

    def _wait(self, job: Job) -> JobStatus | None:
        """Wait for the job's end; None where it is for another Herald, now or later, to go on."""
        renewed = self.clock()
        while True:
            status = self.executor.poll(job)
            if status.state is not JobState.RUNNING:
                return status
            if self.stopping():
                return None
            if abs(self.clock() - renewed) > _LEASE / 4:
                if not self._renew():
                    return None  # it was out of reach for so long that another Herald went on with it
                renewed = self.clock()
            self.pause(self.poll_seconds)

    def _conclude(self, fire: Fire, job: Job, status: JobStatus, report: CycleReport) -> None:
        """Record what the job came to: its run judged, or its failure."""
        run = self.run_store.run_of_fire(self.pipeline.experiment, fire.fire_id, fire.started_at or fire.due_at)
        if run is not None and run.status is RunStatus.RUNNING and GUESS_TAG not in run.tags:
            self.run_store.end_run(run.run_id)  # nothing writes to it any more
        if run is not None:
            self._attach_log(run, job)
        fire = replace(fire, run_id=run.run_id if run else None, exit_code=status.exit_code, timed_out=status.timed_out)
        ended = replace(fire, ended_at=self.clock())
        is_lost = status.state is JobState.LOST
        if run is not None and run.status is RunStatus.FINISHED and (is_lost or status.exit_code == 0):
            report.judged += self._judge.judge(run, replace(ended, state=FireState.ENDED))
            return
        failed = replace(ended, state=FireState.LOST if is_lost else FireState.FAILED)
        if is_lost and self.pipeline.job is not None and fire.attempt < self.pipeline.job.retry:
            self._finish(self._try_again(failed), report)
            return
        report.judged += self._judge.record_failure(failed, run, log_tail=self._last_lines(job))

    def _attach_log(self, run: Run, job: Job) -> None:
        """Keep the log beside the run; where that cannot be done, it stays in the job's folder and nothing waits."""
        path = self.executor.log_path(job)
        try:
            with job_logs.within(path, job.log_limit or sys.maxsize) as kept:
                self.run_store.attach_log(run.run_id, kept)
        except (RunStoreError, OSError) as error:
            log.warning("log not kept beside its run", pipeline=self.name, run=run.name, error=str(error))

    def _last_lines(self, job: Job) -> str:
        path = self.executor.log_path(job)
        try:
            return job_logs.last_lines(path, _LOG_LINES)
        except OSError as error:
            return f"{path}: the job's log cannot be read: {error.strerror or error}"

    def _try_again(self, lost: Fire) -> Fire:
        """Record that a fire was lost, and the one that takes its place."""
        with self.database.begin() as tx:
            fires.save(tx, lost)
            again = fires.record(
                tx, self.name, lost.due_at, lost.confirms, by_hand=lost.by_hand, attempt=lost.attempt + 1
            )
            self.on_step("fire.lost")
        log.warning("job lost, tried again", pipeline=self.name, fire=lost.fire_id, always=True)
        return again

    def _judge_new(self, report: CycleReport, but_not: Collection[str] = ()) -> None:
        """Judge finished runs that were not judged before, whoever made them: first those of before first contact.

        Runs of the fires *but_not* are left for when their jobs are concluded.
        """
        saw_all = self._judge_seen(report, but_not)
        if saw_all and report.trouble:
            self._lookout.missed(report.trouble)
        elif saw_all:
            self._lookout.saw()
        with self.database.begin() as tx:
            report.set_aside = aside.of_pipeline(tx, self.name)
            report.doubts = tuple(find_doubts(tx, self.name))

    def _judge_seen(self, report: CycleReport, but_not: Collection[str]) -> bool:
        """Judge what there is to see; False where Herald was asked to stop before the end of it."""
        now = self.clock()
        sights = self._watch.look(now)
        if not sights and self.pipeline.job is None:
            report.trouble = say_nothing_there(self.pipeline.wanted_experiments, self.run_store)
        report.judged += self._judge.try_again()
        if not self._judge_past(sights, report, but_not):
            return False
        for run, is_past in self._watch.unseen(sights):
            if self.stopping():
                return False
            if run.tags.get(FIRE_TAG) not in but_not:
                report.judged += self._judge.judge(run, None, Age.PAST if is_past else Age.NEW)
                self._renew()
        self._watch.move_marks(sights, now)
        return True

    def listen(self) -> None:
        """File what no run says: that none came in time, or that none can be seen."""
        self._lookout.look_for_blindness()
        try:
            SilenceWatch(self._context, self._watch.is_any_new).look_for_silence()
        except RunStoreError as error:
            self._lookout.missed(str(error))
            raise

    def _judge_past(self, sights: Sequence[Sight], report: CycleReport, but_not: Collection[str]) -> bool:
        """Judge what was there at first contact; False where Herald was asked to stop before the end of it."""
        unread = [run for run in self._watch.past(sights) if run.tags.get(FIRE_TAG) not in but_not]
        report.history += len(unread)
        series = [self._context.series_of(run) for run in unread]
        left = Counter(series)
        old: list[Run] = []  # too far from the present for their artifacts to matter
        for done, (run, name) in enumerate(zip(unread, series, strict=True)):
            self.on_past(done, len(unread))
            left[name] -= 1
            is_old = left[name] >= BASELINE_RUNS + self.pipeline.watch.recent
            if old and not (is_old and len(old) < _AT_ONCE):
                self._renew()
                report.judged += self._judge.judge_old(old)
                old = []
            if self.stopping():
                return False
            if is_old:
                old.append(run)
            else:
                self._renew()
                report.judged += self._judge.judge(run, None, Age.PAST if left[name] else Age.NEWEST_OF_PAST)
        return True

    def _confirm(self, report: CycleReport) -> None:
        """Run the confirming reruns that suspicious runs still lack."""
        job_config = self.pipeline.job
        while job_config is not None and not self.stopping():
            with self.database.begin() as tx:
                latest = runs.latest(tx, self.name)
                had = 0 if latest is None else fires.confirmations_of(tx, latest.run.run_id)
            if latest is None or not latest.wants_confirmation or had >= self.pipeline.confirm.reruns:
                return
            self._finish(self._fire(latest.run.ended + timedelta(microseconds=had + 1), latest.run.run_id), report)

    def _job(self, fire: Fire, config: JobSection) -> Job:
        filled = {"{seed}": str(fire.number), "{fire_id}": fire.fire_id}
        return Job(
            fire_id=fire.fire_id,
            command=tuple(_fill(word, filled) for word in config.command),
            folder=self.folder / self.config.jobs_folder / self.name / fire.fire_id,
            cwd=self.folder / config.cwd,
            environment={
                **config.environment,
                "HERALD_FIRE_ID": fire.fire_id,
                "HERALD_SEED": str(fire.number),
                "MLFLOW_TRACKING_URI": self.config.mlflow.tracking_uri,
                "MLFLOW_EXPERIMENT_NAME": self.pipeline.experiment,
            },
            timeout=config.timeout,
            memory=config.memory,
            cpus=config.cpus,
            log_limit=config.log_limit,
        )

    @contextmanager
    def _lease(self, report: CycleReport) -> Iterator[bool]:
        held = self._renew()
        report.busy = not held
        try:
            yield held
        finally:
            if held:
                with self.database.begin() as tx:
                    leases.give_back(tx, f"{LEASE_OF}{self.name}", self.owner.name)

    def _renew(self) -> bool:
        with self.database.begin() as tx:
            owner, now = self.owner, self.owner.clock(tx)
            return leases.take(tx, f"{LEASE_OF}{self.name}", owner.name, now, _LEASE, owner.may_take_over)


def _fill(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word
