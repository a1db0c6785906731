"""Which runs of a window count: failed runs that stand alone do not, nor do results logged twice."""

from __future__ import annotations

import numpy as np

from bot.domain.judge.spread import MAD_TO_SD
from bot.domain.runs import Floats

SPIKE = 5.0  # spreads from the runs on both sides at which a lone run is called failed
NEIGHBOURS = 3  # runs on either side that a spike is seen against
SETTLED = 3  # what is more runs ago than this is not looked at again
TIE_SHARE = 0.1  # more ties than this between distant runs: the metric is coarse, ties mean nothing
MOSTLY = 0.5  # a series that repeats itself more often than not is deterministic, not logged twice
DIFFERENCE_TO_SD = 0.8862  # of the mean absolute difference of two normal values
NOTHING = 1e-9  # spread of runs that are all the same, as a share of their size


def robust_scale(runs: Floats, median: float) -> float:
    """Estimate the spread within levels from neighbouring runs, a change of level and lone failures counting little."""
    steps = np.abs(runs[1:] - runs[:-1])
    scale = MAD_TO_SD * max(middle(steps) / 2**0.5, 0.7 * middle(np.abs(runs - median)))
    if scale > 0:
        return scale
    return float(DIFFERENCE_TO_SD * steps.mean()) or NOTHING * float(np.abs(runs).max()) or NOTHING


def middle(values: Floats) -> float:
    """Return the median; several times faster than numpy's on a handful of values."""
    ordered = values.copy()
    ordered.sort()
    half = len(ordered) // 2
    return float(ordered[half]) if len(ordered) % 2 else float(ordered[half - 1] + ordered[half]) / 2


def median_of(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def mark_spikes(runs: list[float], kept: list[float], scale: float) -> list[float]:
    """Return 1 for each run that counts and 0 for a lone failure; *kept* says it of all runs but the newest.

    A run is a lone failure when it lies far from the runs before it and from the runs after it, on the same side. The
    newest cannot be one yet, and those out of sight keep their mark.
    """
    newest = len(runs) - 1
    first = max(0, newest - SETTLED)
    marks = [*kept, 1.0]
    marks[first:newest] = [1.0] * (newest - first)
    near = runs[max(0, first - NEIGHBOURS) :]
    if max(near) - min(near) <= SPIKE * scale:
        return marks
    for i in range(first, newest):
        after = median_of(runs[i + 1 : i + 1 + NEIGHBOURS])
        before = median_of(runs[max(0, i - NEIGHBOURS) : i]) if i else after
        above, below = runs[i] - max(before, after), min(before, after) - runs[i]
        marks[i] = 0.0 if max(above, below) > SPIKE * scale else 1.0
    return marks


def find_repeats(past: Floats) -> Floats | None:
    """Find results that were logged again: exactly the value of the run before, in a metric where ties are rare.

    Return one flag for each run but the first, or None where there are none.
    """
    same = past[1:] == past[:-1]
    repeats = int(np.count_nonzero(same))
    if not 0 < repeats <= MOSTLY * len(past):
        return None
    ordered = np.sort(past)
    ties = int(np.count_nonzero(ordered[1:] == ordered[:-1]))
    return None if ties - repeats > TIE_SHARE * len(past) else same
