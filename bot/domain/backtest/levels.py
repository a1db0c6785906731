"""The level that a metric had over time, and how much its runs differ around it by themselves."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

REACH = 10  # runs to either side of one whose level is sought
_TO_DEVIATION = 1.4826  # from the median absolute deviation of normal noise to its standard deviation


def levels(values: Sequence[float]) -> list[float]:
    """Return the level at each value: the median of those around it, which follows steps and passes over outliers."""
    count = len(values)
    return [statistics.median(values[max(0, i - REACH) : min(count, i + REACH + 1)]) for i in range(count)]


def spread(values: Sequence[float]) -> float:
    """Return how much values differ around their level: a standard deviation that few outliers cannot move.

    0 where most of them do not differ at all.
    """
    if len(values) < 2:  # noqa: PLR2004  one differs from nothing
        return 0.0
    off = [value - level for value, level in zip(values, levels(values), strict=True)]
    centre = statistics.median(off)
    return _TO_DEVIATION * statistics.median(abs(each - centre) for each in off)
