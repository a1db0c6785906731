"""Runs of an imaginary recommender, for the judge's tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from bot.domain import whole_series
from bot.domain.judge import Assessment, Finding, SeriesState, assess
from bot.domain.policy import MetricPolicy, Policies, Preset
from bot.domain.runs import Baseline, DataCard, ExampleTable, Run, RunResult, RunStatus
from bot.domain.whole_series import as_runs

START = datetime(2026, 3, 1, tzinfo=UTC)
HR = MetricPolicy("hr", lower=0.0, upper=1.0)
POLICIES = Policies(metrics=(HR,))
NO_CARD = DataCard()


def make_run(number: int, values: dict[str, float], card: DataCard = NO_CARD, examples=None) -> RunResult:
    run = Run(
        run_id=f"run{number}",
        name=f"run {number}",
        status=RunStatus.FINISHED,
        started=START + timedelta(days=number),
        ended=START + timedelta(days=number, minutes=5),
        metrics=values,
    )
    return RunResult(run, card, examples)


def make_runs(*values: float) -> tuple[RunResult, ...]:
    return tuple(make_run(number, {"hr": value}) for number, value in enumerate(values, 1))


def make_table(values, departments, metric: str = "hr") -> ExampleTable:
    """One row an example."""
    return ExampleTable(
        example_ids=np.array([f"user{i:05d}" for i in range(len(values))]),
        weights=np.ones(len(values)),
        metrics={metric: np.asarray(values, dtype=float)},
        slices={"department": np.asarray(departments)},
    )


class Recommender:
    """Per-user results with noise by user, by seed, and a defect in one department."""

    def __init__(self, seed: int, users: int = 2000, spread: float = 0.011) -> None:
        self.random = np.random.default_rng(seed)
        self.level = self.random.beta(0.6, 2.4, users)
        self.departments = self.random.choice(["GROCERY", "MEAT", "DRUG"], users, p=[0.6, 0.25, 0.15])
        self.spread = spread
        self.trained = 0

    def train(self, grocery: float = 0.0, card: DataCard = NO_CARD) -> RunResult:
        self.trained += 1
        seed_effect = 1 + self.random.normal(0, self.spread)
        defect = 1 + grocery * (self.departments == "GROCERY")
        noise = self.random.normal(0, 0.05, len(self.level))
        values = np.clip(self.level * seed_effect * defect + noise, 0, 1)
        return make_run(self.trained, {"hr": float(values.mean())}, card, make_table(values, self.departments))


def judge_all(runs, policies: Policies = POLICIES, pinned=None) -> list[Assessment]:
    """Judge runs one after the other, the accepted ones becoming the baseline."""
    state, accepted, said = SeriesState(), [], []
    for run in runs:
        said.append(assess(state, run, Baseline(tuple(accepted), pinned), policies))
        state = said[-1].state
        if said[-1].accepted:
            accepted.append(run)
    return said


def judge_series(values, policy: MetricPolicy, preset: Preset) -> list[Finding]:
    """Judge a metric's values run by run, None for a run that lacks it; onsets are numbers of runs, from 0."""
    runs = as_runs({} if value is None else {policy.name: value} for value in values)
    return [said.assessment.findings[0] for said in whole_series.judge_series(runs, Policies((policy,), preset=preset))]


def with_metric(policies: Policies, **changes) -> Policies:
    return replace(policies, metrics=tuple(replace(metric, **changes) for metric in policies.metrics))
