"""Metrics of ranked lists by query: trec_eval's definitions, in expectation over the order of what ties."""

# Shape suffixes, scoped to this file:
#   Q = queries, L = products of a list, G = groups of a list that tie

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RankedList:
    """What was given for one query, in any order, and what would have been right."""

    scores_L: Floats
    gains_L: Floats  # nought where a product is not relevant, or was not judged
    judged: Floats  # gains of everything judged for the query, whether it was given or not


@dataclass(frozen=True, slots=True)
class TiedGroups:
    """The groups of one list whose scores are the same, best first."""

    above_G: Ints  # products that score higher
    size_G: Ints
    gain_G: Floats  # sum
    relevant_G: Ints


def rank_metrics(
    lists: Iterable[RankedList], *, ndcg: Sequence[int], recall: Sequence[int] = (), least: float, depth: int | None
) -> dict[str, Floats]:
    """Give nDCG, recall and reciprocal rank of every query; *least* is the gain from which a product is relevant.

    Each is the mean over all orders of the products that tie, so that nothing hangs on how they are numbered. nDCG's
    gains are linear. What stands below *depth* counts as not found. A query with nothing judged relevant has no
    recall and no reciprocal rank, and one whose gains are all nought no nDCG: they are NaN.
    """
    names = [*(f"ndcg_at_{k}" for k in ndcg), *(f"recall_at_{k}" for k in recall), "mrr"]
    rows: list[list[float]] = []
    for one in lists:  # none is held: a list is as long as its ties make it
        groups, known = group_ties(one, least), int(np.count_nonzero(one.judged >= least))
        gains = [_ndcg(groups, one, k) for k in ndcg]
        rows.append([*gains, *(_recall(groups, known, k) for k in recall), _reciprocal_rank(groups, known, depth)])
    return dict(zip(names, np.array(rows).reshape(-1, len(names)).T, strict=True))


def group_ties(ranked: RankedList, least: float) -> TiedGroups:
    """Gather the products of each score."""
    _, group_L, size_G = np.unique(-ranked.scores_L, return_inverse=True, return_counts=True)
    return TiedGroups(
        np.cumsum(size_G) - size_G,
        size_G,
        np.bincount(group_L, ranked.gains_L, len(size_G)).astype(np.float64),
        np.bincount(group_L, ranked.gains_L >= least, len(size_G)).astype(np.int64),
    )


def _ndcg(groups: TiedGroups, ranked: RankedList, k: int) -> float:
    k = min(k, max(len(ranked.scores_L), len(ranked.judged)))  # there is nothing behind, however many are asked for
    # discount_K[n] is what the first n places are worth together.
    discount_K = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    ideal = np.sort(ranked.judged)[::-1][:k]
    best = float(ideal @ np.diff(discount_K)[: len(ideal)])
    if best <= 0:
        return float("nan")
    end_G, begin_G = np.minimum(groups.above_G + groups.size_G, k), np.minimum(groups.above_G, k)
    return float((groups.gain_G / groups.size_G) @ (discount_K[end_G] - discount_K[begin_G])) / best


def _recall(groups: TiedGroups, known: int, k: int) -> float:
    if not known:
        return float("nan")
    within_G = np.clip(k - groups.above_G, 0, groups.size_G)
    return float((groups.relevant_G / groups.size_G) @ within_G) / known


def _reciprocal_rank(groups: TiedGroups, known: int, depth: int | None) -> float:
    if not known:
        return float("nan")
    (hit,) = np.nonzero(groups.relevant_G)
    if not len(hit):
        return 0.0
    above, size, relevant = (int(one[hit[0]]) for one in (groups.above_G, groups.size_G, groups.relevant_G))
    place = above + np.arange(1, size - relevant + 2)
    chance = _chances_of_first(size, relevant)
    within = place <= (place[-1] if depth is None else depth)
    return float(chance[within] @ (1 / place[within]))


def _chances_of_first(size: int, relevant: int) -> Floats:
    """Give the chance that the first of some relevant products among *size* in random order has place 1, 2, ..."""
    place = np.arange(1, size - relevant + 1)
    # Place after place: all before it were others, so those that are left hold more and more of the relevant ones.
    others_left = (size - relevant - place + 1) / (size - place + 1)
    reached = np.concatenate([[1.0], np.cumprod(others_left)])
    return np.asarray(reached * relevant / (size - np.arange(size - relevant + 1)))
