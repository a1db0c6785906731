"""How a window of runs is seen: within two scales of where the newest stand, each result counted once."""

from __future__ import annotations

import numpy as np

from bot.domain.judge.spread import MAD_TO_SD
from bot.domain.runs import Bools, Floats

RECENT = 8  # runs before the newest, whose median all are clipped around
CLIP = 2.0  # a run counts as at most this many scales from that median
MAD_SHARE = (
    0.6  # of the deviations from the median, beside the differences of neighbours, which a change of level spares
)
TIE_SHARE = 0.1  # more ties than this between distant runs: the metric is coarse, ties mean nothing
MOSTLY = 0.5  # a series that repeats itself more often than not is deterministic, not logged twice
LOGGED_AT_MOST = 3  # times in a row that one result is logged; a fourth is a level that stands still
DIFFERENCE_TO_SD = 0.8862  # of the mean absolute difference of two normal values
NOTHING = 1e-9  # spread of runs that are all the same, as a share of their size


def robust_scale(runs: Floats, median: float) -> float:
    """Estimate the spread within levels from neighbouring runs, a change of level and lone failures counting little."""
    steps = np.abs(runs[1:] - runs[:-1])
    scale = MAD_TO_SD * max(middle(steps) / 2**0.5, MAD_SHARE * middle(np.abs(runs - median)))
    nothing = NOTHING * float(np.abs(runs).max()) or NOTHING
    return max(scale if scale > 0 else float(DIFFERENCE_TO_SD * steps.mean()), nothing)


def middle(values: Floats) -> float:
    """Return the median; several times faster than numpy's on a handful of values."""
    ordered = values.copy()
    ordered.sort()
    half = len(ordered) // 2
    return float(ordered[half]) if len(ordered) % 2 else float(ordered[half - 1] + ordered[half]) / 2


def stands_still(past: Floats) -> bool:
    """Say whether a metric is deterministic: it repeats itself more often than not."""
    return int(np.count_nonzero(past[1:] == past[:-1])) > MOSTLY * len(past)


def find_repeats(past: Floats) -> Bools | None:
    """Find results that were logged again: exactly the value of the run before, in a metric where ties are rare.

    Return one flag for each run but the first, or None where there are none. What repeats for a fourth time is not
    logged again: the metric stands still.
    """
    same = past[1:] == past[:-1]
    repeats = int(np.count_nonzero(same))
    if not 0 < repeats <= MOSTLY * len(past):
        return None
    ordered = np.sort(past)
    ties = int(np.count_nonzero(ordered[1:] == ordered[:-1]))
    if ties - repeats > TIE_SHARE * len(past):
        return None
    still = np.zeros_like(same)
    still[2:] = same[2:] & same[1:-1] & same[:-2]
    return np.asarray(same & ~still)
