"""Metrics that are mostly at one value: how often runs fall short of it, and how far.

A hit rate of few examples is mostly exactly 1, and neither it nor anything else that takes few values is normal: once
the runs that stood out are left out of the baseline, all others are the same and the next miss is a thousand spreads
off. So all earlier runs are asked, also those that nobody accepted: as often as they fell short, by the rule of
Jeffreys, the next will, and about as far, by an exponential whose mean they show.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.judge.spread import SAME_SPREAD, distinct_runs

USUAL_SHARE = 0.3  # of the runs, that one value must have before a metric is mostly there
HEAVY = 1.5  # exponent of the tail of the first depth that is met, in which nothing is known but its size
FEWEST = 3  # runs of that value: two may be alike by chance


@dataclass(frozen=True, slots=True)
class FewValues:
    """How runs lie about the value that most have; oriented: higher is better."""

    usual: float
    runs: int
    short: int  # of them, that were below the usual value
    missing: float  # by how much, in sum
    scale: float  # depth that the first one below it is expected at; 0 where nothing says

    def chance_of(self, value: float, row: int) -> float:
        """Return the chance that so many runs in a *row* all lie as low as *value*. It never grows as that falls."""
        depth = self.usual - value
        if depth <= 0:
            return 1.0
        often = 1.0
        for i in range(row):
            often *= (self.short + 0.5 + i) / (self.runs + 1 + i)
        if self.scale == 0:
            return often
        return float(often * (1 + row * depth / (self.scale + self.missing)) ** -(HEAVY + self.short))


def study_few(values: Sequence[float], width: float = 0.0) -> FewValues | None:
    """Return how oriented *values* lie about the one that most of them have; None where they are not mostly there.

    *width* is that of the range that the metric can have, where it is known: a size for those that are mostly 0.
    """
    if len(values) - len(set(values)) < FEWEST - 1:  # no value is there often enough: by far most metrics
        return None
    runs = distinct_runs(values)
    usual, times = max(Counter(runs).items(), key=lambda item: (item[1], item[0]))
    if times < max(FEWEST, USUAL_SHARE * len(runs)):
        return None
    missing = [usual - value for value in runs if value < usual]
    scale = sum(missing) / len(missing) if missing else SAME_SPREAD * (abs(usual) or width)
    return FewValues(usual, len(runs), len(missing), sum(missing), scale)


def most_evidence(chance: float) -> float:
    """Return the most nats that what had such a *chance* can tell of a change (Sellke, Bayarri, Berger 2001)."""
    if chance >= 1 / math.e:
        return 0.0
    return -math.log(-math.e * chance * math.log(chance)) if chance > 0 else math.inf
