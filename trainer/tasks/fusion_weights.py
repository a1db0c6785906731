"""Chooses how much one list weighs beside another, by what the valid rows' queries gain."""

from collections.abc import Callable, Iterable

import numpy as np

from trainer.models.hybrid_search import Found
from trainer.tasks.retrieval_questions import TOP, Questions, list_values

WEIGHTS = np.linspace(0, 1, 11)
EVEN = 0.5  # where no valid rows choose


def choose_weight(asked: Questions, answered: Callable[[], Callable[[float], Iterable[Found]]], top: int) -> float:
    """Give the weight at which the lists have the highest nDCG, the least among equals; an even one of no queries.

    The lists are *answered* once, and given at each weight.
    """
    if not len(asked.queries_Q):
        return EVEN
    fused = answered()
    # At few points: a finer grid would choose by the chance of few queries.
    gained = [_ndcg(asked, fused(float(weight)), top) for weight in WEIGHTS]
    # Rounded, so that the order in which queries are added up decides between no two.
    return round(float(WEIGHTS[int(np.argmax(np.round(gained, 9)))]), 2)


def _ndcg(asked: Questions, found: Iterable[Found], top: int) -> float:
    return float(np.mean(list_values(asked, found, top)[f"ndcg_at_{TOP}"]))
