"""What simulation says about the evidence: how much of it a preset asks for, by how many runs hold it.

Found by the search in ``bench/calibrate.py`` on simulated noise of many kinds; docs/judge.md says on which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bot.domain.policy import Preset
from bot.domain.runs import Floats, Ints

# Runs since a candidate change; one bad run is never a change, and of a long stretch its exact start is not needed.
SPANS = np.array([*range(2, 13), 14, 16, 20, 24, 30])


@dataclass(frozen=True, slots=True)
class Threshold:
    """How large the log Bayes factor of a change must be: smooth in the span, so that it fits no noise."""

    base: float  # for a change two runs ago
    slope: float  # more by each doubling of that span
    for_memory: float  # more is asked where neighbouring runs resemble each other, by the square root of the runs
    for_tails: float  # less is asked under heavy tails, which widen the spread and so hide falls; more under light ones
    for_repeats: float  # less is asked of a series that logs results again: this much less from three repeats on

    def asked(self, spans: Ints, repeats: float) -> Floats:
        return np.asarray(self.base + self.slope * np.log2(spans / 2) - self.for_repeats * repeats)


THRESHOLDS = {
    Preset.QUIET: Threshold(5.09, -0.06, for_memory=2.63, for_tails=0.85, for_repeats=1.53),
    Preset.SENSITIVE: Threshold(4.08, -0.11, for_memory=3.03, for_tails=0.01, for_repeats=1.21),
}

# Of a rise more is asked, by both presets alike: a level moved up on a lucky streak makes a fall of what follows.
RISE = Threshold(7.0, 0.0, for_memory=1.5, for_tails=0.6, for_repeats=0.0)

SUSPICION = {Preset.QUIET: 0.001, Preset.SENSITIVE: 0.005}  # one-sided p at which one run alone looks bad
