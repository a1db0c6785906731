"""What is said of one answer, and what it is held to before it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Where a part stands."""

    QUERY = "query"
    PRODUCT = "product"
    PURCHASE = "purchase"


class Method(StrEnum):
    """How parts got their weights."""

    GRADIENTS = "integrated gradients"  # Sundararajan et al. 2017
    SIMILARITY = "word by word similarity"  # the cosine's own summands
    LEFT_OUT = "leave one out"
    IN_TURN = "leave one out after another"  # by representation erasure, Li et al. 2016


@dataclass(frozen=True, slots=True)
class WeighedPart:
    """A word, or what was bought, and what it carried of the answer; None where the model does not read it."""

    text: str
    side: Side
    weight: float | None
    is_named: bool = False  # among those that are said to have carried the answer
    nearest: str = ""  # the word of the other text that it is nearest to, where words are held against one another


@dataclass(frozen=True, slots=True)
class Deletion:
    """What the answer changes by where parts are taken out: the named ones, and as many by chance."""

    named: float  # how far the score moved, whichever way
    by_chance: float  # the mean over the draws
    beaten: float  # share of the draws that moved the score less

    @property
    def holds(self) -> bool:
        """Say whether the named parts matter more than chance would have it."""
        return self.named > self.by_chance


@dataclass(frozen=True, slots=True)
class Explanation:
    """One answer and what carried it; where no method holds, no weights and the reason."""

    asked: str  # the query, or the user
    product: str
    answer: str  # as a person reads it: relevant with a chance of 0.63
    score: float
    unit: str  # of score and weights: logit, cosine
    method: Method | None
    parts: tuple[WeighedPart, ...]
    deletion: Deletion | None
    unfit: str = ""  # why nothing is shown
    example_id: str = ""  # of the per-example table, where it is one of a run's

    @property
    def named(self) -> Sequence[WeighedPart]:
        """Give what carried the answer, the heaviest first."""
        chosen = [part for part in self.parts if part.is_named]
        return sorted(chosen, key=lambda part: -abs(part.weight or 0.0))
