"""Histories in which nothing is wrong, made of a history's own noise: whatever is filed in them is a false ticket.

What is carried over from run to run is taken out of the noise and put back in; what is left is drawn in blocks of
neighbouring runs, all metrics of a run together, so that what hangs together goes on doing so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bot.domain.backtest.levels import study_course
from bot.domain.backtest.noise import CarriedNoise, block_length, draw_blocks, study_noise
from bot.domain.incidents import SeriesKey
from bot.domain.policy import MetricPolicy
from bot.domain.runs import Floats, Run

if TYPE_CHECKING:
    from numpy.random import Generator

SHORTEST = 12  # runs of a series from which its noise can be told


@dataclass(frozen=True, slots=True, eq=False)
class SeriesNoise:
    """The runs of one series, and what the noise of their metrics is made of."""

    series: SeriesKey
    runs: tuple[Run, ...]
    levels: Mapping[MetricPolicy, float]
    noises: Mapping[MetricPolicy, CarriedNoise]
    block: int  # runs that are drawn together
    unusable: frozenset[str]  # metrics without a value that noise could be told of

    def draw(self, random: Generator) -> list[Run]:
        """Return the runs as they might have been had no level ever moved."""
        rows = draw_blocks(len(self.runs), self.block, random)
        values = [{k: v for k, v in run.metrics.items() if k not in self.unusable} for run in self.runs]
        for policy, noise in self.noises.items():
            # A value that is missing is wrong too, but for metrics that only some runs have.
            wanted = [i for i, each in enumerate(values) if policy.name in each or not policy.optional]
            made = noise.redrawn(random).make([rows[i] for i in wanted], random)
            for i, away in zip(wanted, made, strict=True):
                values[i][policy.name] = min(max(self.levels[policy] + away, policy.lower), policy.upper)
        return [replace(run, metrics=metrics) for run, metrics in zip(self.runs, values, strict=True)]


def study_history(runs: Sequence[tuple[SeriesKey, Run]], metrics: Sequence[MetricPolicy]) -> list[SeriesNoise]:
    """Learn the noise of each series; one that is too short for that is left out."""
    by_series: dict[SeriesKey, list[Run]] = {}
    for series, run in sorted(runs, key=lambda each: each[1].place):
        by_series.setdefault(series, []).append(run)
    studied = [_study(series, own, metrics) for series, own in by_series.items() if len(own) >= SHORTEST]
    return [each for each in studied if each.noises]


def healthy(studied: Sequence[SeriesNoise], random: Generator) -> list[tuple[SeriesKey, Run]]:
    """Return a history in which nothing is wrong."""
    return [(each.series, run) for each in studied for run in each.draw(random)]


def _study(series: SeriesKey, runs: Sequence[Run], metrics: Sequence[MetricPolicy]) -> SeriesNoise:
    levels: dict[MetricPolicy, float] = {}
    noises: dict[MetricPolicy, CarriedNoise] = {}
    known: list[Floats] = []
    for policy in metrics:
        values = np.array([run.metrics.get(policy.name, math.nan) for run in runs])
        usable = np.array([policy.holds(value) for value in values.tolist()])
        if not usable.any():
            continue
        course = study_course(values[usable].tolist())
        noise = study_noise(course)
        known.append(noise.shocks)
        shocks = np.full(len(runs), math.nan)
        shocks[usable] = noise.shocks
        levels[policy], noises[policy] = (
            float(np.sort(course.levels)[len(course.levels) // 2]),
            replace(noise, shocks=shocks),
        )
    unusable = frozenset(policy.name for policy in metrics if policy not in noises)
    return SeriesNoise(series, tuple(runs), levels, noises, block_length(known) if known else 1, unusable)
