"""Parts of the examples in the order in which people read them: what splits by one column stands together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bot.domain.judge.findings import Finding
from bot.domain.runs import Slice


def columns_of(part: Slice | None) -> tuple[str, ...]:
    """Return by which columns a part was split off, the widest first; nothing of what is no part."""
    return () if part is None else tuple(column for column, _ in part.conditions)


def by_column(found: Iterable[Finding], first: Callable[[Finding], Any]) -> list[Finding]:
    """Order findings of parts by what comes *first* within a column, and the columns by the first of each.

    Shares of a loss add up within one column alone, so that no two columns' shares may stand mixed.
    """
    ordered = sorted(found, key=first)
    columns = list(dict.fromkeys(columns_of(finding.part) for finding in ordered))
    return [finding for column in columns for finding in ordered if columns_of(finding.part) == column]
