"""What a diagnosis says: the cause, how sure, and what was not excluded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bot.domain.diagnosis.hypotheses import Hypotheses, Hypothesis, InPart, Luck
from bot.domain.diagnosis.posterior import Posterior, TwoLevels

SURE = 0.95
NOT_EXCLUDED = 0.01
SMALLEST = 1.5  # spreads below which a fall is as good as none
CLEARLY = 0.98  # how likely it has to be that small


@dataclass(frozen=True, slots=True)
class Chance:
    cause: Hypothesis
    probability: float


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The fewest pieces in a row of which one did it, as sure as a diagnosis has to be."""

    first: int
    last: int
    probability: float

    @property
    def is_one(self) -> bool:
        return self.first == self.last


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is believed in the end; a cause that is not sure enough leaves it undecided."""

    likeliest: Chance
    is_sure: bool
    not_excluded: tuple[Chance, ...]  # what else it may be, likeliest first
    narrowed: Narrowed | None = None  # which of the pieces of the cause, where it has some

    @property
    def cause(self) -> Hypothesis | None:
        return self.likeliest.cause if self.is_sure else None


def answer(
    hypotheses: Hypotheses, posterior: Posterior, levels: TwoLevels, smallest: float = 0.0, sure: float = SURE
) -> Diagnosis:
    """Return what is believed; *smallest* is the smallest fall that matters, in the metric's unit.

    A fall that is clearly smaller than that, or than 1.5 spreads, is luck or as good as that, whatever brought it. Two
    components that bring a part each are one cause, by whatever shares; those told are believed on average.
    """
    from scipy.special import ndtr

    sizes, errors = posterior.sizes()
    least = least_of(levels, smallest)
    matters = ndtr((sizes - least) / (errors * levels.spread)) > 1 - CLEARLY
    chances: dict[Hypothesis, float] = {}
    shares: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for one, probability, does_matter in zip(hypotheses.all, posterior.probability.tolist(), matters, strict=True):
        cause: Hypothesis = one if does_matter else Luck()
        if isinstance(cause, InPart):
            shares.setdefault((cause.first, cause.second), []).append((cause.share, probability))
            cause = InPart(cause.first, cause.second, 0.0)
        chances[cause] = chances.get(cause, 0.0) + probability
    ranked = [Chance(_with_share(cause, shares), chance) for cause, chance in chances.items()]
    ranked.sort(key=lambda one: -one.probability)
    others = tuple(one for one in ranked[1:] if one.probability >= NOT_EXCLUDED)
    return Diagnosis(ranked[0], ranked[0].probability >= sure, others)


def least_of(levels: TwoLevels, smallest: float) -> float:
    """Return the size of the smallest fall that is not as good as none, in the metric's unit."""
    return max(smallest, SMALLEST * levels.spread_of_run)


def _with_share(cause: Hypothesis, shares: Mapping[tuple[int, int], list[tuple[float, float]]]) -> Hypothesis:
    if not isinstance(cause, InPart):
        return cause
    parts = np.array(shares[cause.first, cause.second])
    total = float(parts[:, 1].sum())
    share = float(parts[:, 0] @ parts[:, 1]) / total if total > 0 else float(parts[:, 0].mean())
    return InPart(cause.first, cause.second, share)
