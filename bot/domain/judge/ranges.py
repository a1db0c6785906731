"""The range a metric can have, and in it the smallest effect that matters: a share of the side that is small.

A fall of an AUC from .998 to .980 is one of 2 % to whoever counts what is right, and tenfold to whoever counts what is
wrong. So a relative effect is a share of the level's distance to the *nearer* end of its range: 2 % of the hits at a
hit rate of .2, 2 % of the misses at an accuracy of .998. Below the middle of the range that is a share of the level, as
it is where no range is known; above, it is what the metric's complement (the error rate) would be asked for. Like a
distance on the logit scale it does not care which of both a team logs, but it keeps "2 % of .2" what everybody takes it
for.
"""

from __future__ import annotations

import math
import re
from functools import cache

from bot.domain.direction import words_of
from bot.domain.policy import MetricPolicy

_SHARES = frozenset(
    re.findall(
        r"\w+",
        """
        accuracy acc auc auroc rocauc auprc aucpr prauc ap map ndcg recall precision f1 f1score fscore mrr hr hit hits
        hitrate jaccard iou miou dice sensitivity specificity tpr tnr fpr fnr fdr npv ppv ctr cvr em brier ece rouge
        rougel rouge1 rouge2 bleu meteor bertscore purity coverage share fraction
        """,
    )
)
_RATES = frozenset({"error", "hit", "click", "win", "pass", "success", "failure", "positive", "negative", "miss"})
_CORRELATIONS = frozenset(
    {"mcc", "matthews", "kappa", "pearson", "spearman", "kendall", "correlation", "corr", "cosine"}
)
# What is measured of a metric may have another range than the metric: `recall_loss`, `auc_gap`, `hits_total`.
_OTHERS = frozenset(
    re.findall(
        r"\w+",
        """
        loss latency time seconds sec ms count counts num total sum lift gain gap delta diff difference change ratio std
        variance drift log logit entropy length size cost price
        """,
    )
)
_PERCENT = 100.0


def effect_at(policy: MetricPolicy, level: float) -> float:
    """Return the smallest effect that matters, in the metric's unit, at a baseline of *level*."""
    return policy.min_effect.against(small_side(policy, level))


def small_side(policy: MetricPolicy, level: float) -> float:
    """Return how far *level* is from nothing, or from the end of the metric's range where that is nearer."""
    low, high = range_of(policy, level)
    return max(0.0, min(abs(level), level - low, high - level))


def range_of(policy: MetricPolicy, level: float) -> tuple[float, float]:
    """Return the ends of what a metric can be: by its name, else as config bounds it.

    Bounds beside a known name are taken for what they mostly are: for what would be too good to be true.
    """
    named = named_range(policy.name)
    if named is None:
        return policy.lower, policy.upper
    low, high = named
    is_percent = abs(level) > 1 or 1 < policy.upper <= _PERCENT
    if is_percent:
        low, high = low * _PERCENT, high * _PERCENT
    return (low, high) if low <= level <= high else (policy.lower, policy.upper)


@cache
def named_range(name: str) -> tuple[float, float] | None:
    """Return the range that metrics of such a name have; None for a name that says nothing of it."""
    words = frozenset(words_of(name))
    if words & _OTHERS:
        return None
    if words & _SHARES or "ndcg" in name.lower() or ("rate" in words and words & _RATES):
        return 0.0, 1.0
    if words & _CORRELATIONS:
        return -1.0, 1.0
    return (-math.inf, 1.0) if "r2" in words else None
