"""How strongly a window of runs speaks for a change of level: a Bayes factor for every start it could have had.

The newest run is held against scale and autocorrelation that earlier runs alone have shown, and enters only through
means: a better newest value can never make a fall more credible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bot.domain.judge.calibration import SPANS, Threshold
from bot.domain.judge.cleaning import find_repeats, mark_spikes, median_of, middle, robust_scale
from bot.domain.runs import Floats, Ints

MIN_BEFORE = 3  # runs that a change must have before it
MIN_SINCE = 2  # and since: one bad run is never a change
STEP_PRIOR = 1.2  # standard deviation of a change before it is seen, in spreads
SCALE_PRIOR_DF = 1.0  # weight of the robust scale among the squares
CLIP = 3.0  # the newest run, and residuals in the autocorrelation, count as at most this many spreads
LAG_SHARES = (1.0, 0.3, 0.3, 0.3)  # how much the autocorrelation at lags 1 to 4 says of the noise's memory
LAG_BIAS = 0.6  # over the runs: few runs make autocorrelation look smaller than it is (Marriott and Pope 1954)
NORMAL_KURTOSIS = 3.0
HEAVIEST = 1.0  # log of the kurtosis over the normal one from which on tails count no further
RECENT = 8  # runs whose median the newest is clipped around
FEW = 6  # fewer runs than this show no scale of their own, if one was known before
ENOUGH_REPEATS = 3  # from which on a series is taken for one that logs results again
RISE_EXTRA = 1.0  # more is asked of a rise: to move the level up on a lucky streak makes a fall of what follows
LOOK_AHEAD = 8  # runs after a fall by which it should have been found
Z_POWER = 0.84  # normal quantile of the power 0.8
SURELY_NOTHING = 2.2  # |t| under which no span can show a change
NONE = np.full(1, -np.inf)


@dataclass(slots=True)
class Window:
    """The runs of one level, or of two if it has changed; everything the evidence needs to know of them.

    Values are centred on the median of the earlier runs; the newest is last.
    """

    centre: float
    values: Floats
    beyond: float  # by how much the newest run lies outside of what it counts as
    kept: list[float]  # 0 for lone failures
    counts: Floats  # 0 for lone failures and repeats, seen with the newest run
    past: Floats  # the earlier runs as they were seen before the newest came; 0 where they do not count
    past_counts: Floats
    repeats: int
    scale: float
    squares: float  # of residuals from levels left behind, and their degrees of freedom
    df: float


@dataclass(slots=True)
class LevelShifts:
    """The levels before and since each candidate start; arrays run over the spans, shortest first."""

    window: Window
    spans: Ints
    before: Floats
    after: Floats
    variance: Floats  # within the levels
    weight: Floats  # n m / (n + m) of the runs before and since
    df: float
    runs: float  # that count, the newest included
    t: Floats  # standardised difference, negative where the newer level is lower
    earlier: Floats  # level since without the newest run, which alone proves nothing
    since: Floats  # runs since that count


def open_window(
    values: list[float], kept: list[float], counts_before: list[float], squares: float, df: float
) -> Window:
    """Say which runs count and how wide they scatter, the newest (the last) left aside for the scale."""
    runs = np.array(values)
    past = runs[:-1]
    centre = middle(past)
    scale = math.sqrt(squares / df) if df and len(past) < FEW else robust_scale(past, centre)
    marks = mark_spikes(values, kept, scale)
    counts = np.array(marks)
    same = find_repeats(past)
    if same is not None:
        counts[1:-1][same] = 0.0
    recent = median_of(values[-1 - RECENT : -1])
    low, high = recent - CLIP * scale - centre, recent + CLIP * scale - centre
    centred = runs - centre
    past_counts = np.array(counts_before)
    before = centred[:-1] * past_counts
    before[-1] = min(max(centred[-2], low), high) * past_counts[-1]
    newest = float(centred[-1])
    centred[-1] = min(max(newest, low), high)
    beyond = newest - float(centred[-1])
    repeats = 0 if same is None else int(np.count_nonzero(same))
    return Window(centre, centred, beyond, marks, counts, before, past_counts, repeats, scale, squares, df)


def compare_levels(window: Window) -> LevelShifts | None:
    """Estimate the levels before and since each candidate start; None while there are too few runs for any."""
    n = len(window.values)
    spans = SPANS[: max(0, n - MIN_BEFORE - MIN_SINCE + 1)]
    if not len(spans):
        return None
    past = sum_past(window, n - spans)
    since = tail_sums(window.counts, n - spans)[0]
    enough = (since >= MIN_SINCE) & (past.before >= MIN_BEFORE)
    if not enough.any():
        return None
    if not enough.all():
        spans, since = spans[enough], since[enough]
        past = sum_past(window, n - spans)
    since_sum = tail_sums(window.values * window.counts, n - spans)[0]
    before, after = past.before_sum / past.before, since_sum / since
    variance, df = scatter(window, past)
    weight = since * past.before / (since + past.before)
    t = (after - before) * np.sqrt(weight / variance)
    earlier = (since_sum - window.values[-1]) / (since - 1)
    return LevelShifts(window, spans, before, after, variance, weight, df, past.total + 1, t, earlier, since)


@dataclass(slots=True)
class EarlierRuns:
    """Numbers and sums of the earlier runs before and since each start, as they were seen before the newest came."""

    total: float
    before: Floats
    before_sum: Floats
    since: Floats
    since_sum: Floats


def sum_past(window: Window, starts: Ints) -> EarlierRuns:
    since, total = tail_sums(window.past_counts, starts)
    since_sum, total_sum = tail_sums(window.past, starts)
    return EarlierRuns(total, total - since, total_sum - since_sum, since, since_sum)


def tail_sums(values: Floats, starts: Ints) -> tuple[Floats, float]:
    """Return the sum from each start to the end, and of all."""
    sums = values[::-1].cumsum()
    return sums[len(values) - 1 - starts], float(sums[-1])


def scatter(window: Window, past: EarlierRuns) -> tuple[Floats, float]:
    """Return the variance within both levels and its degrees of freedom, from the earlier runs alone."""
    explained = past.since_sum**2 / np.maximum(past.since, 1) + past.before_sum**2 / past.before
    squares = float(window.past @ window.past) - explained
    df = max(past.total - 2, 1.0)
    prior = SCALE_PRIOR_DF * window.scale**2 + window.squares
    return (np.maximum(squares, 0.0) + prior) / (df + SCALE_PRIOR_DF + window.df), df + window.df


@dataclass(frozen=True, slots=True)
class Noise:
    """What the earlier runs show of the noise around both levels, for each candidate start."""

    memory: Floats  # how much neighbouring runs resemble each other: a weighted sum of autocorrelations, 0 or more
    tails: Floats  # log of the kurtosis over the normal one: above 0 for heavy tails


def study_noise(window: Window, starts: Ints) -> Noise:
    """Return how the earlier runs scatter around the levels before and since each start, clipped at three spreads."""
    counts = window.past_counts
    since = (np.arange(len(window.past)) >= starts[:, None]) * counts
    after_n = since.sum(axis=1)
    after_sum = since @ window.past
    after = after_sum / np.maximum(after_n, 1)
    before = (window.past.sum() - after_sum) / np.maximum(counts.sum() - after_n, 1)
    residuals = (window.past - np.where(since > 0, after[:, None], before[:, None])) * counts
    residuals = residuals.clip(-CLIP * window.scale, CLIP * window.scale)
    squares = residuals**2
    power = np.maximum(squares.sum(axis=1), 1e-12 * window.scale**2)
    lagged = np.zeros(len(starts))
    for lag, share in enumerate(LAG_SHARES, 1):
        lagged += share * (residuals[:, lag:] * residuals[:, :-lag]).sum(axis=1)
    runs = counts.sum() + 1
    kurtosis = (squares**2).sum(axis=1) * runs / power**2
    return Noise(
        np.maximum(0, lagged / power + LAG_BIAS / runs),
        np.minimum(HEAVIEST, np.log(np.maximum(kurtosis, 1) / NORMAL_KURTOSIS)),
    )


def log_bayes_factors(t: Floats, weight: Floats, df: float) -> Floats:
    """Return the log Bayes factor of a fall against no change, for a standardised difference *t*.

    Under the fall its size, in spreads, is half-normal with scale :data:`STEP_PRIOR`; level and spread have the usual
    improper priors (Jeffreys 1961; Gönen et al. 2005). Falls with t, for every df and weight.
    """
    from scipy.special import stdtr

    grown = 1 + STEP_PRIOR**2 * weight
    squared = t * t
    shrunk = squared / grown
    two_sided = -0.5 * np.log(grown) + (df + 1) / 2 * (np.log1p(squared / df) - np.log1p(shrunk / df))
    posterior_t = -t * np.sqrt((grown - 1) / grown * (df + 1) / (df + shrunk))
    return np.asarray(two_sided + np.log(2 * stdtr(df + 1, posterior_t) + 1e-300))


def excess(levels: LevelShifts, threshold: Threshold, *, up: bool = False) -> Floats:
    """Return by how much the evidence for a fall (a rise, if *up*) exceeds what is asked, for each span."""
    t = -levels.t if up else levels.t
    if t.min() > -SURELY_NOTHING:
        return NONE
    asked = threshold.by_span()[levels.spans - SPANS[0]]
    asked = asked - threshold.for_repeats * min(1.0, levels.window.repeats / ENOUGH_REPEATS)
    over = log_bayes_factors(t, levels.weight, levels.df) - asked - (RISE_EXTRA if up else 0.0)
    shared = levels.earlier > levels.before if up else levels.earlier < levels.before
    over = np.where(shared, over, -np.inf)
    if over.max() < -threshold.for_tails * HEAVIEST:
        return np.asarray(over)
    noise = study_noise(levels.window, len(levels.window.values) - levels.spans)
    extra = threshold.for_memory * math.sqrt(levels.runs) * noise.memory - threshold.for_tails * noise.tails
    return np.asarray(over - extra)


def smallest_found(sd: float, before: int, df: float, threshold: Threshold) -> float:
    """Return the smallest lasting fall that :data:`LOOK_AHEAD` further runs would show, four times out of five."""
    weight = np.full(1, before * LOOK_AHEAD / (before + LOOK_AHEAD))
    asked = threshold.by_span()[LOOK_AHEAD - SPANS[0]]
    low, high = 0.0, 100.0
    for _ in range(30):
        middle_t = (low + high) / 2
        found = log_bayes_factors(np.full(1, -middle_t), weight, df)[0] >= asked
        low, high = (low, middle_t) if found else (middle_t, high)
    return (high + Z_POWER) * sd / math.sqrt(float(weight[0]))
