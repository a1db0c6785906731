"""The spread between runs: a predictive t of one more run, with a prior as wide as what is known is vague."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import mul

import numpy as np

CLIP = 2.5  # a baseline run further out than this many spreads counts as just that far
MOSTLY = 0.5  # a metric that repeats itself more often than not is deterministic
TIE_SHARE = 0.1  # more ties than this between runs that are no neighbours: the metric is coarse
FEW = 5  # fewer runs than this do not show which of them is odd
FEW_CLIP = 15.0  # over the runs: the middle deviation of few runs is often small by luck
MAD_TO_SD = 1.4826
LEAST_MEMORY = 0.3  # of runs of one pipeline, which share data and code, whatever few of them show
MOST_MEMORY = 0.9
GRID = np.linspace(
    -7.0, 7.0, 71
)  # logarithms of spreads, around what runs or prior say, that a posterior is taken over
SAME = 1e-12  # of the level: runs that differ by less are all the same, which coarse metrics often are by chance
SAME_DF = 3.0  # such runs are held against SAME_SPREAD, which counts as this many runs
SAME_SPREAD = 0.02  # relative to the level


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of a spread before its runs show it: that its logarithm is about normal."""

    log_sd: float
    doubt: float  # standard deviation of the logarithm


@dataclass(frozen=True, slots=True)
class Spread:
    """Level and run-to-run standard deviation of accepted runs."""

    level: float
    sd: float  # nan of one run, where nothing else is known
    df: float
    n: int  # runs, each counted once however often it was logged
    memory: float = LEAST_MEMORY  # autocorrelation of neighbouring runs
    is_same: bool = False  # all runs had the same value

    @property
    def predictive_sd(self) -> float:
        """Return the standard deviation of one more run around the estimated level."""
        return self.sd * math.sqrt(1 + 1 / self.n)

    def of_two(self, reference_runs: float) -> float:
        """Return the standard deviation of the mean of two runs in a row, less that of so many others."""
        return self.sd * math.sqrt((1 + self.memory) / 2 + 1 / reference_runs)


def estimate_spread(values: Sequence[float], prior: Prior | None = None) -> Spread:
    """Estimate level and spread, one odd run counting for little.

    A result logged twice is one run. Residuals around the median are clipped before mean and variance are taken
    (winsorised, after Huber). Without a prior that is all there is, and a t of n - 1 degrees of freedom says how little
    few runs tell, whatever the metric's unit and level. With one, the posterior of the spread is taken and matched in
    the mean and variance of its logarithm by a scaled inverse chi-square, which a t goes with: so a prior that runs
    contradict fades from either side.
    """
    return _estimate(tuple(values), prior)


@lru_cache(maxsize=256)  # a run's metrics are looked at by themselves, as kin of one another, and with what kin teach
def _estimate(values: tuple[float, ...], prior: Prior | None) -> Spread:
    # Plain Python: a handful of runs is too few for numpy to be the faster.
    runs = distinct_runs(values)
    n = len(runs)
    centre = median(runs)
    residuals = clip_odd([run - centre for run in runs])
    mean = sum(residuals) / n
    level = centre + mean
    residuals = [residual - mean for residual in residuals]
    squares = sum(residual * residual for residual in residuals)
    if squares <= (SAME * level) ** 2:
        sd = SAME_SPREAD * abs(level) if prior is None else math.exp(prior.log_sd)
        df = SAME_DF + n - 1
        return Spread(level, sd * math.sqrt(SAME_DF / df) if n > 1 or prior else math.nan, df, n, is_same=True)
    if prior is None:
        return Spread(level, math.sqrt(squares / (n - 1)), n - 1.0, n, memory_of(residuals, squares))
    return Spread(level, *weigh_prior(squares, n - 1.0, prior), n, memory_of(residuals, squares))


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def distinct_runs(values: Sequence[float]) -> Sequence[float]:
    """Leave out results that were logged again, in a metric where ties are rare."""
    if len(set(values)) == len(values):
        return values
    once = [value for i, value in enumerate(values) if i == 0 or value != values[i - 1]]
    return values if is_coarse(values) else once


def is_coarse(values: Sequence[float]) -> bool:
    """Say whether a metric takes few values, or is deterministic, so that a repeat does not mean one logged again."""
    once = [value for i, value in enumerate(values) if i == 0 or value != values[i - 1]]
    return len(once) <= MOSTLY * len(values) or len(once) - len(set(once)) > TIE_SHARE * len(once)


def memory_of(residuals: Sequence[float], squares: float) -> float:
    """Return how much a run resembles the one before: the autocorrelation, which few runs make look too small."""
    n = len(residuals)
    found: float = sum(map(mul, residuals[1:], residuals)) / squares
    mended = found + (1 + 3 * max(0.0, found)) / n  # Marriott and Pope (1954)
    return min(MOST_MEMORY, max(LEAST_MEMORY, mended))


def clip_odd(residuals: list[float]) -> list[float]:
    """Bring residuals that lie far out, for how many there are, to as far as a run counts."""
    n = len(residuals)
    if n < FEW:
        return residuals
    scale = MAD_TO_SD * median([abs(residual) for residual in residuals])
    furthest = (CLIP + FEW_CLIP / n) * scale
    if scale == 0 or -furthest <= min(residuals) <= max(residuals) <= furthest:
        return residuals
    return [min(max(residual, -furthest), furthest) for residual in residuals]


def weigh_prior(squares: float, df: float, prior: Prior) -> tuple[float, float]:
    """Return spread and degrees of freedom of the scaled inverse chi-square nearest to the posterior."""
    from scipy.special import digamma

    centre = prior.log_sd if df == 0 else (math.log(squares / df) / 2 + prior.log_sd) / 2
    logs = centre + GRID * max(1.0, abs(centre - prior.log_sd))
    density = -0.5 * ((logs - prior.log_sd) / prior.doubt) ** 2 - df * logs - squares / 2 * np.exp(-2 * logs)
    weights = np.exp(density - density.max())
    weights /= weights.sum()
    mean = float(weights @ logs)
    variance = float(weights @ (logs - mean) ** 2)
    fitted = solve_trigamma(4 * variance)
    return math.exp(mean - (math.log(fitted / 2) - float(digamma(fitted / 2))) / 2), fitted


def solve_trigamma(variance: float) -> float:
    """Return the degrees of freedom at which the logarithm of a scaled inverse chi-square has this *variance*."""
    from scipy.special import zeta

    x = 0.5 + 1 / variance  # after Smyth (2004): Newton's method on 1 / trigamma, which is nearly linear
    for _ in range(8):
        value, slope = float(zeta(2, x)), -2 * float(zeta(3, x))  # the polygamma functions of order 1 and 2
        x += value * (1 - value / variance) / slope
    return 2 * x


def p_below(change: float, sd: float, df: float) -> float:
    """Return the one-sided p value of a change this low; without any spread a change is certain and none is a coin."""
    from scipy.special import stdtr

    if sd == 0:
        return 0.5 if change == 0 else float(change > 0)
    return float(stdtr(df, change / sd))


def upper_limit(sd: float, df: float) -> float:
    """Return the upper 80 % limit of a standard deviation that was estimated with *df* degrees of freedom."""
    from scipy.special import chdtri

    df = max(df, 1.0)
    return sd * math.sqrt(df / float(chdtri(df, 0.8)))


@lru_cache(maxsize=4096)  # degrees of freedom are mostly whole numbers, and few
def t_quantile(p: float, df: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, p))
