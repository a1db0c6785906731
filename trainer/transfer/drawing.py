"""Draws rows to learn, nested: whoever draws more has all that the smaller draws have."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Rows that are learnt, and rows that settle what a fit chooses; of trips these are none."""

    learn: Ints
    settle: Ints
    amount: int  # learnt, in the unit that shots count: judged pairs, or users


def draw_whole(unit_N: Ints, wanted: int, rng: np.random.Generator) -> Ints:
    """Give the places of at most *wanted* rows, all rows of a unit or none; the first unit is in whatever its size.

    Of one state of the generator every draw is the beginning of a larger one.
    """
    units, place_N, size_U = np.unique(unit_N, return_inverse=True, return_counts=True)
    order = rng.permutation(len(units))
    # The first unit that is too large ends the draw: to look for a smaller one behind it would break the nesting.
    taken = max(1, int(np.searchsorted(np.cumsum(size_U[order]), wanted, side="right"))) if wanted else 0
    chosen = np.zeros(len(units), dtype=np.bool_)
    chosen[order[:taken]] = True
    return np.flatnonzero(chosen[place_N])
