"""How strongly a window of runs speaks for a change of level: a Bayes factor for every start it could have had.

The newest run is held against scale, centre and autocorrelation that earlier runs alone have shown, and enters only
through means: a better newest value can never make a fall more credible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bot.domain.judge.calibration import SPANS, Threshold
from bot.domain.judge.cleaning import CLIP, RECENT, find_repeats, middle, robust_scale, stands_still
from bot.domain.judge.few_values import most_evidence, study_few
from bot.domain.runs import Floats, Ints

MIN_BEFORE = 3  # runs that a change must have before it
MIN_SINCE = 2  # and since: one bad run is never a change
STEP_PRIOR = 1.2  # standard deviation of a change before it is seen, in spreads
SCALE_PRIOR_DF = 1.0  # weight of the robust scale among the squares
LAG_SHARES = (1.0, 0.3, 0.3, 0.3)  # how much the autocorrelation at lags 1 to 4 says of the noise's memory
LAG_BIAS = 0.6  # over the runs: few runs make autocorrelation look smaller than it is (Marriott and Pope 1954)
NORMAL_KURTOSIS = 3.0
HEAVIEST = 1.0  # log of the kurtosis over the normal one from which on tails count no further
DEEP = 4.0  # scales below the middle of the earlier runs at which a few runs in a row begin to tell more than seen
FEW_SINCE = range(3, 7)  # runs of which that holds: two in a row may be one failure, tried again
PAIR_EXTRA = 1.5  # more is asked of two runs, which may be one result logged again
ENOUGH_REPEATS = 3  # from which on a series is taken for one that logs results again
LOOK_AHEAD = 8  # runs after a fall by which it should have been found
Z_POWER = 0.84  # normal quantile of the power 0.8
SURELY_NOTHING = 1.9  # |t| under which no span can show a change
NONE = np.full(1, -np.inf)


@dataclass(slots=True)
class Window:
    """The runs of one level, or of two if it has changed, as the evidence sees them; the newest is last.

    Seen are they in scales from the median of the runs just before the newest, none further than :data:`CLIP`: so lone
    failures, and levels left long ago, count as runs that were low or high, and no more.
    """

    values: Floats
    centre: float
    scale: float
    seen: Floats  # in scales
    counts: Floats  # of the earlier runs: 0 for results logged again
    repeats: int
    stands_still: bool  # it repeats itself more often than not

    @property
    def past(self) -> Floats:
        """Return the earlier runs as they are seen, 0 where they do not count."""
        return self.seen[:-1] * self.counts if self.repeats else self.seen[:-1]


@dataclass(slots=True)
class LevelShifts:
    """The levels before and since each candidate start, in scales; arrays run over the spans, shortest first."""

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


def open_window(values: Floats) -> Window:
    """Say which runs count and how wide they scatter, the newest (the last) left aside."""
    past = values[:-1]
    scale = robust_scale(past, middle(past))
    centre = middle(past[-RECENT:])
    seen = np.minimum(np.maximum((values - centre) / scale, -CLIP), CLIP)
    counts = np.ones(len(past))
    same = find_repeats(past)
    if same is not None:
        counts[1:][same] = 0.0
    repeats = 0 if same is None else int(np.count_nonzero(same))
    return Window(values, centre, scale, seen, counts, repeats, same is None and stands_still(past))


def compare_levels(window: Window) -> LevelShifts | None:
    """Estimate the levels before and since each candidate start; None while there are too few runs for any."""
    shape = shape_of(len(window.values)) if not window.repeats else count_runs(window.counts)
    if shape is None:
        return None
    spans, since, before, total, weight = shape.spans, shape.since, shape.before, shape.total, shape.weight
    past = window.past
    since_sum, total_sum = tail_sums(past, spans)
    before_sum = total_sum - since_sum
    squares = np.maximum(float(past @ past) - since_sum**2 / since - before_sum**2 / before, 0.0)
    df = max(total - 2, 1.0)
    variance = (squares + SCALE_PRIOR_DF) / (df + SCALE_PRIOR_DF)
    after_level = (since_sum + window.seen[-1]) / (since + 1)
    before_level = before_sum / before
    t = (after_level - before_level) * np.sqrt(weight / variance)
    return LevelShifts(window, spans, before_level, after_level, variance, weight, df, total + 1, t, since_sum / since)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The candidate starts that a window allows, and how many of its earlier runs lie on either side of each."""

    spans: Ints
    since: Floats
    before: Floats
    total: float
    weight: Floats  # of the difference, the newest run counted among those since


@lru_cache(maxsize=64)  # by far most windows hold no result twice
def shape_of(runs: int) -> Shape | None:
    """Return what a window of so many runs allows, each of which counts."""
    return count_runs(np.ones(runs - 1))


def count_runs(counts: Floats) -> Shape | None:
    """Return the spans that have enough runs on either side, of which *counts* says what each counts for."""
    spans = SPANS[len(counts) + 1 - MIN_BEFORE >= SPANS]
    if not len(spans):
        return None
    since, total = tail_sums(counts, spans)
    before = total - since
    enough = (since >= MIN_SINCE - 1) & (before >= MIN_BEFORE)
    if not enough.any():
        return None
    spans, since, before = spans[enough], since[enough], before[enough]
    return Shape(spans, since, before, total, (since + 1) * before / (since + 1 + before))


