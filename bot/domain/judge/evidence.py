"""How strongly a window of runs speaks for a change of level: a Bayes factor for every start it could have had.

The newest run is held against scale and autocorrelation that earlier runs alone have shown, and enters only through
means: a better newest value can never make a fall more credible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bot.domain.judge.calibration import SPANS, Threshold
from bot.domain.judge.cleaning import mark_repeats, mark_spikes, middle, robust_scale
from bot.domain.runs import Floats

MIN_BEFORE = 3  # runs that a change must have before it
STEP_PRIOR = 1.2  # standard deviation of a change before it is seen, in spreads
SCALE_PRIOR_DF = 1.0  # weight of the robust scale among the squares
RISE_EXTRA = 1.0  # more is asked of a rise: to move the level up on a lucky streak makes falls of what follows
CLIP = 3.0  # the newest run, and residuals in the autocorrelation, count as at most this many spreads
RECENT = 8  # runs whose median the newest is clipped around
FEW = 6  # fewer runs than this show no scale of their own, if one was known before
ENOUGH_REPEATS = 3  # from which on a series is taken for one that logs results again


@dataclass(frozen=True, slots=True)
class Window:
    """The runs of one level, or of two if it has changed; everything the evidence needs to know of them."""

    values: Floats  # the newest last
    kept: Floats  # 0 for lone failures
    counts: Floats  # 0 for lone failures and repeats, seen with the newest run
    counts_before: Floats  # the same without the newest run, which is left out
    repeats: int
    scale: float
    squares: float  # of residuals from earlier levels, and their degrees of freedom
    df: float

    @property
    def newest_clipped(self) -> float:
        return self.clip(self.values[-1])

    def clip(self, value: float) -> float:
        recent = middle(self.values[-1 - RECENT : -1])
        return min(max(float(value), recent - CLIP * self.scale), recent + CLIP * self.scale)


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels before and since each candidate start; arrays run over the spans, shortest first."""

    spans: Floats
    before: Floats
    after: Floats
    variance: Floats  # within the levels
    weight: Floats  # n m / (n + m) of the runs before and since
    df: float
    runs: float  # that count
    correlation: Floats  # lag-one autocorrelation of earlier runs around the two levels

    @property
    def t(self) -> Floats:
        return np.asarray((self.after - self.before) * np.sqrt(self.weight / self.variance))


def open_window(values: list[float], kept: list[float], counts_before: list[float], squares: float, df: float) -> Window:
    """Say which runs count and how wide they scatter, the newest (the last) left aside for the scale."""
    runs = np.array(values)
    past = runs[:-1]
    scale = math.sqrt(squares / df) if df and len(past) < FEW else robust_scale(past)
    marks = np.array(mark_spikes(values, kept, scale))
    repeats = mark_repeats(past)
    counts = marks.copy()
    counts[:-1] *= repeats.counts
    return Window(runs, marks, counts, np.array(counts_before), repeats.number, scale, squares, df)


def compare_levels(window: Window) -> Levels | None:
    """Estimate the levels before and since each candidate start; None while there are too few runs for any."""
    n = len(window.values)
    spans = SPANS[: max(0, min(len(SPANS), n - MIN_BEFORE - 1))]
    if not len(spans):
        return None
    starts = n - spans
    centre = middle(window.values[:-1])
    values = (window.values - centre) * (window.counts > 0)
    values[-1] = window.newest_clipped - centre
    past = (window.values[:-1] - centre) * window.counts_before
    past[-1] = (window.clip(window.values[-2]) - centre) * window.counts_before[-1]

    since, total = tail_sums(window.counts, starts)
    since_sum, total_sum = tail_sums(values, starts)
    enough = (since > 1.5) & (total - since >= MIN_BEFORE)  # noqa: PLR2004 - two runs, whole numbers kept as floats
    if not enough.any():
        return None
    starts, spans, since, since_sum = starts[enough], spans[enough], since[enough], since_sum[enough]
    before, after = (total_sum - since_sum) / (total - since), since_sum / since
    variance, df, correlation = scatter(window, past, starts)
    return Levels(
        spans=spans,
        before=before + centre,
        after=after + centre,
        variance=variance,
        weight=since * (total - since) / total,
        df=df,
        runs=total,
        correlation=correlation,
    )


def tail_sums(values: Floats, starts: Floats) -> tuple[Floats, float]:
    """Return the sum from each start to the end, and of all."""
    sums = np.cumsum(values[::-1])
    return sums[len(values) - 1 - starts], float(sums[-1])


def scatter(window: Window, past: Floats, starts: Floats) -> tuple[Floats, float, Floats]:
    """Return variance within the levels, its degrees of freedom, and lag-one autocorrelation, from *past* alone."""
    counts = window.counts_before
    since = np.arange(len(past)) >= starts[:, None]
    counted = since * counts
    after_n = counted.sum(axis=1)
    before_n = counts.sum() - after_n
    after_sum = counted @ past
    after = after_sum / np.maximum(after_n, 1)
    before = (past.sum() - after_sum) / np.maximum(before_n, 1)
    residuals = (past - np.where(since, after[:, None], before[:, None])) * counts
    squares = (residuals**2).sum(axis=1)
    df = max(float(counts.sum()) - 2, 1.0)
    prior = SCALE_PRIOR_DF * window.scale**2 + window.squares
    variance = (squares + prior) / (df + SCALE_PRIOR_DF + window.df)
    clipped = np.clip(residuals, -CLIP * window.scale, CLIP * window.scale)
    lagged = (clipped[:, 1:] * clipped[:, :-1]).sum(axis=1)
    correlation = lagged / np.maximum((clipped**2).sum(axis=1), 1e-12 * window.scale**2)
    return variance, df + window.df, correlation


def log_bayes_factors(t: Floats, weight: Floats, df: float) -> Floats:
    """Return the log Bayes factor of a fall against no change, for a standardised difference *t*.

    Under the fall its size, in spreads, is half-normal with scale :data:`STEP_PRIOR`; level and spread have the usual
    improper priors (Jeffreys 1961; Gönen et al. 2005). Monotone in t, for every df and weight.
    """
    from scipy.special import stdtr

    grown = 1 + STEP_PRIOR**2 * weight
    squared = t * t
    shrunk = squared / grown
    two_sided = -0.5 * np.log(grown) + (df + 1) / 2 * (np.log1p(squared / df) - np.log1p(shrunk / df))
    posterior_t = -t * np.sqrt((grown - 1) / grown * (df + 1) / (df + shrunk))
    return np.asarray(two_sided + np.log(2 * stdtr(df + 1, posterior_t) + 1e-300))


def excess(levels: Levels, repeats: int, threshold: Threshold, *, up: bool = False) -> Floats:
    """Return by how much the evidence for a fall (a rise, if *up*) exceeds what is asked, for each span."""
    t = -levels.t if up else levels.t
    asked = threshold.by_span()[: len(SPANS)][np.searchsorted(SPANS, levels.spans)]
    asked = asked + threshold.for_autocorrelation * math.sqrt(levels.runs) * np.maximum(0, levels.correlation)
    asked = asked - threshold.for_repeats * min(1.0, repeats / ENOUGH_REPEATS) + (RISE_EXTRA if up else 0.0)
    return np.asarray(log_bayes_factors(t, levels.weight, levels.df) - asked)
