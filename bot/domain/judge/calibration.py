"""What simulation says about the evidence: how much of it a preset asks for, by how many runs hold it.

Printed by the search in ``bench/calibrate.py`` on simulated noise of many kinds; docs/judge.md says on which.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from bot.domain.policy import Preset
from bot.domain.runs import Floats

SPANS = np.arange(2, 13)  # runs since a candidate change; one bad run is never a change
KNOTS = np.array([2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0])


@dataclass(frozen=True, slots=True)
class Threshold:
    """How large the log Bayes factor of a change must be."""

    at_knots: tuple[float, ...]  # by span, interpolated between KNOTS
    for_memory: float  # more is asked where neighbouring runs resemble each other, by the square root of the runs
    for_tails: float  # less is asked under heavy tails, which widen the spread and so hide falls; more under light ones
    for_repeats: float  # less is asked of a series that logs results again: this much less from three repeats on

    def by_span(self) -> Floats:
        return interpolate(self.at_knots)


@cache
def interpolate(at_knots: tuple[float, ...]) -> Floats:
    return np.interp(SPANS, KNOTS, at_knots)


THRESHOLDS = {
    Preset.QUIET: Threshold(
        (4.03, 4.02, 4.13, 4.74, 4.94, 6.61, 7.03), for_memory=1.48, for_tails=0.6, for_repeats=1.37
    ),
    Preset.SENSITIVE: Threshold(
        (4.5, 3.74, 3.86, 3.69, 4.14, 3.9, 5.64), for_memory=1.09, for_tails=0.91, for_repeats=1.36
    ),
}

SUSPICION = {Preset.QUIET: 0.001, Preset.SENSITIVE: 0.005}  # one-sided p at which one run alone looks bad
