"""Whether a slice's level has fallen: its newest runs together against those before, among all slices of a metric.

A slice has few examples and few runs, yet has many siblings: how much more runs differ than their examples alone would
let them, and how much neighbouring runs resemble each other, is learnt over all slices at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bot.domain.judge.spread import MAD_TO_SD, Spread, p_below
from bot.domain.runs import Bools, Floats

PRIOR_EXAMPLES = 100.0  # a slice without a miss may have some yet: so many examples count as its siblings' do
SPANS = (2, 3, 4, 6, 8)  # newest runs that hold a fall; one bad run is never one
SPANS_WEIGHT = 3.0  # as how many independent tests they count: they overlap
MOST_DF, LEAST_DF = 12.0, 3.0  # what all slices together show of the spread counts as so many runs of each
FEW_SLICES = 4  # fewer do not show how alike they are
VANISHING = 0.05  # a smaller share of the usual variance is that of runs that are all the same
CLIP = 2.5  # a baseline run further out than this many spreads counts as just that far
MOST_MEMORY = 0.8  # of neighbouring runs
MIDDLE = 0.5  # of a fall: a run above it does not show the fall
BACK = 5.0  # log likelihood ratio at which a fallen slice is back
CLIP_BACK = 3.0  # a run counts as at most this many spreads from the middle of both levels
NOTHING = 1e-9  # spread of runs that are all the same, as a share of their size


@dataclass(frozen=True, slots=True)
class SliceRuns:
    """One slice, run by run, the judged run last; higher is better."""

    values: Floats
    fit: Bools  # of the runs before: whether it serves as baseline
    examples: int
    variance: float  # of one example from run to run

    @property
    def earlier(self) -> Floats:
        return self.values[:-1]

    @property
    def baseline(self) -> Floats:
        return self.earlier[self.fit]


@dataclass(frozen=True, slots=True)
class SliceNoise:
    """What all slices of a metric show together."""

    variance: float  # of one example
    excess: float  # of the variance of runs over that
    df: float
    memory: float  # correlation of neighbouring runs

    def prior(self, one: SliceRuns) -> float:
        """Return the variance that one slice's runs should have."""
        n = one.examples
        by_example = (PRIOR_EXAMPLES * self.variance + n * one.variance) / (PRIOR_EXAMPLES + n)
        return self.excess * max(by_example, one.variance) / n

    def of_mean(self, runs: int) -> float:
        """Return how much the variance of a mean over neighbouring runs is, in that of one run."""
        lags = np.arange(1, runs)
        return float(1 + 2 * ((1 - lags / runs) * self.memory**lags).sum()) / runs


def study(slices: Sequence[SliceRuns]) -> SliceNoise:
    """Learn over all slices how their accepted runs scatter."""
    known = [one for one in slices if len(one.baseline) > 1]
    if not known:
        return SliceNoise(0.0, 1.0, 1.0, 0.0)
    variance = float(np.median([one.variance for one in known]))
    by_example = SliceNoise(variance, 1.0, 1.0, 0.0)
    free = np.array([len(one.baseline) - 1.0 for one in known])
    priors = np.array([by_example.prior(one) for one in known])
    found = np.array([one.baseline.var(ddof=1) for one in known])
    ratios = np.divide(found, priors, out=np.ones_like(found), where=priors > 0)
    usual = (1 - 2 / (9 * free)) ** 3  # the median of a mean square
    excess = max(1.0, float(np.median(ratios / usual)))
    return SliceNoise(variance, excess, min(float(free.sum()), likeness(ratios, free)), memory_of(known))


def likeness(ratios: Floats, free: Floats) -> float:
    """Return as how many runs the spread of its siblings counts: few where they differ much (Smyth 2004)."""
    from scipy.special import polygamma

    if len(ratios) < FEW_SLICES:
        return LEAST_DF
    logs = np.log(np.maximum(ratios, VANISHING))
    beyond = float(logs.var(ddof=1)) - float(polygamma(1, free / 2).mean())
    if beyond <= 0:
        return MOST_DF
    half = (1 + math.sqrt(1 + 2 * beyond)) / (2 * beyond)  # where the trigamma function is about that much
    return min(max(2 * half, LEAST_DF), MOST_DF)


