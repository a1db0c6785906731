"""The noise of a metric as a process: what each run carries over from those before it, and the shocks it adds.

Noise drawn anew in blocks forgets at every edge of a block what came before, and so promises fewer false tickets than
noise that carries over makes. An autoregression is taken out first, its shocks are drawn in blocks, and it is put back
in: Davison and Hinkley (1997, section 8.2.2) call that post-blackening.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bot.domain.backtest.levels import FURTHEST, Course
from bot.domain.judge.spread import MAD_TO_SD
from bot.domain.runs import Floats

if TYPE_CHECKING:
    from numpy.random import Generator

_MOST_LAGS = 6
_RUNS_A_LAG = 12  # fewer do not show what is carried over so far
_LONGEST_ROOT = 0.97  # noise that carried over more would be no noise around a level
_BEFORE = 60  # runs of before the first, so that it carries over something too
_HEAVIEST = 6.0  # kurtosis of shocks from which on the size of the noise is no less certain


@dataclass(frozen=True, slots=True, eq=False)
class CarriedNoise:
    """The noise of one metric in one series."""

    carried: Floats  # of the run before, the one before that, ...
    doubt: Floats  # root of the covariance of these, which a history of this length leaves
    scale_doubt: float  # standard error of the logarithm of the size
    shocks: Floats  # one a run; nan where it lacks the metric

    def redrawn(self, random: Generator) -> CarriedNoise:
        """Return the noise as it may be just as well: a history shows it only so surely."""
        carried = _steady(self.carried + self.doubt @ random.standard_normal(len(self.carried)))
        size = _size(self.carried) / _size(carried) * math.exp(self.scale_doubt * random.standard_normal())
        return CarriedNoise(carried, self.doubt, self.scale_doubt, self.shocks * size)

    def make(self, rows: Sequence[int], random: Generator) -> list[float]:
        """Return noise made of the shocks of these *rows*, in this order."""
        known = self.shocks[~np.isnan(self.shocks)]
        carried, made = self.carried.tolist(), [0.0] * len(self.carried)
        drawn = self.shocks[list(rows)]
        lacking = np.isnan(drawn)
        drawn[lacking] = random.choice(known, int(lacking.sum()))
        before = random.choice(known, _BEFORE if carried else 0)
        for shock in (*before.tolist(), *drawn.tolist()):
            made.append(shock + sum(share * made[-lag] for lag, share in enumerate(carried, 1)))
        return made[len(made) - len(rows) :]


def study_noise(course: Course) -> CarriedNoise:
    """Learn how the noise of a metric carries over from run to run, and what its shocks are."""
    noise, count = course.noise, len(course.noise)
    none = np.zeros(0)
    if course.is_coarse or count < 2 * _RUNS_A_LAG or not noise.any():
        return CarriedNoise(none, np.zeros((0, 0)), 0.0, noise)
    limit = FURTHEST * MAD_TO_SD * float(np.median(np.abs(noise)))
    bounded = noise.clip(-limit, limit) if limit > 0 else noise
    lags = min(_MOST_LAGS, count // _RUNS_A_LAG)
    alike = np.array([float(bounded[lag:] @ bounded[: count - lag]) / count for lag in range(lags + 1)])
    alike = _given_back(alike, course)
    carried = _steady(min((_fit(alike, order, count) for order in range(1, lags + 1)), key=lambda fit: fit[0])[1])
    around = _matrix(alike, len(carried))
    left = max(float(alike[0] - carried @ alike[1 : len(carried) + 1]), 1e-12 * float(alike[0]))
    doubt = np.asarray(np.linalg.cholesky(np.linalg.inv(around) * left / count), dtype=np.float64)
    shocks = noise.copy()
    for lag, share in enumerate(carried, 1):
        shocks[lag:] -= share * noise[:-lag]
    shocks[: len(carried)] = noise[: len(carried)] / _size(carried)
    shocks -= shocks.mean()
    return CarriedNoise(carried, doubt, _doubt_of_size(shocks, carried), shocks)


def block_length(shocks: Sequence[Floats]) -> int:
    """Return how many neighbouring runs are drawn together, so that what is left of what hangs together goes on so.

    That is the length of Politis and White (2004) as corrected by Patton, Politis and White (2009), for shocks and for
    their sizes, which come in calm and wild times; at most a tenth of the runs.
    """
    count = min(map(len, shocks))
    most = max(1, count // 10)
    found = [_automatic(each - each.mean()) for some in shocks for each in (some, np.abs(some))]
    return min(max(1, round(max(found))), most)


def draw_blocks(count: int, length: int, random: Generator) -> list[int]:
    """Draw the numbers of runs in blocks of neighbours, as many as there are runs; the first follows the last."""
    firsts = random.integers(count, size=-(-count // length))
    return [(first + step) % count for first in firsts.tolist() for step in range(length)][:count]


def _automatic(values: Floats) -> float:
    """Return the length of blocks for a circular bootstrap of the mean, at a flat-top lag window."""
    count = len(values)
    squares = float(values @ values)
    if squares <= 0 or count < 2 * _RUNS_A_LAG:
        return 1.0
    furthest = min(count // 2, math.ceil(math.sqrt(count)) + 5)
    alike = np.array([float(values[lag:] @ values[: count - lag]) for lag in range(1, furthest + 1)]) / squares
    small = np.abs(alike) < 2 * math.sqrt(math.log10(count) / count)
    in_a_row = max(5, math.ceil(math.sqrt(math.log10(count))))
    last = next((lag for lag in range(furthest - in_a_row + 1) if small[lag : lag + in_a_row].all()), furthest // 2)
    reach = min(2 * max(last, 1), furthest)
    lags = np.arange(1, reach + 1)
    window = np.minimum(1.0, 2 * (1 - lags / reach))
    slope = 2 * float((window * lags * alike[:reach]).sum())
    whole = 1 + 2 * float((window * alike[:reach]).sum())
    if whole <= 0:
        return 1.0
    return float((2 * slope**2 / (4 / 3 * whole**2)) ** (1 / 3) * count ** (1 / 3))


def _given_back(alike: Floats, course: Course) -> Floats:
    """Return the autocovariances with what the levels took of them, which is as much of every one."""
    # Of the noise as it was widened the variance is right, and neighbours share too little of it.
    return np.concatenate([alike[:1], alike[1:] * (1 - course.taken) + alike[0] * course.taken])


def _fit(alike: Floats, order: int, count: int) -> tuple[float, Floats]:
    """Return the criterion of Schwarz (1978) and the coefficients of Yule and Walker of an autoregression."""
    carried = np.linalg.solve(_matrix(alike, order), alike[1 : order + 1])
    left = max(float(alike[0] - carried @ alike[1 : order + 1]), 1e-12 * float(alike[0]))
    return count * math.log(left) + order * math.log(count), np.asarray(carried)


def _matrix(alike: Floats, order: int) -> Floats:
    apart = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
    return np.asarray(alike[apart] + np.eye(order) * 1e-9 * alike[0])


def _steady(carried: Floats) -> Floats:
    """Return what is carried over, less of it where noise would otherwise go its own way."""
    longest = _longest_root(carried)
    if longest <= _LONGEST_ROOT:
        return carried
    return np.asarray(carried * (_LONGEST_ROOT / longest) ** np.arange(1, len(carried) + 1))


def _longest_root(carried: Floats) -> float:
    return float(np.abs(np.roots([1.0, *(-carried)])).max(initial=0.0))


def _size(carried: Floats) -> float:
    """Return the standard deviation of noise whose shocks have 1."""
    made = np.zeros(400)
    made[0] = 1.0
    for at in range(1, len(made)):
        reach = min(at, len(carried))
        made[at] = float(carried[:reach] @ made[at - reach : at][::-1])
    return math.sqrt(float(made @ made))


def _doubt_of_size(shocks: Floats, carried: Floats) -> float:
    """Return the standard error of the logarithm of the size of noise."""
    variance = float(shocks.var())
    kurtosis = min(float((shocks**4).mean()) / variance**2, _HEAVIEST) if variance > 0 else _HEAVIEST
    spread = _size(carried) ** 2  # of noise over its shocks: at one run carried over, 1 / (1 - share ** 2)
    return math.sqrt(max(kurtosis - 1, 1.0) / 4 * (2 * spread - 1) / len(shocks))
