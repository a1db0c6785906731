"""Histories in which nothing is wrong, made of a history's own noise: whatever is filed in them is a false ticket.

The noise is drawn in blocks of neighbouring runs, all metrics of a run together, so that what hangs together goes on
doing so (the block bootstrap of Künsch, 1989, "The jackknife and the bootstrap for general stationary observations").
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.backtest.levels import levels
from bot.domain.incidents import SeriesKey
from bot.domain.policy import MetricPolicy
from bot.domain.runs import Run

if TYPE_CHECKING:
    from numpy.random import Generator

SHORTEST = 12  # runs of a series from which its noise can be told


def healthy(
    runs: Sequence[tuple[SeriesKey, Run]], metrics: Sequence[MetricPolicy], random: Generator
) -> list[tuple[SeriesKey, Run]]:
    """Return the runs as they might have been had no level ever moved; a series that is too short is left out."""
    by_series: dict[SeriesKey, list[Run]] = {}
    for series, run in sorted(runs, key=lambda each: each[1].place):
        by_series.setdefault(series, []).append(run)
    return [
        (series, made)
        for series, own in by_series.items()
        if len(own) >= SHORTEST
        for made in _drawn(own, metrics, random)
    ]


def _drawn(runs: Sequence[Run], metrics: Sequence[MetricPolicy], random: Generator) -> list[Run]:
    noise = {policy.name: _noise(runs, policy) for policy in metrics}
    rows = _blocks(len(runs), random)
    made: list[Run] = []
    for run, row in zip(runs, rows, strict=True):
        values = dict(run.metrics)
        for policy in metrics:
            level, off = noise[policy.name]
            # A value that is missing is wrong too, but for metrics that only some runs have.
            if off and (policy.name in values or not policy.optional):
                away = off[row] if row in off else list(off.values())[int(random.integers(len(off)))]
                values[policy.name] = min(max(level + away, policy.lower), policy.upper)
        made.append(replace(run, metrics=values))
    return made


def _noise(runs: Sequence[Run], policy: MetricPolicy) -> tuple[float, Mapping[int, float]]:
    """Return the usual level of a metric, and how far each run was from that of its time."""
    known = [
        (i, run.metrics[policy.name])
        for i, run in enumerate(runs)
        if policy.holds(run.metrics.get(policy.name, math.nan))
    ]
    if not known:
        return 0.0, {}
    values = [value for _, value in known]
    around = levels(values)
    return statistics.median(around), {i: value - level for (i, value), level in zip(known, around, strict=True)}


def _blocks(count: int, random: Generator) -> list[int]:
    """Draw the numbers of runs in blocks of neighbours, as many as there are runs."""
    length = max(1, round(count ** (1 / 3)))
    rows: list[int] = []
    while len(rows) < count:
        first = int(random.integers(count - length + 1))
        rows += range(first, first + length)
    return rows[:count]
