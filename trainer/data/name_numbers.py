"""Numbers names by the alphabet, each held at its own length."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def number_names(names: Sequence[str]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Give the distinct names in the order of the alphabet, and each one's place among them."""
    # Not by numpy, whose arrays give every name the room of the longest: one long title would cost gigabytes.
    distinct = tuple(sorted(set(names)))
    place = {name: number for number, name in enumerate(distinct)}
    return distinct, np.fromiter((place[name] for name in names), dtype=np.int64, count=len(names))
