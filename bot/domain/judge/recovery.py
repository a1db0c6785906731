"""Whether what has fallen is back: the newest runs are held against the level of before and against the fallen one.

Both are known from few runs, the fallen one at first from those that told the fall, which were the lowest of all. So
the newest k runs are held against what each level's runs foretell of k more, for every k: a likelihood ratio of
predictive t distributions, over unknown starts (Page 1954). A fall is not taken to be larger than falls are, nor
neighbouring runs to tell more than they do where they resemble each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bot.domain.runs import Bools, Floats

ENOUGH = 5.5  # log likelihood ratio at which the newest runs are of the level before
ONE_RUN = 8.0  # more is asked of one run alone: after a collapse it may be enough
CLIP = 2.5  # a run counts as at most this many spreads beyond its level
NEAR = 0.25  # of a fall, that what is back may lie below the level before
MIDDLE = 0.5  # of a fall: the first and the newest of the runs that are back lie above it
STEP_PRIOR = 1.2  # standard deviation of a fall before it is seen, in spreads
MEMORY_BIAS = 1.0  # over the runs: few make neighbouring runs look less alike than they are
MOST_MEMORY = 0.7


@dataclass(frozen=True, slots=True)
class LostLevel:
    """The level that was lost, in the metric's unit: higher is better."""

    level: float
    sd: float
    runs: Sequence[float]  # that it rests on

    def below(self, values: Sequence[float]) -> Floats:
        """Return how many spreads below the level each of some runs lies."""
        return (self.level - np.asarray(values, dtype=np.float64)) / self.sd

    def memory(self) -> float:
        """Return how much neighbouring runs of the level resemble each other."""
        seen = self.below(self.runs)
        residuals = (seen - np.median(seen)).clip(-CLIP, CLIP)
        residuals -= residuals.mean()
        squares = float(residuals @ residuals)
        found = float(residuals[1:] @ residuals[:-1]) / squares + MEMORY_BIAS / len(seen) if squares > 0 else 0.0
        return min(max(found, 0.0), MOST_MEMORY)


def count_back(lost: LostLevel, since: Sequence[float]) -> int:
    """Return how many of the newest runs are back at the level before; 0 while that is not certain of any.

    *since* are the runs of the fallen level, oldest first, of which the newest may be back. A better newest run never
    makes fewer of them so.
    """
    if len(since) < 2:  # noqa: PLR2004 - the fall itself
        return 0
    evidence, near = weigh(lost.below(since), len(lost.runs), lost.memory())
    evidence[:1] -= ONE_RUN
    found = np.where(near, evidence, -np.inf)
    best = int(found.argmax())
    return best + 1 if found[best] >= ENOUGH else 0


def weigh(below: Floats, runs: int, memory: float) -> tuple[Floats, Bools]:
    """Return, of the newest 1, 2, ... runs, how much likelier they are back than still down, and whether they are near.

    *below* says how many spreads below the level before each run lies.
    """
    n = len(below)
    usual = max(float(np.median(below[:-1])), 0.0)
    seen = below.clip(-CLIP, usual + CLIP)
    back = np.arange(1, n, dtype=np.float64)
    down = n - back
    sums = seen[::-1].cumsum()
    newest = sums[:-1] / back
    known = down + 1 / STEP_PRIOR**2
    drop = np.maximum((sums[-1] - sums[:-1]) / known, 0.0)
    error_back, error_down = mean_errors(back, down, known, runs, memory)
    at = newest.clip(0.0, drop)
    df = np.maximum(runs + down - 2, 1.0)
    evidence = (df + 1) / 2 * (np.log1p((drop - at) ** 2 / error_down / df) - np.log1p(at**2 / error_back / df))
    evidence += np.log(error_down / error_back) / 2
    near = (
        (newest <= NEAR * drop + np.sqrt(error_back)) & (below[:0:-1] <= MIDDLE * drop) & (below[-1] <= MIDDLE * drop)
    )
    return evidence, near


def mean_errors(back: Floats, down: Floats, known: Floats, runs: int, memory: float) -> tuple[Floats, Floats]:
    """Return the variance of the newest runs' mean around either level, as that level's runs foretell it."""
    newest = error_of(back, memory)
    before = error_of(np.full(1, max(runs, 1.0)), memory)
    return newest + before, newest + error_of(down, memory) * down / known


def error_of(runs: Floats, memory: float) -> Floats:
    """Return the variance of a mean over neighbouring runs, in that of one run."""
    grown = (1 + memory) / (1 - memory) - 2 * memory * (1 - memory**runs) / ((1 - memory) ** 2 * runs)
    return np.asarray(grown / runs)


def is_near(lost: LostLevel, bottom: float, risen: Sequence[float]) -> bool:
    """Say whether runs that surely rose from the *bottom* are at the level before, rather than part of the way back."""
    below = lost.below(risen).clip(-CLIP, None)
    drop = (lost.level - bottom) / lost.sd
    error = error_of(np.full(1, float(len(below))), lost.memory())[0]
    return bool(below.mean() <= NEAR * drop + np.sqrt(error))
