"""Pipelines in each kind of trouble, told to a running sandbox: a job that fails, runs that cease, data that shrinks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.app import Herald, Surroundings, make_herald
from bot.config.models import Config
from bot.domain.runs import DataCard, Run, RunResult, RunStatus
from bot.ports import Experiment, Selection
from bot.sandbox import RunningSandbox
from tests.memory_runs import LooksBySince

FAILS = 'echo "epoch 1: loss 0.69"; echo "KeyError: \'price\' (<script>)"; exit 3'
BEGAN = datetime(2026, 11, 2, 8, tzinfo=UTC)
NAMES = {"en": "Ranking quality", "zh": "排序质量"}
TITLES = {"en": "Search relevance", "zh": "搜索相关性"}


@dataclass(slots=True)
class Logged(LooksBySince):
    """Runs with their data cards, as a test has logged them."""

    results: dict[str, RunResult] = field(default_factory=dict)

    def add(self, name: str, ended: datetime, value: float, **facts: float) -> None:
        run = Run(f"{name}-id", name, RunStatus.FINISHED, ended - timedelta(minutes=9), ended, {"ndcg_at_10": value})
        self.results[run.run_id] = RunResult(run, DataCard(facts))

    def experiments(self, patterns: Sequence[str]) -> Sequence[Experiment]:
        return [Experiment(name, name, BEGAN - timedelta(days=1)) for name in patterns]

    def present(self, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> frozenset[str]:  # noqa: ARG002
        return frozenset(run_ids)

    def runs_since(self, experiment: Experiment, since: datetime | None, selection: Selection) -> Iterator[Run]:  # noqa: ARG002
        runs = sorted((result.run for result in self.results.values()), key=lambda run: run.ended)
        return iter([run for run in runs if since is None or run.ended >= since])

    def run_of_fire(self, experiment: str, fire_id: str, started: datetime | None) -> Run | None:  # noqa: ARG002
        return None

    def load(self, run: Run, card: DataCard | None = None) -> RunResult:  # noqa: ARG002
        return self.results[run.run_id]

    def attach_log(self, run_id: str, log: Path) -> None:
        pass


@dataclass(slots=True)
class Trouble:
    """A Herald with one pipeline, whose clock and runs a test moves."""

    herald: Herald
    runs: Logged
    now: list[datetime]

    def look(self, after: timedelta = timedelta(0)) -> None:
        """Let time pass, run one cycle by hand, and tell what there is to tell."""
        self.now[0] += after
        self.herald.cycle("search").run(self.now[0], by_hand=True)
        assert self.herald.dispatcher.drain().failures == []


def configure(sandbox: RunningSandbox, locale: str, **pipeline: Any) -> Config:
    return Config.model_validate(
        {
            "locale": locale,
            "instance": f"trouble{locale}",
            "time_zone": "Asia/Shanghai" if locale == "zh" else "America/New_York",
            "tracker": {
                "jira": {
                    "url": sandbox.jira_cloud_url,
                    "email": sandbox.email,
                    "token": sandbox.api_token,
                    "project": sandbox.project_key,
                    "search_lag": "1s",
                }
            },
            "chat": {"slack": {"kind": "slack", "url": sandbox.slack_url, "token": sandbox.slack_token}},
            "pipeline": {
                "search": {
                    "title": TITLES[locale],
                    "owner": "Ada Okafor",
                    "experiment": "search",
                    "tracker": "jira",
                    "chat": "slack",
                    "channel": sandbox.channel_id,
                    "recovery": {"runs": 1},
                    "metrics": {"ndcg_at_10": {"name": NAMES, "upper": 0.9}},
                    **pipeline,
                }
            },
        }
    )


def make_trouble(sandbox: RunningSandbox, folder: Path, locale: str, **pipeline: Any) -> Trouble:
    now = [BEGAN]
    around = Surroundings(clock=lambda: now[0])
    runs = Logged()
    herald = make_herald(configure(sandbox, locale, **pipeline), folder, around=around, run_store=runs)
    return Trouble(herald, runs, now)
