"""Many values, some at a time: databases limit how many a statement may name, and memory how many rows to hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

AT_ONCE = 500

T = TypeVar("T")


def in_pieces(values: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """Yield the values in lists of at most *size*."""
    rest = iter(values)
    while piece := list(islice(rest, size)):
        yield piece
