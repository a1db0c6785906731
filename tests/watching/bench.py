"""What tests of watching need: runs at given times, and a Herald whose services are in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from bot.app import Herald, Surroundings, make_herald
from bot.config.models import Config
from bot.delivery.services import Services
from bot.domain.judged_run import JudgedRun
from bot.pipeline.cycle_report import CycleReport
from bot.runtime.steps import ignore_step
from bot.services.memory.tracker import MemoryTracker
from bot.services.memory.wiki import MemoryWiki
from bot.store import Database, incidents, runs

GOOD, BAD = 0.30, 0.24
NAME = "quality"


@dataclass
class Bench:
    """A tracking store that people log to, and a Herald that watches it."""

    uri: str
    folder: Path
    database: Database
    ahead: timedelta = timedelta(0)  # of the real clock, that Herald's is
    tracker: MemoryTracker = field(default_factory=MemoryTracker)
    wiki: MemoryWiki = field(default_factory=MemoryWiki)

    @cached_property
    def mlflow(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    def mlflow_schema(self) -> str:
        with sqlite3.connect(self.folder / "mlflow.db") as connection:
            (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        connection.close()
        return str(found)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def experiment(self, name: str) -> str:
        found = self.mlflow.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(self.mlflow.create_experiment(name, artifact_location=(self.folder / "artifacts").as_uri()))

    def log(
        self,
        value: float | None,
        ended: datetime,
        *,
        experiment: str = "search",
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
        status: str = "FINISHED",
    ) -> str:
        """Log one run that ended at a moment; a RUNNING one has not ended."""
        start = int((ended - timedelta(minutes=10)).timestamp() * 1000)
        run = self.mlflow.create_run(self.experiment(experiment), start_time=start, tags=tags)
        if value is not None:
            self.mlflow.log_metric(run.info.run_id, "ndcg", value)
        for key, text in (params or {}).items():
            self.mlflow.log_param(run.info.run_id, key, text)
        if status != "RUNNING":
            self.mlflow.set_terminated(run.info.run_id, status, int(ended.timestamp() * 1000))
        return str(run.info.run_id)

    def log_row(self, values: Sequence[float], ended: datetime, **more: Any) -> list[str]:
        """Log a run an hour, the last of which ended at a moment; values differ a little, as runs do."""
        count = len(values)
        return [
            self.log(value + 0.001 * ((place * 7) % 5 - 2), ended - timedelta(hours=count - 1 - place), **more)
            for place, value in enumerate(values)
        ]

    def config(self, **watching: Any) -> Config:
        pipeline: dict[str, Any] = {"tracker": "jira", "wiki": "confluence", "metrics": {"ndcg": {}}}
        pipeline |= watching or {"experiment": "search"}
        service = {"url": "https://example.com", "token": "none"}
        return Config(
            mlflow={"tracking_uri": self.uri},
            tracker={"jira": {**service, "project": "P"}},
            wiki={"confluence": {**service, "space": "S"}},
            pipeline={NAME: pipeline},
        )

    def herald(self, on_step: Callable[[str], None] = ignore_step, **watching: Any) -> Herald:
        return self.herald_of(self.config(**watching), on_step)

    def herald_of(self, config: Config, on_step: Callable[[str], None] = ignore_step) -> Herald:
        return make_herald(
            config,
            self.folder,
            around=Surroundings(clock=self.now, on_step=on_step),
            services=Services({"jira": self.tracker}, {"confluence": self.wiki}, {}),
            database=self.database,
        )

    def cycle(self, **watching: Any) -> CycleReport:
        """Run one cycle and deliver what it owes."""
        herald = self.herald(**watching)
        report = herald.cycle(NAME).run(self.now())
        herald.dispatcher.drain()
        return report

    def judged(self, run_id: str) -> JudgedRun:
        with self.database.begin() as tx:
            found = runs.find(tx, NAME, run_id)
        assert found is not None, run_id
        return found

    def is_judged(self, run_id: str) -> bool:
        with self.database.begin() as tx:
            return runs.is_seen(tx, NAME, run_id)

    def incidents(self) -> list[Any]:
        from bot.domain.incidents import IncidentState

        with self.database.begin() as tx:
            return list(incidents.of_pipeline(tx, NAME, *IncidentState))

    def titles(self) -> list[str]:
        return [ticket.draft.title for ticket in self.tracker.tickets.values()]
