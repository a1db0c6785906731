"""Metrics of ranked lists by query, through ir-measures (trec_eval's definitions)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

GRAIN = 100  # a hundredth is the finest step of a grade: trec_eval wants whole numbers, and divides the scale out again


@dataclass(frozen=True, slots=True)
class Ranked:
    """What is right and what was given, of one query after another."""

    gains: Sequence[Mapping[int, int]]  # product -> gain, nought where it is not relevant
    lists: Sequence[Ints]  # products, best first


def whole_gains(grades: Floats, lowest: float) -> Ints:
    """Give grades above the lowest as whole numbers, which is what trec_eval takes."""
    return np.rint((grades - lowest) * GRAIN).astype(np.int64)


def rank_metrics(
    ranked: Ranked, *, ndcg: Sequence[int], recall: Sequence[int] = (), least: int = 1
) -> dict[str, Floats]:
    """Give nDCG, recall and reciprocal rank of every query; *least* is the gain from which a product is relevant.

    A query with nothing relevant counts as nought, as trec_eval has it. nDCG's gains are linear.
    """
    from ir_measures import RR, R, iter_calc, nDCG

    names = {nDCG @ k: f"ndcg_at_{k}" for k in ndcg} | {R(rel=least) @ k: f"recall_at_{k}" for k in recall}
    names[RR(rel=least)] = "mrr"
    qrels = {
        str(place): {str(product): int(gain) for product, gain in gains.items()}
        for place, gains in enumerate(ranked.gains)
    }
    # Places as scores: trec_eval sorts by score and breaks ties by the product's name, of which places have none.
    run = {
        str(place): {str(product): float(len(products) - rank) for rank, product in enumerate(products.tolist())}
        for place, products in enumerate(ranked.lists)
    }
    # Nought to begin with: a query without anything relevant is not among what comes back.
    values = {name: np.zeros(len(ranked.lists)) for name in names.values()}
    for found in iter_calc(list(names), qrels, run):
        values[names[found.measure]][int(found.query_id)] = found.value
    return values
