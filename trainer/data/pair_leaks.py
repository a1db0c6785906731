"""Looks for pairs of the test whose answer stands on the other side of the split."""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from trainer.data.leaks import NEAR, USER_ITEM
from trainer.data.near_duplicates import group_near
from trainer.data.splits import PART_NUMBER, Part, Parts
from trainer.jobs.data import SplitJob

PAIR, QUERY, USER = "same pair", "same query", "same user"


def count_shared(keys: Sequence[Hashable], parts: Parts) -> int:
    """Count the test rows whose key occurs in a row that is learned from or tuned on."""
    seen = {key for key, part in zip(keys, parts.tolist(), strict=True) if part != PART_NUMBER[Part.TEST]}
    test = np.flatnonzero(parts == PART_NUMBER[Part.TEST]).tolist()
    return sum(keys[row] in seen for row in test)


def find_pair_leaks(
    queries: Sequence[str], products: Sequence[str], users: Sequence[str] | None, parts: Parts, split: SplitJob
) -> dict[str, int]:
    """Count leaks of each kind that this way of splitting promises to be without, texts given row by row."""
    found = {PAIR: count_shared(list(zip(queries, products, strict=True)), parts)}
    if split.by in ("query", "column"):  # in time the same query comes again and again: no leak
        found[QUERY] = count_shared(queries, parts)
    if users is not None and split.by == "user":
        found[USER] = count_shared(users, parts)
    if users is not None and split.by == "time":
        found[USER_ITEM] = count_shared(list(zip(users, products, strict=True)), parts)
    found[NEAR] = _count_near(queries, products, parts) - found[PAIR]
    return found


def _count_near(queries: Sequence[str], products: Sequence[str], parts: Parts) -> int:
    """Count the test rows whose query and product are both nearly those of one row on the other side."""
    query = _grouped(queries)
    is_test = parts == PART_NUMBER[Part.TEST]
    both = set(query[is_test].tolist()) & set(query[~is_test].tolist())
    rows = np.flatnonzero(np.isin(query, list(both)))
    # Products only of rows whose queries meet on both sides: most pairs need no second comparison.
    product = _grouped([products[row] for row in rows.tolist()])
    return count_shared(list(zip(query[rows].tolist(), product.tolist(), strict=True)), parts[rows])


def _grouped(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    distinct = list(dict.fromkeys(texts))
    group = dict(zip(distinct, group_near(distinct), strict=True))
    return np.array([group[text] for text in texts], dtype=np.int64)
