"""Which texts are run together: of similar length, and no more than so many tokens with what fills them up."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def cut_by_tokens(rows: Ints, lengths: Ints, tokens: int) -> list[Ints]:
    """Cut rows, the shortest first, before each that would not fit; one longer than so many *tokens* stands alone."""
    cuts, first = [], 0
    for place, length in enumerate(lengths.tolist()):
        if place > first and length * (place - first + 1) > tokens:
            cuts.append(place)
            first = place
    return np.split(rows, cuts)
