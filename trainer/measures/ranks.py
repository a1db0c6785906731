"""Ranks in the whole catalogue, ties by expectation, and the metrics that come of them."""

# Shape suffixes, scoped to this file:
#   U = users, I = items of the catalogue, N = targets (user, item)

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

TOP = 10
DEEP = 50
METRICS = ("hr_at_10", "ndcg_at_10", "mrr", "recall_at_50")
ROWS_AT_A_TIME = 512  # keeps the comparison of scores within the cache of a small machine


@dataclass(frozen=True, slots=True)
class Ranks:
    """Where targets stand: so many items score strictly higher, so many the same (the target itself included)."""

    above_N: Ints
    tied_N: Ints


def join_ranks(parts: Sequence[Ranks]) -> Ranks:
    """Give the ranks of several blocks of targets as one."""
    return Ranks(np.concatenate([one.above_N for one in parts]), np.concatenate([one.tied_N for one in parts]))


def rank_targets(scores_UI: Scores, user_N: Ints, item_N: Ints) -> Ranks:
    """Rank every target in the whole catalogue: a sample may order scorers otherwise (Krichene and Rendle 2020)."""
    above_N, tied_N = np.empty(len(user_N), dtype=np.int64), np.empty(len(user_N), dtype=np.int64)
    for start in range(0, len(user_N), ROWS_AT_A_TIME):
        part = slice(start, start + ROWS_AT_A_TIME)
        rows = scores_UI[user_N[part]]
        # Ties are counted, not broken: the order of the catalogue would decide, which is often that of popularity.
        own = scores_UI[user_N[part], item_N[part]][:, None]
        above_N[part] = np.count_nonzero(rows > own, axis=1)
        tied_N[part] = np.count_nonzero(rows == own, axis=1)
    return Ranks(above_N, tied_N)


def expected_hits(ranks: Ranks, k: int) -> Floats:
    """Give the chance that a target is among the first k when ties are broken at random."""
    return _within(ranks, k) / ranks.tied_N


def expected_ndcg(ranks: Ranks, k: int) -> Floats:
    """Give the mean of 1/log2(1 + rank), 0 beyond k, over the ranks a target may take; one relevant item a query."""
    # gains[r] is the sum over the first r ranks: the mean over tied ranks is a difference of two.
    gains = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    last = np.minimum(ranks.above_N + ranks.tied_N, k)
    return np.asarray((gains[last] - gains[np.minimum(ranks.above_N, k)]) / ranks.tied_N)


def expected_reciprocal_rank(ranks: Ranks, items: int) -> Floats:
    """Give the mean of 1/rank over the ranks a target may take, in a catalogue of *items*."""
    # As for nDCG: sums over ranks, so that ties of any length cost the same.
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, items + 1))])
    return np.asarray((harmonic[ranks.above_N + ranks.tied_N] - harmonic[ranks.above_N]) / ranks.tied_N)


def score_ranks(ranks: Ranks, items: int) -> dict[str, Floats]:
    """Give every metric of METRICS for every target."""
    return {
        "hr_at_10": expected_hits(ranks, TOP),
        "ndcg_at_10": expected_ndcg(ranks, TOP),
        "mrr": expected_reciprocal_rank(ranks, items),
        "recall_at_50": expected_hits(ranks, DEEP),
    }


class Coverage:
    """The share of a catalogue that is in somebody's first k, in expectation over ties; users come in blocks."""

    def __init__(self, items: int, k: int = TOP) -> None:
        self.k = min(k, items)
        self._certain_I = np.zeros(items, dtype=np.bool_)
        self._log_absent_I = np.zeros(items)

    def add(self, scores_UI: Scores) -> None:
        """Count some more users."""
        k, items = self.k, scores_UI.shape[1]
        # The k-th highest score: what lies above is in for certain, what ties with it shares the places that are left.
        threshold = np.partition(scores_UI, items - k, axis=1)[:, items - k, None]
        above_UI, tied_UI = scores_UI > threshold, scores_UI == threshold
        places_left = k - np.count_nonzero(above_UI, axis=1)
        chance_U = places_left / np.count_nonzero(tied_UI, axis=1)
        certain_U = chance_U == 1
        self._certain_I |= above_UI.any(axis=0) | tied_UI[certain_U].any(axis=0)
        # Chances of absence multiply over users.
        for row in np.flatnonzero(~certain_U).tolist():
            self._log_absent_I[tied_UI[row]] += np.log1p(-chance_U[row])

    def share(self) -> float:
        """Give the share that all who were added cover."""
        return float(np.where(self._certain_I, 1.0, -np.expm1(self._log_absent_I)).mean())


def _within(ranks: Ranks, k: int) -> Floats:
    places = np.minimum(ranks.above_N + ranks.tied_N, k) - np.minimum(ranks.above_N, k)
    return np.asarray(places, dtype=np.float64)