def depths(levels: LevelShifts) -> Floats:
    """Return how much more each span tells by how far all of its runs lie below every usual run: 0 for most.

    What is seen of a run is bounded, and so a collapse would be told no sooner than a dip. This grows with the depth of
    the best of the runs, without bound, as the log likelihood ratio of heavy tails does.
    """
    values, scale = levels.window.values, levels.window.scale
    more = np.zeros(len(levels.spans))
    last = -FEW_SINCE.start
    if middle(values[:last]) - float(values[last:].max()) <= DEEP * scale:
        return more
    for at, span in enumerate(levels.spans.tolist()):
        if span in FEW_SINCE:
            depth = (middle(values[:-span]) - float(values[-span:].max())) / (DEEP * scale)
            more[at] = min(span - 2, 2) * math.log((1 + max(depth, 1.0) ** 2) / 2)
    return more


def log_evidence(levels: LevelShifts) -> Floats:
    """Return the evidence for a fall in nats, for each span; none where only the newest run is low."""
    known = log_bayes_factors(levels.t, levels.weight, levels.df) + depths(levels)
    if levels.window.stands_still:
        known = np.minimum(known, bounds(levels))
    else:  # two runs may be one that was logged again
        known = known - PAIR_EXTRA * (levels.spans == MIN_SINCE)
    return np.where(levels.earlier < levels.before, known, -np.inf)


def bounds(levels: LevelShifts) -> Floats:
    """Return the most that a few runs in a row can tell, of each span, where a metric is mostly at one value."""
    values = levels.window.values.tolist()
    most = np.full(len(levels.spans), np.inf)
    for at, span in enumerate(levels.spans.tolist()):
        few = study_few(values[:-span]) if span <= FEW_SINCE.stop - 1 else None
        if few is not None:
            most[at] = most_evidence(few.chance_of(max(values[-span:]), span))
    return most


def tail_sums(past: Floats, spans: Ints) -> tuple[Floats, float]:
    """Return the sums of the earlier runs of each span, which the newest run ends, and of all."""
    sums = past[::-1].cumsum()
    return sums[spans - 2], float(sums[-1])


@dataclass(frozen=True, slots=True)
class Noise:
    """What the earlier runs show of the noise around both levels, for each candidate start."""

    memory: Floats  # how much neighbouring runs resemble each other: a weighted sum of autocorrelations, 0 or more
    tails: Floats  # log of the kurtosis over the normal one: above 0 for heavy tails


def study_noise(window: Window, starts: Ints) -> Noise:
    """Return how the earlier runs scatter around the levels before and since each start."""
    counts, past = window.counts, window.past
    since = (np.arange(len(past)) >= starts[:, None]) * counts
    after_n = since.sum(axis=1)
    after_sum = since @ past
    after = after_sum / np.maximum(after_n, 1)
    before = (past.sum() - after_sum) / np.maximum(counts.sum() - after_n, 1)
    residuals = (past - np.where(since > 0, after[:, None], before[:, None])) * counts
    squares = residuals**2
    power = np.maximum(squares.sum(axis=1), 1e-12)
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
    if float(np.minimum.reduce(t)) > -SURELY_NOTHING:
        return NONE
    repeats = min(1.0, levels.window.repeats / ENOUGH_REPEATS)
    asked = threshold.asked(levels.spans, levels.runs, repeats)
    if up:
        known = np.where(levels.earlier > levels.before, log_bayes_factors(t, levels.weight, levels.df), -np.inf)
    else:
        known = log_evidence(levels)
    over = known - asked
    if over.max() < -threshold.for_tails * HEAVIEST:
        return np.asarray(over)
    noise = study_noise(levels.window, len(levels.window.values) - levels.spans)
    extra = threshold.for_memory * math.sqrt(levels.runs) * noise.memory - threshold.for_tails * noise.tails
    return np.asarray(over - extra)


def smallest_found(sd: float, before: int, df: float, threshold: Threshold, extra: float = 0.0) -> float:
    """Return the smallest lasting fall that :data:`LOOK_AHEAD` further runs would show, four times out of five.

    *extra* nats of evidence are asked on top, where this is one metric of many.
    """
    weight = before * LOOK_AHEAD / (before + LOOK_AHEAD)
    extra += threshold.of_length(before + LOOK_AHEAD)
    return (smallest_t(weight, df, threshold, round(extra, 1)) + Z_POWER) * sd / math.sqrt(weight)


@lru_cache(maxsize=4096)  # runs of one length ask for the same
def smallest_t(weight: float, df: float, threshold: Threshold, extra: float) -> float:
    """Return the smallest standardised difference that is told at once of :data:`LOOK_AHEAD` runs."""
    asked = threshold.asked(np.full(1, LOOK_AHEAD), 0.0, 0.0)[0] + extra
    low, high = 0.0, 100.0
    for _ in range(30):
        middle_t = (low + high) / 2
        found = log_bayes_factors(np.full(1, -middle_t), np.full(1, weight), df)[0] >= asked
        low, high = (low, middle_t) if found else (middle_t, high)
    return high
