"""Histories of a pipeline whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from bot.domain.backtest.walk import Settings
from bot.domain.incidents import SeriesKey
from bot.domain.policy import IncidentPolicy, MetricPolicy, MinEffect, Policies
from bot.domain.runs import Run, RunStatus

START = datetime(2026, 9, 1, tzinfo=UTC)
EVERY = timedelta(hours=6)
SERIES = SeriesKey("p")


def run_at(number: int, **metrics: float) -> Run:
    ended = START + number * EVERY
    return Run(f"r{number:04}", f"run {number}", RunStatus.FINISHED, ended - EVERY / 4, ended, metrics)


def history(
    count: int, metrics: Sequence[str] = ("ndcg",), seed: int = 0, level: Callable[[int], float] = lambda _: 0.4
) -> list[tuple[SeriesKey, Run]]:
    """Return runs whose metrics differ by .004 around a level; the *level* is that of the first metric."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, 0.004, (count, len(metrics)))
    return [
        (
            SERIES,
            run_at(i, **{name: (level(i) if k == 0 else 0.4) + noise[i, k] for k, name in enumerate(metrics)}),
        )
        for i in range(count)
    ]


def settings(metrics: Sequence[str] = ("ndcg",), **changes: object) -> Settings:
    policies = tuple(MetricPolicy(name, min_effect=MinEffect(0.01)) for name in metrics)
    return Settings(Policies(policies, **changes), IncidentPolicy())  # type: ignore[arg-type]
