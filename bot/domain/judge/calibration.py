"""What simulation says about the evidence: how much of it a preset asks for, by how many runs hold it.

Found by the search in ``bench/calibrate.py`` on simulated noise of many kinds; docs/judge.md says on which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bot.domain.policy import Preset
from bot.domain.runs import Floats, Ints

# Runs since a candidate change; one bad run is never a change, and of a long stretch its exact start is not needed.
SPANS = np.array([*range(2, 13), 14, 16, 20, 24, 30])

SHORT = 10.0  # runs up to which a history is no longer than others


@dataclass(frozen=True, slots=True, eq=False)  # each is itself alone: what is remembered of one is found sooner
class Threshold:
    """How large the log Bayes factor of a change must be: smooth in the span, so that it fits no noise."""

    base: float  # for a change two runs ago
    slope: float  # more by each doubling of that span
    for_memory: float  # more is asked where neighbouring runs resemble each other, by the square root of the runs
    for_tails: float  # less is asked under heavy tails, which widen the spread and so hide falls; more under light ones
    for_repeats: float  # less is asked of a series that logs results again: this much less from three repeats on
    for_length: float = 0.0  # more by each doubling of the runs beyond :data:`SHORT`: each is one more chance to err

    def asked(self, spans: Ints, runs: float, repeats: float) -> Floats:
        return np.asarray(
            self.base + self.slope * np.log2(spans / 2) + self.of_length(runs) - self.for_repeats * repeats
        )

    def of_length(self, runs: float) -> float:
        return self.for_length * math.log2(max(runs, SHORT) / SHORT)


THRESHOLDS = {
    Preset.QUIET: Threshold(4.79, -0.14, for_memory=2.7, for_tails=0.61, for_repeats=1.78, for_length=0.7),
    Preset.SENSITIVE: Threshold(3.96, -0.08, for_memory=1.76, for_tails=0.93, for_repeats=1.18, for_length=0.47),
}

# Of a rise more is asked, by both presets alike: a level moved up on a lucky streak makes a fall of what follows.
RISE = Threshold(7.0, 0.0, for_memory=1.5, for_tails=0.6, for_repeats=0.0)

SUSPICION = {Preset.QUIET: 0.001, Preset.SENSITIVE: 0.005}  # one-sided p at which one run alone looks bad
