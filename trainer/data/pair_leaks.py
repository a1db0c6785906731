"""Looks for pairs of the test whose answer stands on the other side of the split."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.data.leaks import NEAR, USER, USER_ITEM
from trainer.data.near_duplicates import group_near
from trainer.data.splits import PART_NUMBER, Part, Parts
from trainer.data.text_normalisation import read_as
from trainer.jobs.data import SplitJob

PAIR, QUERY = "same pair", "same query"


def count_shared(keys: Sequence[Hashable], parts: Parts) -> int:
    """Count the test rows whose key occurs in a row that is learned from or tuned on."""
    seen = {key for key, part in zip(keys, parts.tolist(), strict=True) if part != PART_NUMBER[Part.TEST]}
    test = np.flatnonzero(parts == PART_NUMBER[Part.TEST]).tolist()
    return sum(keys[row] in seen for row in test)


@dataclass(frozen=True, slots=True)
class PairLeaks:
    """Test rows found on the other side, by kind; which kinds this split allows; what was not looked at."""

    found: dict[str, int]
    not_promised: frozenset[str]
    not_compared: int  # texts held against some of those that may be nearly the same, not against all


def find_pair_leaks(
    queries: Sequence[str], products: Sequence[str], users: Sequence[str] | None, parts: Parts, split: SplitJob
) -> PairLeaks:
    """Count leaks of each kind, texts given row by row and taken as a model reads them."""
    queries, products = _as_read(queries), _as_read(products)
    found = {PAIR: count_shared(list(zip(queries, products, strict=True)), parts)}
    if split.by in ("query", "column"):  # in time the same query comes again and again: no leak
        found[QUERY] = count_shared(queries, parts)
    if users is not None and split.by != "time":
        found[USER] = _count_users(users, parts)
    if users is not None and split.by == "time":
        found[USER_ITEM] = count_shared(list(zip(users, products, strict=True)), parts)
    near, not_compared = _count_near(queries, products, parts)
    found[NEAR] = near - found[PAIR]
    return PairLeaks(found, frozenset() if split.by == "user" else frozenset({USER}), not_compared)


def _as_read(texts: Sequence[str]) -> list[str]:
    read = {text: read_as(text) for text in set(texts)}
    return [read[text] for text in texts]


def _count_users(users: Sequence[str], parts: Parts) -> int:
    """Count the test rows of users who are on the other side too; rows without one are nobody's."""
    known = np.array([bool(user) for user in users])
    return count_shared([user for user in users if user], parts[known])


def _count_near(queries: Sequence[str], products: Sequence[str], parts: Parts) -> tuple[int, int]:
    """Count the test rows whose query and product are both nearly those of one row on the other side.

    Beside it stands how many texts could not be held against all that may be near.
    """
    query, left_queries = _grouped(queries)
    is_test = parts == PART_NUMBER[Part.TEST]
    both = set(query[is_test].tolist()) & set(query[~is_test].tolist())
    rows = np.flatnonzero(np.isin(query, list(both)))
    product, left_products = _grouped([products[row] for row in rows.tolist()])
    shared = count_shared(list(zip(query[rows].tolist(), product.tolist(), strict=True)), parts[rows])
    return shared, left_queries + left_products


def _grouped(texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], int]:
    distinct = list(dict.fromkeys(texts))
    near = group_near(distinct)
    group = dict(zip(distinct, near.groups, strict=True))
    return np.array([group[text] for text in texts], dtype=np.int64), near.not_compared