def memory_of(slices: Iterable[SliceRuns]) -> float:
    """Return how much neighbouring runs resemble each other; few runs make that look smaller than it is."""
    lagged, squares, runs = 0.0, 0.0, 1
    for one in slices:
        residuals = one.baseline - one.baseline.mean()
        limit = CLIP * MAD_TO_SD * float(np.median(np.abs(residuals)))
        residuals = residuals.clip(-limit, limit)
        scale = float(residuals @ residuals)
        if scale > 0:
            lagged += float(residuals[1:] @ residuals[:-1]) / scale
            squares += 1.0
        runs = max(runs, len(residuals))
    found = lagged / squares + 1 / runs if squares else 0.0
    return min(max(found, 0.0), MOST_MEMORY)


def spread_of(one: SliceRuns, noise: SliceNoise, values: Floats) -> Spread:
    """Estimate level and spread of some of a slice's runs, what its siblings show counting as further runs."""
    n, prior = len(values), noise.prior(one)
    median = float(np.median(values))
    mad = MAD_TO_SD * float(np.median(np.abs(values - median)))
    scale = math.sqrt((noise.df * prior + n * mad**2) / (noise.df + n))
    residuals = np.clip(values - median, -CLIP * scale, CLIP * scale)
    squares = float(((residuals - residuals.mean()) ** 2).sum())
    df = noise.df + n - 1
    least = NOTHING * float(np.abs(values).max())
    sd = max(math.sqrt((noise.df * prior + squares) / df), least)
    return Spread(median + float(residuals.mean()), sd, df, n)


@dataclass(frozen=True, slots=True)
class SliceFall:
    """How surely the newest runs of a slice lie below those before."""

    p: float
    span: int  # newest runs that show it most surely
    level: float  # before
    change: float


def find_fall(one: SliceRuns, noise: SliceNoise, min_runs: int) -> SliceFall | None:
    """Return the fall that the newest runs show most surely; None where none of them can."""
    found = [fall for span in SPANS if (fall := fall_over(one, noise, span, min_runs)) is not None]
    best = min((fall for fall in found if is_shared(one, fall)), key=lambda fall: fall.p, default=None)
    if best is None:
        return None
    return SliceFall(min(1.0, SPANS_WEIGHT * best.p), best.span, best.level, best.change)


def is_shared(one: SliceRuns, fall: SliceFall) -> bool:
    """Say whether the newest run, the first and most between them lie low: one bad run alone is no fall."""
    middle, since = fall.level + MIDDLE * fall.change, one.values[-fall.span :]
    return bool(since[-1] <= middle and since[0] <= middle and np.median(since[:-1]) <= middle)


def fall_over(one: SliceRuns, noise: SliceNoise, span: int, min_runs: int) -> SliceFall | None:
    before = one.earlier[: 1 - span][one.fit[: 1 - span]]
    if len(before) < min_runs:
        return None
    spread = spread_of(one, noise, before)
    newest = one.values[-span:]
    typical = float(np.median(newest))
    change = float(newest.clip(typical - CLIP * spread.sd, typical + CLIP * spread.sd).mean()) - spread.level
    error = spread.sd * math.sqrt(noise.of_mean(span) + noise.of_mean(len(before)))
    return SliceFall(p_below(change, error, spread.df), span, spread.level, change)


def is_back(one: SliceRuns, spread: Spread, since: int) -> bool:
    """Say whether a slice that fell *since* so many runs, this one included, is back at the level of before.

    Every run adds its log likelihood ratio of both levels, restarted at zero (Page 1954).
    """
    if since < 2 or spread.sd == 0:  # noqa: PLR2004 - the run at which it fell
        return bool(one.values[-1] >= spread.level)
    newest = one.values[-since:]
    low = float(np.median(newest[:-1]))
    drop = (spread.level - low) / spread.sd
    balance = 0.0
    for value in newest:
        place = (float(value) - (spread.level + low) / 2) / spread.sd
        balance = max(0.0, balance + drop * min(max(place, -CLIP_BACK), CLIP_BACK))
    return balance >= BACK or drop <= 0
