"""What could not be measured, and why: a metric that is not defined is absent, never nought."""

from collections.abc import Mapping
from typing import Literal

from trainer.measures.pair_metrics import Answers, Choices

NOTHING, EVERYTHING, NOT_SAID = "no pair is relevant", "every pair is relevant", "no pair is said to be relevant"
NO_ORDER, ONE_CLASS = "all grades or all predictions are the same", "all pairs are of one class"
NO_LIST = "no query has anything relevant"


def explain_undefined(
    answers: Answers | None, choices: Choices | None, lists: Mapping[str, object], found: Mapping[str, float]
) -> dict[str, str]:
    """Give why each metric is absent that a task over pairs else has."""
    if choices is not None or answers is None:
        reasons = {"precision": "no class that pairs have is ever said", "auc": ONE_CLASS}
    else:
        right, said = answers.relevant_N, answers.chance_N >= answers.threshold
        reasons = {
            "precision": NOT_SAID if right.any() and not said.any() else NOTHING,
            "recall": NOTHING,
            "f1": NOTHING,
            "auc": EVERYTHING if right.all() else NOTHING,
        }
        reasons |= {"spearman": NO_ORDER} if answers.grade_N is not None else {}
        reasons |= dict.fromkeys(lists, NO_LIST)
    return {name: why for name, why in reasons.items() if name not in found}


def tell_without(queries: int, policy: Literal["leave out", "zero"]) -> dict[str, str]:
    """Say in words what became of the queries with nothing relevant, if there are any."""
    if not queries:
        return {}
    become = "left out of recall, nDCG and MRR" if policy == "leave out" else "counted as nought"
    return {"nothing relevant": f"{queries} queries have no relevant product; {become}"}
