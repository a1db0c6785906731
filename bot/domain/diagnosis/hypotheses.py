"""What may have caused a fall: one component, two together, two in part, luck, or something that cannot be set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from bot.domain.runs import Floats

Setting = tuple[bool, ...]  # of each component: whether it is set as in the bad runs
Settings = npt.NDArray[np.bool_]  # settings x components

LUCK = 0.06  # of a fall that two runs have confirmed
OUTSIDE = 0.10  # a service, a machine or a clock that nobody named a component
TOGETHER = 0.12
IN_PART = 0.06
SHARES = (0.3, 0.5, 0.7)  # of the fall, that the first of two may bring where each brings a part


@dataclass(frozen=True, slots=True)
class Alone:
    """One component is enough, whatever the others are set to."""

    component: int


@dataclass(frozen=True, slots=True)
class Together:
    """Two components do it only together."""

    first: int
    second: int


@dataclass(frozen=True, slots=True)
class InPart:
    """Each of two components brings a part."""

    first: int
    second: int
    share: float  # of the fall, that the first brings


@dataclass(frozen=True, slots=True)
class Luck:
    """Nothing did: the bad runs were chance, or the fall is too small to matter."""

    kind: Literal["luck"] = "luck"  # told apart where it is stored


@dataclass(frozen=True, slots=True)
class Outside:
    """Something did that no setting changes: runs are bad now even with everything as it was."""

    kind: Literal["outside"] = "outside"


Hypothesis = Alone | Together | InPart | Luck | Outside


@dataclass(frozen=True)
class Hypotheses:
    """All that is thought possible of some components, with how likely each is before any rerun."""

    components: int
    all: tuple[Hypothesis, ...]
    prior: Floats
    are_steps: bool = (
        False  # each component contains those before it, as commits do: only the first few can be set together
    )

    def shares_of_fall(self, settings: Settings) -> Floats:
        """Return which share of the fall each hypothesis expects of a run with each setting: hypotheses x settings."""
        constant, linear, pairs, both = self._coefficients
        as_bad = settings.astype(np.float64).T
        return constant[:, None] + linear @ as_bad + both[:, None] * as_bad[pairs[:, 0]] * as_bad[pairs[:, 1]]

    @cached_property
    def _coefficients(self) -> tuple[Floats, Floats, npt.NDArray[np.int_], Floats]:
        count = len(self.all)
        constant, linear = np.zeros(count), np.zeros((count, self.components))
        pairs, both = np.zeros((count, 2), dtype=int), np.zeros(count)
        for row, hypothesis in enumerate(self.all):
            match hypothesis:
                case Alone(component):
                    linear[row, component] = 1
                case Together(first, second):
                    pairs[row], both[row] = (first, second), 1
                case InPart(first, second, share):
                    linear[row, [first, second]] = share, round(1 - share, 6)
                case Outside():
                    constant[row] = 1
                case Luck():
                    pass
        return constant, linear, pairs, both


def suppose(suspicion: Sequence[float]) -> Hypotheses:
    """Return what may have caused a fall, by how suspicious each component is: positive weights in any unit."""
    weights = np.asarray(suspicion, dtype=np.float64) / sum(suspicion)
    pairs = list(combinations(range(len(weights)), 2))
    both = np.array([weights[a] * weights[b] for a, b in pairs])
    both = both / both.sum() if pairs else both
    together, in_part = (TOGETHER, IN_PART) if pairs else (0.0, 0.0)
    alone = 1 - LUCK - OUTSIDE - together - in_part
    each_share = np.repeat(in_part * both / len(SHARES), len(SHARES))
    return Hypotheses(
        components=len(weights),
        all=(
            *(Alone(index) for index in range(len(weights))),
            *(Together(a, b) for a, b in pairs),
            *(InPart(a, b, share) for a, b in pairs for share in SHARES),
            Luck(),
            Outside(),
        ),
        prior=np.concatenate([alone * weights, together * both, each_share, [LUCK, OUTSIDE]]),
    )


def suppose_step(suspicion: Sequence[float]) -> Hypotheses:
    """Return which of some steps in a row may have caused a fall that is known to be of one of them, as of commits."""
    weights = np.asarray(suspicion, dtype=np.float64) / sum(suspicion)
    return Hypotheses(len(weights), tuple(Alone(index) for index in range(len(weights))), weights, are_steps=True)
