"""Serves two pipelines until it is stopped, or kills itself at a step: `python -m tests.chaos.serving FOLDER STEP`.

Jobs are real processes that log to a file; their runs are read from there.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.app import Herald, Surroundings, make_herald
from bot.config.models import Config
from bot.delivery.services import Services
from bot.domain.runs import DataCard, Run, RunResult, RunStatus
from bot.ports import Experiment, Selection
from bot.serve.loop import Orders, Server
from bot.store import Database
from tests.memory_runs import LooksBySince

JOB = 'sleep 0.4; echo "$HERALD_FIRE_ID $(date +%s)" >> runs'


def configuration() -> Config:
    job = {"command": ["sh", "-c", JOB]}
    often = {"experiment": "often", "schedule": {"every": "2s"}, "job": job, "metrics": {"ndcg": {}}}
    later = {"experiment": "later", "schedule": {"after": "often"}, "job": job, "metrics": {"ndcg": {}}}
    return Config.model_validate({"pipeline": {"often": often, "later": later}, "store": {"url": "sqlite:///state.db"}})


@dataclass(frozen=True, slots=True)
class FileRuns(LooksBySince):
    """Runs as jobs have logged them: fire and seconds."""

    path: Path

    def _all(self) -> Iterator[Run]:
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            fire, seconds = line.split()
            ended = datetime.fromtimestamp(int(seconds), UTC)
            yield Run(f"run-{fire}", fire, RunStatus.FINISHED, ended, ended, {"ndcg": 0.8})

    def experiments(self, patterns: Sequence[str]) -> Sequence[Experiment]:
        return [Experiment(name, name, datetime(2020, 1, 1, tzinfo=UTC)) for name in patterns]

    def present(self, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> frozenset[str]:  # noqa: ARG002
        return frozenset(run_ids)

    def runs_since(self, experiment: Experiment, since: datetime | None, selection: Selection) -> Iterator[Run]:  # noqa: ARG002
        return iter(())

    def run_of_fire(self, experiment: str, fire_id: str, started: datetime | None) -> Run | None:  # noqa: ARG002
        return next((run for run in self._all() if run.name == fire_id), None)

    def load(self, run: Run, card: DataCard | None = None) -> RunResult:  # noqa: ARG002
        return RunResult(run)

    def attach_log(self, run_id: str, log: Path) -> None:
        pass


@dataclass
class KillAt:
    step: int
    taken: int = 0

    def __call__(self, name: str) -> None:  # noqa: ARG002
        self.taken += 1
        if self.taken == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def serve(folder: Path, kill_at: int) -> None:
    orders = Orders()
    signal.signal(signal.SIGTERM, lambda *_: orders.ask_to_stop())
    around = Surroundings(stopping=orders.is_stopping, on_step=KillAt(kill_at))
    database = Database(f"sqlite:///{folder}/state.db")
    database.migrate()
    herald: Herald = make_herald(
        configuration(),
        folder,
        around=around,
        services=Services({}, {}, {}),
        run_store=FileRuns(folder / "runs"),
        database=database,
    )
    Server(herald, orders, lambda old: old).run()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
