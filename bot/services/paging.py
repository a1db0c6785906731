"""Lists that come in pages, read to their end, which a confused server may never reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from bot.errors import RetryableError

T = TypeVar("T")
C = TypeVar("C")

_MOST_PAGES = 10_000


def each_page(service: str, fetch: Callable[[C], tuple[Sequence[T], C | None]], first: C) -> Iterator[T]:
    """Yield the rows of all pages; *fetch* returns those of one, and where the next is.

    Raises RetryableError where the pages come round again or never end: rows are missing then, and what is sought may
    be among them.
    """
    at: C | None = first
    seen: set[C] = set()
    while at is not None:
        if at in seen or len(seen) >= _MOST_PAGES:
            raise RetryableError(f"{service} does not come to the end of a list: its pages repeat.", doubtful=False)
        seen.add(at)
        rows, at = fetch(at)
        yield from rows
