"""Jobs of a pipeline: each fire is seen through to the run of its job, adopting one that already lives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from bot.config.executors import LOCAL
from bot.config.pipeline import JobSection
from bot.domain.diagnosis.inquiry import InquiryState
from bot.domain.fires import OF_CLOCKS, Fire, FireState, JobPlace, JobStanding, Standing
from bot.domain.job_protocol import GUESS_TAG
from bot.domain.judged_run import JudgedRun
from bot.domain.rerun_troubles import RerunTrouble, TroubleKind
from bot.domain.runs import Run, RunStatus
from bot.errors import ExecutorAwayError, JobError, in_short
from bot.judging.cluster_watch import ClusterWatch
from bot.judging.confirming import Confirmer
from bot.judging.context import JudgingContext
from bot.judging.reruns import not_as_set
from bot.judging.setting_aside import GuardedJudge
from bot.pipeline.job_making import JobMaker
from bot.pipeline.job_places import JobPlaces, left_to
from bot.pipeline.job_watch import JobWatch
from bot.pipeline.lease import PipelineLease
from bot.pipeline.log_keeping import attach_log, last_lines
from bot.pipeline.trouble_telling import last_words, told_trouble
from bot.ports import Executor, Job, JobState, JobStatus
from bot.runtime import tallies
from bot.runtime.log import get_logger
from bot.store import fires, inquiries

_SHOWN = 500  # letters of them in the log

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JobRunner:
    """Runs the jobs of one pipeline, and has what they come to judged."""

    context: JudgingContext
    executor_of: Callable[[str], Executor]
    lease: PipelineLease
    pause: Callable[[float], None]
    stopping: Callable[[], bool]
    folder: Path  # that relative paths of the config start from

    @property
    def judge(self) -> GuardedJudge:
        return GuardedJudge(self.context)

    @property
    def making(self) -> JobMaker:
        return JobMaker(self.context, self.folder)

    @property
    def places(self) -> JobPlaces:
        return JobPlaces(self.context, self.lease.owner, self.folder / self.context.config.jobs_folder)

    @property
    def confirmer(self) -> Confirmer:
        return Confirmer(self.context)

    def record(self, due_at: datetime, *, by_hand: bool = False) -> Fire:
        with self.context.database.begin() as tx:
            if by_hand:
                due_at = min(due_at, self.lease.agreed_time(tx, self.context.clock()) + OF_CLOCKS)
            fire = fires.record(tx, self.context.name, due_at, by_hand=by_hand)
            self.context.on_step("fire.recording")
        self.context.on_step("fire.recorded")
        return fire

    def finish(self, fire: Fire) -> Sequence[JudgedRun]:
        """See a fire's job through, adopting one that already lives, and judge its run."""
        job_config = self.context.section.job
        if fire.state.is_over or (job_config is None and fire.started_at is None and not fire.is_rerun):
            return ()
        if job_config is None:  # config had a job when it started
            trouble = RerunTrouble(TroubleKind.NOT_STARTED, "config has no job any more")
            return self._end(replace(fire, state=FireState.LOST, ended_at=self.context.clock(), trouble=trouble))
        elsewhere = self.places.elsewhere(fire, job_config)
        if elsewhere is not None:
            return self._look_from_afar(fire, elsewhere)
        started = replace(
            fire, started_at=fire.started_at or self.context.clock(), executor=fire.executor or job_config.executor
        )
        with self.context.database.begin() as tx:
            fires.save(tx, started)
            late = self.lease.agreed_time(tx, self.context.clock()) - fire.due_at
        if fire.started_at is None and fire.is_of_schedule:
            tallies.lateness.note(late.total_seconds())
        self.context.on_step("job.starting")
        try:
            started = self.places.take(started, self.making.jobs_of(started, job_config))
            job = self.making.job(started, job_config)
            if fire.started_at is not None and self.places.is_gone(self.executor_of, job, started):
                return self._conclude(started, job, JobStatus(JobState.LOST))
            self.making.check_out(fire.recipe.commit)
            if not self._make_environment(started, job_config):
                return self._end_if_called_off(started)
            status = self._see_through(job, started)
        except JobError as error:
            failed = replace(started, state=FireState.FAILED, ended_at=self.context.clock())
            return self._fail(failed, None, self._trouble(error.trouble, error.said), log_tail=str(error))
        if status is None:
            return self._end_if_called_off(started)
        self.context.on_step("job.ended")
        return self._conclude(started, job, status)

    def _look_from_afar(self, fire: Fire, place: JobPlace) -> Sequence[JudgedRun]:
        """Believe a finished run of a job elsewhere; while it may live, it is left to who has its place."""
        run = self.places.run_of(fire)
        is_finished = run is not None and run.status is RunStatus.FINISHED
        if is_finished or self.places.is_over(place):
            return self._conclude(fire, None, JobStatus(JobState.LOST, said="" if is_finished else left_to(place)))
        log.info("job left to another Herald", pipeline=self.context.name, fire=fire.fire_id, host=place.host)
        self.places.wait(fire, place)
        return ()

    def _make_environment(self, fire: Fire, config: JobSection) -> bool:
        """Make the environment that a rerun is set to, if it is not there; False where another Herald is to go on.

        Raises:
            JobError: where it cannot be made.
        """
        environment = self.making.environments.of(fire)
        if environment is None:
            return True
        if environment.is_whole():
            environment.mark_used()
            return True
        job = self.making.environments.job_that_makes(environment, fire, config)
        status = self._see_through(job, fire)
        if status is None:
            return False
        if not environment.is_whole():
            why = "it took too long" if status.timed_out else f"exit code {status.exit_code}"
            last = last_lines(job)
            message = f"lock file {fire.recipe.lock} does not install: {why}; {last}"
            raise JobError(
                message, TroubleKind.NOT_INSTALLED, said=why if status.timed_out else last_words(last) or why
            )
        return True

    def _see_through(self, job: Job, fire: Fire) -> JobStatus | None:
        """Submit a job of a fire and wait for its end; None where it is for another Herald, or nobody, to go on.

        Raises:
            JobError: where it is refused.
        """
        section = self.context.config.executor_section(fire.executor)
        if section is None:
            self._say_unknown(fire)
            return None
        watch = JobWatch(
            self.context,
            self.executor_of(fire.executor),
            section,
            self.lease,
            self.pause,
            self.stopping,
            self._is_called_off,
        )
        return watch.see_through(job, fire)

    def _say_unknown(self, fire: Fire) -> None:
        """Say that config has lost the executor of a job, which may well go on there."""
        said = f"config has no [executor.{fire.executor}] any more, where its job was submitted: put it back"
        log.error("job not looked at", pipeline=self.context.name, fire=fire.fire_id, why=said)
        known = fire.standing
        since = known.since if known is not None and known.standing is Standing.AWAY else self.context.clock()
        with self.context.database.begin() as tx:
            fires.note_standing(tx, fire.fire_id, JobStanding(Standing.AWAY, since, said))
        ClusterWatch(self.context).look()

    def is_called_off(self, tx: Connection, fire: Fire) -> bool:
        """Say whether a person has stopped the diagnosis that a rerun is of."""
        record = inquiries.find(tx, fire.confirms or "") if fire.recipe.is_of_diagnosis else None
        return record is not None and record.state is InquiryState.STOPPED

    def _is_called_off(self, fire: Fire) -> bool:
        if not fire.recipe.is_of_diagnosis:
            return False
        with self.context.database.begin() as tx:
            return self.is_called_off(tx, fire)

    def _end_if_called_off(self, fire: Fire) -> Sequence[JudgedRun]:
        """Record that a rerun was stopped where its diagnosis was; else another Herald goes on with it."""
        if not self._is_called_off(fire):
            return ()
        log.info("rerun stopped", pipeline=self.context.name, fire=fire.fire_id)
        trouble = RerunTrouble(TroubleKind.STOPPED)
        return self._end(replace(fire, state=FireState.STOPPED, ended_at=self.context.clock(), trouble=trouble))

    def _trouble(self, kind: TroubleKind, said: str = "", exit_code: int | None = None) -> RerunTrouble:
        return told_trouble(kind, said, exit_code, self.context.section.job)

    def _conclude(self, fire: Fire, job: Job | None, status: JobStatus) -> Sequence[JudgedRun]:
        """Record what the job came to: its run judged, or its failure; None: it has no folder here."""
        run = self.context.run_store.run_of_fire(
            self.context.section.experiment, fire.fire_id, fire.started_at or fire.due_at
        )
        if run is not None and run.status is RunStatus.RUNNING and GUESS_TAG not in run.tags:
            self.context.run_store.end_run(run.run_id)  # nothing writes to it any more
        if run is not None and job is not None:
            attach_log(self.context.run_store, self.context.name, run, job)
        fire = replace(fire, run_id=run.run_id if run else None, exit_code=status.exit_code, timed_out=status.timed_out)
        ended = replace(fire, ended_at=self.context.clock())
        named = {"pipeline": self.context.name, "fire": fire.fire_id, "run": fire.run_id or fire.fire_id}
        log.info("job ended", **named, state=status.state.value, exit_code=status.exit_code)
        is_lost = status.state is JobState.LOST
        if run is not None and run.status is RunStatus.FINISHED and (is_lost or status.exit_code == 0):
            if fire.is_rerun:
                self.context.run_store.mark_rerun(run.run_id)
                trouble = not_as_set(run, fire.recipe)
                measured = {} if trouble else run.metrics
                return self.confirmer.conclude(replace(ended, state=FireState.ENDED, trouble=trouble), measured)
            return self.judge.judge(run, replace(ended, state=FireState.ENDED))
        failed = replace(ended, state=FireState.LOST if is_lost else FireState.FAILED)
        if is_lost and self.context.section.job is not None and fire.attempt < self.context.section.job.retry:
            return self.finish(self._try_again(failed))
        lines = "" if job is None else last_lines(job)
        log_tail = "\n\n".join(each for each in (status.said, lines) if each)
        return self._fail(failed, run, self._trouble_of(failed, status.said or last_words(lines)), log_tail=log_tail)

    def _trouble_of(self, failed: Fire, said: str) -> RerunTrouble:
        """Say why a job that was started gave no run that shows something."""
        if failed.state is FireState.LOST:
            return self._trouble(TroubleKind.LOST)
        if failed.timed_out:
            return self._trouble(TroubleKind.TIMED_OUT, said)
        kind = TroubleKind.FAILED if failed.exit_code else TroubleKind.NO_RUN
        return self._trouble(kind, said, failed.exit_code or None)

    def _fail(self, failed: Fire, run: Run | None, trouble: RerunTrouble, *, log_tail: str) -> Sequence[JudgedRun]:
        """Record that a job failed; a rerun that did says nothing of the run it was asked about, and is no incident."""
        if not failed.is_rerun:
            return self.judge.record_failure(failed, run, log_tail=log_tail)
        if self._is_called_off(failed):  # whoever stopped its diagnosis has ended its job
            return self._end_if_called_off(failed)
        why = log_tail[-_SHOWN:]
        log.warning("rerun failed", pipeline=self.context.name, fire=failed.fire_id, why=why, always=True)
        return self.confirmer.conclude(replace(failed, trouble=trouble))

    def _end(self, over: Fire) -> Sequence[JudgedRun]:
        """Record that a fire is over without a run."""
        if over.is_rerun:
            return self.confirmer.conclude(over)
        with self.context.database.begin() as tx:
            fires.save(tx, over)
        return ()

    def _try_again(self, lost: Fire) -> Fire:
        """Record that a fire was lost, and the one that takes its place."""
        with self.context.database.begin() as tx:
            fires.save(tx, lost)
            again = fires.record(
                tx,
                self.context.name,
                lost.due_at,
                lost.confirms,
                by_hand=lost.by_hand,
                attempt=lost.attempt + 1,
                recipe=lost.recipe,
            )
            self.context.on_step("fire.lost")
        log.warning("job lost, tried again", pipeline=self.context.name, fire=lost.fire_id, always=True)
        return again

    def stop(self, recorded: Sequence[Fire]) -> bool:
        """End the jobs that run for fires, and record that they were stopped; says whether there was one."""
        stopped = False
        for fire in recorded:
            if self.context.section.job is None or fire.started_at is None:
                continue
            try:
                jobs = [*self.making.jobs_of(fire, self.context.section.job)]
            except JobError:  # it could not be set, so it never ran
                continue
            try:
                executor = self.executor_of(fire.executor or LOCAL)
                running = [job for job in jobs if not executor.look(job).state.is_over]
                for job in running:
                    executor.stop(job)
            except (JobError, ExecutorAwayError) as error:
                log.error("job not stopped", pipeline=self.context.name, error=in_short(error))  # noqa: TRY400  a sentence
                continue
            if running:
                trouble = RerunTrouble(TroubleKind.STOPPED) if fire.is_rerun else None
                over = replace(fire, state=FireState.STOPPED, ended_at=self.context.clock(), trouble=trouble)
                self._end(over)
                stopped = True
        return stopped
