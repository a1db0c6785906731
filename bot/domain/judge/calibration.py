"""What simulation says about the evidence: how much of it a preset asks for, by how many runs hold it.

Found by the search in ``bench/calibrate.py`` on simulated noise of many kinds, then adjusted; docs/judge.md says how.
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
    for_autocorrelation: float  # per unit of lag-one autocorrelation and square root of runs
    for_repeats: float  # less is asked of a series that logs results again: this much less from three repeats on

    def by_span(self) -> Floats:
        return interpolate(self.at_knots)


@cache
def interpolate(at_knots: tuple[float, ...]) -> Floats:
    return np.interp(SPANS, KNOTS, at_knots)


THRESHOLDS = {
    Preset.QUIET: Threshold((3.5, 4.0, 4.35, 5.1, 5.05, 5.35, 6.75), for_autocorrelation=1.2, for_repeats=1.3),
    Preset.SENSITIVE: Threshold((4.7, 4.3, 4.1, 3.9, 3.6, 3.1, 4.2), for_autocorrelation=0.65, for_repeats=1.0),
}

SUSPICION = {Preset.QUIET: 0.001, Preset.SENSITIVE: 0.005}  # one-sided p at which one run alone looks bad
