"""Jobs of a pipeline: each fire is seen through to the run of its job, adopting one that already lives."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bot.config.pipeline import JobSection
from bot.domain.fires import Fire, FireState
from bot.domain.job_protocol import GUESS_TAG
from bot.domain.judged_run import JudgedRun
from bot.domain.runs import Run, RunStatus
from bot.errors import JobError, RunStoreError
from bot.executors import job_logs
from bot.executors.checkouts import check_out, root_of
from bot.judging.confirming import Confirmer
from bot.judging.context import JudgingContext
from bot.judging.reruns import is_as_set
from bot.judging.setting_aside import GuardedJudge
from bot.pipeline.environments import EnvironmentMaker
from bot.pipeline.lease import LEASE, PipelineLease
from bot.ports import Executor, Job, JobState, JobStatus
from bot.runtime.log import get_logger
from bot.store import fires

_LOG_LINES = 20
_SHOWN = 500  # letters of them in the log
_POLL_SECONDS = 0.2

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JobRunner:
    """Runs the jobs of one pipeline, and has what they come to judged."""

    context: JudgingContext
    executor: Executor
    lease: PipelineLease
    pause: Callable[[float], None]
    stopping: Callable[[], bool]
    folder: Path  # that relative paths of the config start from

    @property
    def judge(self) -> GuardedJudge:
        return GuardedJudge(self.context)

    @property
    def confirmer(self) -> Confirmer:
        return Confirmer(self.context)

    def record(self, due_at: datetime, *, by_hand: bool = False) -> Fire:
        with self.context.database.begin() as tx:
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
            return self._end(replace(fire, state=FireState.LOST, ended_at=self.context.clock()))
        started = replace(fire, started_at=fire.started_at or self.context.clock())
        with self.context.database.begin() as tx:
            fires.save(tx, started)
        self.context.on_step("job.starting")
        try:
            job = self._job(fire, job_config)
            self._check_out(fire.recipe.commit)
            if not self._make_environment(fire, job_config):
                return ()
            self.executor.start(job)
        except JobError as error:
            failed = replace(started, state=FireState.FAILED, ended_at=self.context.clock())
            return self._fail(failed, None, log_tail=str(error))
        self.context.on_step("job.started")
        status = self._wait(job)
        if status is None:
            return ()
        self.context.on_step("job.ended")
        return self._conclude(started, job, status)

    @property
    def _environments(self) -> EnvironmentMaker:
        return EnvironmentMaker(self.context, self.folder)

    def _make_environment(self, fire: Fire, config: JobSection) -> bool:
        """Make the environment that a rerun is set to, if it is not there; False where another Herald is to go on.

        Raises:
            JobError: where it cannot be made.
        """
        environment = self._environments.of(fire)
        if environment is None:
            return True
        if environment.is_whole():
            environment.mark_used()
            return True
        job = self._environments.job_that_makes(environment, fire, config)
        self.executor.start(job)
        status = self._wait(job)
        if status is None:
            return False
        if not environment.is_whole():
            why = "it took too long" if status.timed_out else f"exit code {status.exit_code}"
            raise JobError(f"lock file {fire.recipe.lock} does not install: {why}; {self._last_lines(job)}")
        return True

    def _wait(self, job: Job) -> JobStatus | None:
        """Wait for the job's end; None where it is for another Herald, now or later, to go on."""
        renewed = self.context.clock()
        while True:
            status = self.executor.poll(job)
            if status.state is not JobState.RUNNING:
                return status
            if self.stopping():
                return None
            if abs(self.context.clock() - renewed) > LEASE / 4:
                if not self.lease.renew():
                    return None  # it was out of reach for so long that another Herald went on with it
                renewed = self.context.clock()
            self.pause(_POLL_SECONDS)

    def _conclude(self, fire: Fire, job: Job, status: JobStatus) -> Sequence[JudgedRun]:
        """Record what the job came to: its run judged, or its failure."""
        run = self.context.run_store.run_of_fire(
            self.context.section.experiment, fire.fire_id, fire.started_at or fire.due_at
        )
        if run is not None and run.status is RunStatus.RUNNING and GUESS_TAG not in run.tags:
            self.context.run_store.end_run(run.run_id)  # nothing writes to it any more
        if run is not None:
            self._attach_log(run, job)
        fire = replace(fire, run_id=run.run_id if run else None, exit_code=status.exit_code, timed_out=status.timed_out)
        ended = replace(fire, ended_at=self.context.clock())
        is_lost = status.state is JobState.LOST
        if run is not None and run.status is RunStatus.FINISHED and (is_lost or status.exit_code == 0):
            if fire.is_rerun:
                self.context.run_store.mark_rerun(run.run_id)
                measured = run.metrics if is_as_set(run, fire.recipe) else {}
                return self.confirmer.conclude(replace(ended, state=FireState.ENDED), measured)
            return self.judge.judge(run, replace(ended, state=FireState.ENDED))
        failed = replace(ended, state=FireState.LOST if is_lost else FireState.FAILED)
        if is_lost and self.context.section.job is not None and fire.attempt < self.context.section.job.retry:
            return self.finish(self._try_again(failed))
        return self._fail(failed, run, log_tail=self._last_lines(job))

    def _fail(self, failed: Fire, run: Run | None, *, log_tail: str) -> Sequence[JudgedRun]:
        """Record that a job failed; a rerun that did says nothing of the run it was asked about, and is no incident."""
        if not failed.is_rerun:
            return self.judge.record_failure(failed, run, log_tail=log_tail)
        why = log_tail[-_SHOWN:]
        log.warning("rerun failed", pipeline=self.context.name, fire=failed.fire_id, why=why, always=True)
        return self.confirmer.conclude(failed)

    def _end(self, over: Fire) -> Sequence[JudgedRun]:
        """Record that a fire is over without a run."""
        if over.is_rerun:
            return self.confirmer.conclude(over)
        with self.context.database.begin() as tx:
            fires.save(tx, over)
        return ()

    def _attach_log(self, run: Run, job: Job) -> None:
        """Keep the log beside the run; where that cannot be done, it stays in the job's folder and nothing waits."""
        path = self.executor.log_path(job)
        try:
            with job_logs.within(path, job.log_limit or sys.maxsize) as kept:
                self.context.run_store.attach_log(run.run_id, kept)
        except (RunStoreError, OSError) as error:
            log.warning("log not kept beside its run", pipeline=self.context.name, run=run.name, error=str(error))

    def _last_lines(self, job: Job) -> str:
        path = self.executor.log_path(job)
        try:
            return job_logs.last_lines(path, _LOG_LINES)
        except OSError as error:
            return f"{path}: the job's log cannot be read: {error.strerror or error}"

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
                jobs = [*self._jobs_of(fire, self.context.section.job)]
            except JobError:  # it could not be set, so it never ran
                continue
            running = [job for job in jobs if self.executor.poll(job).state is JobState.RUNNING]
            try:
                for job in running:
                    self.executor.stop(job)
            except JobError as error:
                log.error("job not stopped", pipeline=self.context.name, error=str(error))  # noqa: TRY400  a sentence
                continue
            if running:
                self._end(replace(fire, state=FireState.STOPPED, ended_at=self.context.clock()))
                stopped = True
        return stopped

    def _jobs_of(self, fire: Fire, config: JobSection) -> Iterator[Job]:
        """Yield a fire's job, and before it that which makes its environment."""
        environment = self._environments.of(fire)
        if environment is not None:
            yield self._environments.job_that_makes(environment, fire, config)
        yield self._job(fire, config)

    def _job(self, fire: Fire, config: JobSection) -> Job:
        with self.context.database.begin() as tx:
            seed = str(fires.seed_of(tx, fire))
        filled = {"{seed}": seed, "{fire_id}": fire.fire_id}
        recipe = fire.recipe.for_job(seed, fire.fire_id)
        environment = self._environments.of(fire)
        return Job(
            fire_id=fire.fire_id,
            command=(*(_fill(word, filled) for word in config.command), *recipe.arguments),
            folder=self.folder / self.context.config.jobs_folder / self.context.name / fire.fire_id,
            cwd=self._cwd(recipe.commit, recipe.cwd or config.cwd),
            environment={
                **config.environment,
                **recipe.environment,
                **({} if environment is None else environment.variables(config.environment)),
                "HERALD_FIRE_ID": fire.fire_id,
                "HERALD_SEED": seed,
                "MLFLOW_TRACKING_URI": self.context.config.mlflow.tracking_uri,
                "MLFLOW_EXPERIMENT_NAME": self.context.section.experiment,
            },
            timeout=config.timeout,
            memory=config.memory,
            cpus=config.cpus,
            log_limit=config.log_limit,
        )

    def _cwd(self, commit: str, cwd: str) -> Path:
        """Return the folder that a job works in: of a commit the same folder of its tree."""
        here = self.folder / cwd
        if not commit:
            return here
        repository = root_of(self._repository(commit))
        if not here.resolve().is_relative_to(repository):
            raise JobError(f"commit {commit} cannot be worked in: the job's folder {here} is not in {repository}")
        return self._checkouts / commit / here.resolve().relative_to(repository)

    @property
    def _checkouts(self) -> Path:
        return self.folder / self.context.config.jobs_folder / self.context.name / "checkouts"

    def _check_out(self, commit: str) -> None:
        if commit:
            check_out(self._repository(commit), commit, self._checkouts)

    def _repository(self, commit: str) -> Path:
        section = self.context.section.diagnose
        code = None if section is None else section.code
        if code is None or not code.git:
            where = f"[pipeline.{self.context.name}.diagnose.code]"
            raise JobError(f"commit {commit} cannot be checked out: {where} has no git")
        return self.folder / code.git


def _fill(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word
