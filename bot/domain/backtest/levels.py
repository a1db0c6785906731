"""The level that a metric had over time, and the noise around it, whose size the level does not take away.

A level that follows the runs too closely eats slow noise, and what is left looks calmer than it is. So levels change
only where that explains more than noise which carries over from run to run would; and what they still take of the
noise, as any mean does, is given back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bot.domain.judge.offline import PENALTY, SHORTEST, despike
from bot.domain.judge.spread import MAD_TO_SD, is_coarse
from bot.domain.policy import settle
from bot.domain.runs import Floats

FURTHEST = 3.5  # spreads within which a run shows what is carried over from run to run
_LAGS = np.arange(1, 9)  # runs apart, whose differences show how noise carries over
_MOST_ALIKE = 0.9
_ALIKE = np.linspace(0.0, _MOST_ALIKE, 46)
_MOST_TAKEN = 0.75  # of the variance of noise, that may have gone into levels
_OF_MAD = 1.17  # standard error of a median deviation of normal noise, in its own size over the root of the runs


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A metric over the runs of one series, taken apart; arrays have one entry a run."""

    levels: Floats
    noise: Floats
    taken: float = 0.0  # share of the noise's variance that went into levels; the noise was widened by it
    is_coarse: bool = False  # it takes few values, so that noise of other sizes than there were is none of its own

    @property
    def spread(self) -> float:
        """Return a standard deviation of the noise that few outliers cannot move; 0 where most runs do not differ."""
        if len(self.noise) < 2:  # noqa: PLR2004  one differs from nothing
            return 0.0
        return float(MAD_TO_SD * np.median(np.abs(self.noise - np.median(self.noise))))

    @property
    def doubt(self) -> float:
        """Return the standard error of the spread, as a share of it."""
        if len(self.noise) < 2:  # noqa: PLR2004
            return 1.0
        alike = _correlation(self.noise) ** 2
        return min(1.0, _OF_MAD * math.sqrt((1 + alike) / (1 - alike) / len(self.noise)))


def study_course(values: Sequence[float]) -> Course:
    """Take a metric apart into its levels and the noise around them; *values* are numbers, the oldest first."""
    runs, coarse = np.array([settle(value) for value in values], dtype=np.float64), is_coarse(values)
    if len(runs) < 2:  # noqa: PLR2004
        return Course(runs.copy(), np.zeros(len(runs)), is_coarse=coarse)
    calm = despike(runs)
    found, told_by = np.empty(len(runs)), np.empty(len(runs))
    for first, end in pairwise([0, *_changes(calm), len(runs)]):
        # Of few values one that there was, so that the noise around it is of steps that there are.
        found[first:end] = np.sort(runs[first:end])[(end - first) // 2] if coarse else calm[first:end].mean()
        told_by[first:end] = 1 / (end - first)
    noise = runs - found
    if coarse:
        return Course(found, noise, is_coarse=True)
    taken = np.minimum(told_by * _carried_over(noise, float(told_by.mean())), _MOST_TAKEN)
    return Course(found, noise / np.sqrt(1 - taken), float(taken.mean()))


def _changes(runs: Floats) -> list[int]:
    """Return where new levels begin: the best of all ways to cut the runs (optimal partitioning, Jackson et al., 2005).

    The squares that a cut explains are held against the long-run variance of the noise, as :mod:`offline` does. That is
    told by differences of runs a few apart, which a change of level spares: one that came back, several times, leaves
    residuals that look like slow noise until all of it is cut out.
    """
    count, variance = len(runs), _long_run_variance(runs)
    if count < 2 * SHORTEST or variance <= 0:
        return []
    centred = runs - np.median(runs)
    sums, squares = np.concatenate([[0.0], centred.cumsum()]), np.concatenate([[0.0], (centred**2).cumsum()])
    price = 2 * PENALTY * math.log(count) * variance
    cost, last = np.full(count + 1, np.inf), np.zeros(count + 1, dtype=np.int64)
    cost[0] = -price
    for end in range(SHORTEST, count + 1):
        firsts = np.arange(end - SHORTEST + 1)
        within = squares[end] - squares[firsts] - (sums[end] - sums[firsts]) ** 2 / (end - firsts)
        whole = cost[firsts] + within + price
        last[end] = whole.argmin()
        cost[end] = whole[last[end]]
    found: list[int] = []
    end = int(last[count])
    while end > 0:
        found.append(end)
        end = int(last[end])
    return found[::-1]


def _long_run_variance(runs: Floats) -> float:
    """Return the variance of a mean of many runs, times their number: of an autoregression of one run back.

    It is the one whose differences, of runs one to eight apart, are in the middle as large as these are.
    """
    lags = _LAGS[len(runs) // 3 >= _LAGS]
    apart = [np.abs(runs[lag:] - runs[:-lag]) for lag in lags.tolist()]
    middles = np.array([(MAD_TO_SD * float(np.median(each))) ** 2 / 2 for each in apart])
    if not len(middles) or not middles.any():  # most runs are the same
        return float((np.diff(runs) ** 2).mean()) / 2 if len(runs) > 1 else 0.0
    shapes = 1 - _ALIKE[:, None] ** lags
    sizes = (shapes @ middles) / (shapes**2).sum(axis=1)
    best = int(((middles - sizes[:, None] * shapes) ** 2).sum(axis=1).argmin())
    return float(sizes[best] * (1 + _ALIKE[best]) / (1 - _ALIKE[best]))


def _carried_over(noise: Floats, told_by: float) -> float:
    """Return how many times the variance of a mean is that of runs which have nothing to do with one another.

    Taking levels away makes neighbours look less alike than they are, by as much as it takes of the noise.
    """
    seen = found = _correlation(noise)
    for _ in range(5):
        taken = min(_MOST_TAKEN, told_by * (1 + found) / (1 - found))
        found = min(seen + taken * (1 - seen), _MOST_ALIKE)
    return (1 + found) / (1 - found)


def _correlation(noise: Floats) -> float:
    """Return the correlation of neighbouring runs, outliers counting little."""
    limit = FURTHEST * MAD_TO_SD * float(np.median(np.abs(noise - np.median(noise))))
    bounded = noise.clip(-limit, limit)
    squares = float(bounded @ bounded)
    return min(max(float(bounded[1:] @ bounded[:-1]) / squares, 0.0), _MOST_ALIKE) if squares > 0 else 0.0
