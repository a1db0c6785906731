"""The drops that are planted into a history, and what people would have heard of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_DECAY_RUNS = 20  # over which a slow decay reaches its size


class DropShape(StrEnum):
    STEP = "step"  # from one run on, for good
    DECAY = "decay"  # a little more with each of 20 runs
    SINGLE = "single"  # one run alone
    SLICE = "slice"  # from one run on, in one slice of the examples alone


OF_WHOLE = (DropShape.STEP, DropShape.DECAY, DropShape.SINGLE)  # of a metric of whole runs
SIZES = {  # in spreads: of the metric, or of the metric in that slice
    DropShape.STEP: (0.5, 1.0, 1.5, 2.0, 3.0, 5.0),
    DropShape.DECAY: (1.0, 2.0, 3.0, 5.0),
    DropShape.SINGLE: (2.0, 3.0, 5.0),
    DropShape.SLICE: (1.0, 2.0, 3.0, 5.0),
}
LOOKED_AT = {  # runs from the first one on
    DropShape.STEP: 30,
    DropShape.DECAY: 40,
    DropShape.SINGLE: 4,
    DropShape.SLICE: 10,
}


@dataclass(frozen=True, slots=True)
class Drop:
    """A fall as it is planted."""

    metric: str
    shape: DropShape
    size: float  # in spreads

    def share(self, number: int) -> float:
        """Return how much of the fall the run of that *number* shows, counted from 0 at the first."""
        match self.shape:
            case DropShape.STEP | DropShape.SLICE:
                return 1.0
            case DropShape.DECAY:
                return min(1.0, (number + 1) / _DECAY_RUNS)
            case DropShape.SINGLE:
                return 1.0 if number == 0 else 0.0


class Heard(StrEnum):
    """What people would have heard of a drop."""

    TICKET = "ticket"
    DIGEST = "digest"  # that something looked worse, and nothing more
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Planted:
    """A drop at one place of a history, and what would have come of it."""

    drop: Drop
    series: str
    run_id: str  # the first run that shows it
    heard: Heard
    after: int | None = None  # runs until it was heard of, the first one included
    stretch: int = 0  # of the history: drops of one stretch share runs
    doubt: float = 0.0  # standard error of the spread, as a share of it
