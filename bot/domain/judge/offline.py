"""Where a whole series changed its level, seen from its end: binary segmentation with autocorrelated noise.

Scott and Knott (1974), with the squared statistic divided by the long-run variance of the residuals, so that trends and
wandering series are not cut into steps, and asked to exceed a multiple of log n (Yao 1988).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bot.domain.judge.cleaning import middle, robust_scale
from bot.domain.runs import Floats

SHORTEST = 5  # values a level must hold
PENALTY = 3.0  # times log n
CLIP = 6.0  # spreads from the neighbours' median at which a value counts as just that far
MOST_CORRELATED = 0.95
NEIGHBOURS = 3


@dataclass(frozen=True, slots=True)
class Cut:
    at: int
    evidence: float  # over what is asked


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
        cut = best_cut(runs[first:end], len(runs))
        if cut is not None:
            found.append(first + cut.at)
            waiting += [(first, first + cut.at), (first + cut.at, end)]
    return sorted(int(known[position]) for position in found)


def despike(runs: Floats) -> Floats:
    """Draw lone extremes to the median around them."""
    padded = np.pad(runs, NEIGHBOURS, mode="edge")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1), axis=1)
    far = CLIP * robust_scale(runs, middle(runs))
    return np.asarray(np.clip(runs, around - far, around + far))


def best_cut(runs: Floats, n_whole: int) -> Cut | None:
    """Return the best place to cut *runs* in two, if the evidence for any suffices."""
    n = len(runs)
    if n < 2 * SHORTEST:
        return None
    centred = runs - runs.mean()
    total = float(centred @ centred)
    sizes = np.arange(1, n)
    sums = np.cumsum(centred)[:-1]
    between = sums**2 * n / (sizes * (n - sizes))
    between[: SHORTEST - 1] = between[n - SHORTEST :] = 0
    at = int(between.argmax()) + 1
    residuals = centred.copy()
    residuals[:at] -= residuals[:at].mean()
    residuals[at:] -= residuals[at:].mean()
    squares = float(residuals @ residuals)
    if total == 0:
        return None
    correlation = float(residuals[1:] @ residuals[:-1]) / squares if squares > 0 else 0.0
    correlation = min(max(correlation + 1 / n, 0.0), MOST_CORRELATED)
    long_run = squares / (n - 2) * (1 + correlation) / (1 - correlation)
    asked = 2 * PENALTY * math.log(n_whole)
    evidence = float(between[at - 1]) - asked * max(long_run, 1e-12 * total)
    return Cut(at, evidence) if evidence > 0 else None
