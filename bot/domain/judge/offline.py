"""Where a whole series changed its level, seen from its end: binary segmentation with autocorrelated noise.

Scott and Knott (1974), also cutting stretches out of the middle (Olshen et al. 2004). The explained squares are divided
by the long-run variance of the residuals, so that trends and wandering series are not cut into steps, and must exceed a
multiple of log n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bot.domain.judge.cleaning import middle, robust_scale
from bot.domain.judge.spread import t_quantile
from bot.domain.runs import Floats

SHORTEST = 5  # values a level must hold
PENALTY = 3.0  # times 2 log n
CLIP = 6.0  # spreads from the neighbours' median at which a value counts as just that far
MOST_CORRELATED = 0.95
NEIGHBOURS = 3
GRID = 150  # places considered as the ends of a stretch
STRETCH_PRICE = 1.5  # two cuts must explain more than one
Z_POWER = 0.84  # normal quantile of the power 0.8


@dataclass(frozen=True, slots=True)
class Cut:
    """A change of level in the metric's unit, between the stretches on either side of it."""

    at: int  # position at which the new level begins
    before: float
    after: float
    change_low: float  # 95 % interval of the difference
    change_high: float

    @property
    def change(self) -> float:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Stretches:
    """The levels of a whole series and the changes between them."""

    runs: int  # values that are numbers
    level: float  # the newest
    cuts: tuple[Cut, ...]
    spread: float  # standard deviation within levels
    detectable: float  # smallest lasting change in the middle of the series that four out of five times is found


def measure_stretches(values: Floats, points: list[int]) -> Stretches | None:
    """Measure the levels between change *points*; None where there are too few values for any spread."""
    known = np.isfinite(values)
    edges = [0, *points, len(values)]
    parts = [values[first:end][known[first:end]] for first, end in pairwise(edges)]
    n = sum(len(part) for part in parts)
    df = n - len(parts)
    if df < 2:  # noqa: PLR2004 - no spread
        return None
    residuals = np.concatenate([part - part.mean() for part in parts])
    squares = float(residuals @ residuals)
    wander = long_run_factor(residuals)
    error = math.sqrt(squares / df * wander)
    margin = t_quantile(0.975, df)
    cuts = []
    for at, (left, right) in zip(points, pairwise(parts), strict=True):
        half = margin * error * math.sqrt(1 / len(left) + 1 / len(right))
        before, after = float(left.mean()), float(right.mean())
        cuts.append(Cut(at, before, after, after - before - half, after - before + half))
    detectable = (math.sqrt(2 * PENALTY * math.log(n)) + Z_POWER) * error * math.sqrt(4 / n)
    return Stretches(n, float(parts[-1].mean()), tuple(cuts), math.sqrt(squares / df), detectable)


def change_points(values: Floats) -> list[int]:
    """Return the positions at which a new level begins; values that are no numbers are passed over."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < 2 * SHORTEST:
        return []
    runs = despike(values[known])
    found: list[int] = []
    waiting = [(0, len(runs))]
    while waiting:
        first, end = waiting.pop()
        cuts = find_cuts(runs[first:end], len(runs))
        found += [first + cut for cut in cuts]
        edges = [first, *(first + cut for cut in cuts), end]
        waiting += pairwise(edges) if cuts else []
    return sorted(int(known[position]) for position in found)


def despike(runs: Floats) -> Floats:
    """Draw lone extremes to the median around them."""
    padded = np.pad(runs, NEIGHBOURS, mode="edge")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1), axis=1)
    far = CLIP * robust_scale(runs, middle(runs))
    return np.asarray(np.clip(runs, around - far, around + far))


def find_cuts(runs: Floats, n_whole: int) -> list[int]:
    """Return where to cut *runs* in two, or a stretch out of them, if the evidence suffices for either."""
    n = len(runs)
    if n < 2 * SHORTEST or np.ptp(runs) == 0:
        return []
    sums = np.concatenate([[0.0], np.cumsum(runs - runs.mean())])
    for cuts, price in ((best_cut(sums), 1.0), (best_stretch(sums), STRETCH_PRICE)):
        if cuts and evidence(runs, cuts) > price * 2 * PENALTY * math.log(n_whole):
            return cuts
    return []


def best_cut(sums: Floats) -> list[int]:
    """Return the cut that explains most, from the running *sums* of centred runs."""
    n = len(sums) - 1
    at = np.arange(SHORTEST, n - SHORTEST + 1)
    return [int(at[(sums[at] ** 2 / (at * (n - at))).argmax()])]


def best_stretch(sums: Floats) -> list[int]:
    """Return the stretch whose level differs most from that around it (Olshen et al. 2004), on a grid."""
    n = len(sums) - 1
    grid = np.unique(np.linspace(SHORTEST, n - SHORTEST, min(n - 2 * SHORTEST + 1, GRID)).round().astype(int))
    inside = grid[None, :] - grid[:, None]
    wide = np.where(inside >= SHORTEST, inside, n)
    explained = np.where(wide < n, (sums[grid][None, :] - sums[grid][:, None]) ** 2 / (wide * (n - wide + 1e-9)), -1.0)
    first, last = np.unravel_index(int(explained.argmax()), explained.shape)
    return [int(grid[first]), int(grid[last])] if explained[first, last] > 0 else []


def evidence(runs: Floats, cuts: list[int]) -> float:
    """Return the squares that the levels between *cuts* explain, over the long-run variance of what they do not."""
    levels = np.concatenate([np.full(len(part), part.mean()) for part in np.split(runs, cuts)])
    residuals = runs - levels
    squares = float(residuals @ residuals)
    total = float(((runs - runs.mean()) ** 2).sum())
    long_run = squares / (len(runs) - 2) * long_run_factor(residuals)
    return (total - squares) / max(long_run, 1e-12 * total)


def long_run_factor(residuals: Floats) -> float:
    """Return by how much lag-one autocorrelation widens the variance of a mean; at least 1."""
    squares = float(residuals @ residuals)
    correlation = float(residuals[1:] @ residuals[:-1]) / squares if squares > 0 else 0.0
    correlation = min(max(correlation + 1 / len(residuals), 0.0), MOST_CORRELATED)
    return (1 + correlation) / (1 - correlation)
