"""A world whose clock is moved by hand: jobs take simulated time and outlive the Herald that started them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.app import Surroundings, make_herald
from bot.config.models import Config
from bot.delivery.services import Services
from bot.domain.runs import DataCard, Release, Run, RunResult, RunStatus
from bot.errors import JobError, RunStoreError
from bot.executors.job_logs import log_in, part_of
from bot.ports import Experiment, Job, JobState, JobStatus, LogPart, Selection, Submission
from bot.runtime.steps import ignore_step
from bot.serve.loop import Orders, Server
from bot.store import Database, fires
from tests.memory_runs import LooksBySince


class Killed(BaseException):
    """The process ends here."""


@dataclass(slots=True)
class Started:
    job: Job
    at: datetime
    lost: bool = False


@dataclass(slots=True)
class World:
    """What is there whether a Herald runs or not."""

    now: datetime
    folder: Path
    job_takes: timedelta = timedelta(minutes=20)
    exit_code: int = 0
    started: dict[str, Started] = field(default_factory=dict)  # by fire
    starts: Counter[str] = field(default_factory=Counter)  # how often each fire's job was started
    logged: list[Run] = field(default_factory=list)  # runs that others logged
    mlflow_is_away: bool = False
    found: Run | None = None  # what MLflow says is the run of any fire
    cannot_start: str = ""
    began: datetime = datetime(2020, 1, 1, tzinfo=UTC)

    def advance(self, by: timedelta) -> None:
        self.now += by

    def reboot(self) -> None:
        """Take with the machine every job that has not ended."""
        for each in self.started.values():
            each.lost = each.lost or self.now < each.at + self.job_takes


@dataclass(frozen=True, slots=True)
class SimulatedExecutor:
    world: World

    def submit(self, job: Job) -> Submission:
        if self.world.cannot_start:
            raise JobError(self.world.cannot_start)
        if job.fire_id in self.world.started:
            return Submission.ADOPTED
        self.world.started[job.fire_id] = Started(job, self.world.now)
        self.world.starts[job.fire_id] += 1
        return Submission.STARTED

    def look(self, job: Job) -> JobStatus:
        started = self.world.started.get(job.fire_id)
        if started is None or started.lost:
            return JobStatus(JobState.LOST)
        if self.world.now < started.at + self.world.job_takes:
            return JobStatus(JobState.RUNNING)
        return JobStatus(JobState.ENDED, self.world.exit_code)

    def stop(self, job: Job) -> None:
        self.world.started[job.fire_id].lost = True

    def log(self, job: Job, offset: int) -> LogPart:
        return part_of(log_in(job.folder), offset)


@dataclass(frozen=True, slots=True)
class SimulatedRuns(LooksBySince):
    """The runs that ended jobs have logged, and those of others."""

    world: World

    def _made(self) -> Iterator[Run]:
        for fire_id, started in self.world.started.items():
            ended = started.at + self.world.job_takes
            if not started.lost and self.world.now >= ended and self.world.exit_code == 0:
                yield Run(f"run-{fire_id}", fire_id, RunStatus.FINISHED, started.at, ended, {"ndcg": 0.8})

    def experiments(self, names: Sequence[str]) -> Sequence[Experiment]:
        if self.world.mlflow_is_away:
            raise RunStoreError("MLflow is away")
        return [Experiment(name, name, self.world.began) for name in names]

    def present(self, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> frozenset[str]:  # noqa: ARG002
        return frozenset(run_ids)

    def runs_since(self, experiment: Experiment, since: datetime | None, selection: Selection) -> Iterator[Run]:  # noqa: ARG002
        if self.world.mlflow_is_away:
            raise RunStoreError("MLflow is away")
        found = sorted(self.world.logged, key=lambda run: run.ended)
        return iter([run for run in found if since is None or run.ended >= since])

    def run_of_fire(self, experiment: str, fire_id: str, started: datetime | None) -> Run | None:  # noqa: ARG002
        if self.world.mlflow_is_away:
            raise RunStoreError("MLflow is away")
        return self.world.found or next((run for run in self._made() if run.name == fire_id), None)

    def released(self, release: Release) -> Run | None:
        return next((run for run in (*self.world.logged, *self._made()) if run.run_id == release.run_id), None)

    def load(self, run: Run, card: DataCard | None = None) -> RunResult:  # noqa: ARG002
        return RunResult(run)

    def attach_log(self, run_id: str, log: Path) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Ended:
    """Work that was done at once."""

    def is_alive(self) -> bool:
        return False

    def join(self, timeout: float | None = None) -> None:
        pass


def do_at_once(name: str, work: Callable[[], None]) -> Ended:
    work()
    return Ended()


def configured(pipelines: dict[str, Any], **others: Any) -> Config:
    whole = {name: {"experiment": name, "metrics": {"ndcg": {}}, **section} for name, section in pipelines.items()}
    return Config.model_validate({"pipeline": whole, **others})


def make_server(
    world: World,
    database: Database,
    config: Config,
    on_step: Callable[[str], None] = ignore_step,
    pause: Callable[[float], None] | None = None,
    services: Services | None = None,
) -> Server:
    """Start a Herald in the world; work is done at once, and waiting for a job moves the clock by five minutes."""

    def wait(seconds: float) -> None:
        world.advance(timedelta(minutes=5))

    orders = Orders()
    around = Surroundings(lambda: world.now, pause or wait, orders.is_stopping, on_step, lambda _tx: world.now)
    herald = make_herald(
        config,
        world.folder,
        around=around,
        services=services or Services({}, {}, {}),
        run_store=SimulatedRuns(world),
        database=database,
    )
    herald = replace(herald, executor_of=lambda _: SimulatedExecutor(world))
    return Server(herald, orders, lambda old: old, start_task=do_at_once)


def due_times_of(database: Database, pipeline: str) -> list[datetime]:
    """Return the due times that have fires, oldest first; confirming and repeated ones left out."""
    with database.begin() as tx:
        found = fires.of_pipeline(tx, pipeline)
    return sorted(fire.due_at for fire in found if fire.confirms is None and not fire.attempt and not fire.by_hand)
