"""What the runs before an alarm show of noise that few runs cannot tell from a fall."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bot.domain.judge.cleaning import middle
from bot.domain.judge.findings import Caveat
from bot.domain.judge.spread import MAD_TO_SD
from bot.domain.runs import Floats

FEWEST = 8  # runs without which neighbours say nothing
FEWEST_OF_KIND = 12  # without which they do not show two levels, or copies
FURTHEST = 3.0  # spreads; what lies further out counts as that far
WANDERING = 0.6  # autocorrelation of neighbours from which on runs wander
TOGETHER = 0.3  # of runs that stay at one of two levels
TWO_HUMPS = 0.6  # bimodality coefficient, (skewness^2 + 1) / kurtosis: 1/3 of normal values, .55 of uniform ones
HARDLY = 0.12  # spreads that a copy differs from the run before
COPIES = 0.2  # share of runs that are such


def caveat_of(earlier: Sequence[float], change: float | None = None) -> Caveat | None:
    """Name what makes an alarm after these runs likelier to be false than others; None where nothing does.

    A *change* larger than all that they ever differed by is beyond such doubts.
    """
    runs = np.array(earlier, dtype=np.float64)
    n = len(runs)
    if n < FEWEST or (change is not None and abs(change) > float(np.ptp(runs))):
        return None
    left = runs - middle(runs)
    scale = MAD_TO_SD * middle(np.abs(left))
    if scale == 0:
        return None
    left = left.clip(-FURTHEST * scale, FURTHEST * scale)
    left -= left.mean()
    if n >= FEWEST_OF_KIND and has_two_humps(left) and memory(left) > TOGETHER:
        return Caveat.TWO_LEVELS
    if n >= FEWEST_OF_KIND and share_of_copies(runs, float(left.std())) > COPIES:
        return Caveat.COPIES
    return Caveat.WANDERS if memory(left) > WANDERING else None


def memory(left: Floats) -> float:
    """Return the autocorrelation of neighbours, mended for how small few runs make it look (Marriott, Pope 1954)."""
    found = float(left[1:] @ left[:-1]) / float(left @ left)
    return found + (1 + 3 * max(0.0, found)) / len(left)


def has_two_humps(left: Floats) -> bool:
    sd = math.sqrt(float((left**2).mean()))
    skewness, kurtosis = float((left**3).mean()) / sd**3, float((left**4).mean()) / sd**4
    return (skewness**2 + 1) / kurtosis > TWO_HUMPS


def share_of_copies(runs: Floats, sd: float) -> float:
    """Return the share of runs that all but repeat the one before; exact repeats are known for what they are."""
    steps = np.abs(np.diff(runs))
    return float(((steps > 0) & (steps < HARDLY * sd)).mean())
