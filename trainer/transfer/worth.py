"""How many rows of a target it takes to be as good as what was learnt elsewhere: read off a curve that only rises."""

# Shape suffixes, scoped to this file:
#   P = points of a curve, R = replicates

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from trainer.measures.bootstrap import LEVEL

Floats = npt.NDArray[np.float64]

LEAST = 0.5  # rows that are told as any


class Verdict(Enum):
    """What is said of a source on a target."""

    SPARES = "spares"  # so many rows
    AT_LEAST = "at least"  # the low end: more than all that were measured, were it not for chance
    MORE_THAN_ALL = "more than all"  # that were measured, beyond chance
    NOTHING = "nothing"
    NOT_TOLD = "not told apart"  # anything from nothing to more than all may be true
    HARMS = "harms"  # it is worse than no source and no rows, whatever rows do beyond them


@dataclass(frozen=True, slots=True)
class RowsWorth:
    """Rows of the target that a source stands for; infinite beyond what was measured."""

    verdict: Verdict
    rows: float
    low: float  # 95 %
    high: float
    most: float  # rows that were measured


def rising(value_P: Floats, weight_P: Floats | None = None) -> Floats:
    """Give the nearest values, by squares, that never fall: pool adjacent violators (Ayer et al. 1955)."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, points
    weights = np.ones(len(value_P)) if weight_P is None else weight_P
    for value, weight in zip(value_P.tolist(), weights.tolist(), strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (one, own, many), (other, its, more) = blocks.pop(-2), blocks.pop()
            blocks.append(((one * own + other * its) / (own + its), own + its, many + more))
    return np.concatenate([np.full(points, mean) for mean, _, points in blocks]) if blocks else np.empty(0)


def rows_for(score: float, rows_P: Floats, value_P: Floats) -> float:
    """Give the fewest rows at which a curve reaches a score; infinity where it never does.

    Between two points the curve, made to rise, is straight over log(1 + rows): nought has its place on it, and what is
    gained by the tenth row is as much as by the thousandth hundred. Nothing is told beyond the points. Where a curve
    falls at first its beginning is not levelled down: who has no rows has that score, and needs no row to reach it.
    """
    risen_P = rising(value_P)
    if score <= max(value_P[0], risen_P[0]):
        return float(rows_P[0])
    (reached,) = np.nonzero(risen_P >= score)
    if not len(reached):
        return float("inf")
    at = int(reached[0])
    below, above = float(risen_P[at - 1]), float(risen_P[at])
    left, right = np.log1p(rows_P[at - 1]), np.log1p(rows_P[at])
    found = float(np.expm1(left + (score - below) / (above - below) * (right - left)))
    return min(max(found, float(rows_P[at - 1])), float(rows_P[at]))  # no rounding leads out of the stretch


def rows_worth(score: float, score_R: Floats, rows_P: Sequence[float], value_P: Floats, value_PR: Floats) -> RowsWorth:
    """Say what a score is worth on a curve, with the middle of what replicates of both say."""
    places = np.asarray(rows_P, dtype=np.float64)
    order = np.argsort(places, kind="stable")
    places, value_P, value_PR = places[order], value_P[order], value_PR[order]
    found = rows_for(score, places, value_P)
    told = [
        rows_for(float(one), places, value_PR[:, place])
        for place, one in enumerate(score_R.tolist())
        if np.isfinite(one) and np.isfinite(value_PR[:, place]).all()
    ]
    low, high = _middle(told) if told else (found, found)
    low, high = min(low, found), max(high, found)
    return RowsWorth(_verdict(found, low, high, score_R - value_PR[0]), found, low, high, float(places[-1]))


def _middle(told: Sequence[float]) -> tuple[float, float]:
    # By order, not between two values: one of them may be infinite.
    ordered, tail = sorted(told), (1 - LEVEL) / 2
    last = len(ordered) - 1
    return ordered[int(np.floor(tail * last))], ordered[int(np.ceil((1 - tail) * last))]


def _verdict(found: float, low: float, high: float, gain_R: Floats) -> Verdict:
    finite = gain_R[np.isfinite(gain_R)]
    if len(finite) and float(np.quantile(finite, (1 + LEVEL) / 2)) < 0:
        return Verdict.HARMS
    if low < LEAST and np.isinf(high):
        return Verdict.NOT_TOLD
    if np.isinf(found):
        return Verdict.MORE_THAN_ALL if np.isinf(low) else Verdict.AT_LEAST
    return Verdict.SPARES if found >= LEAST else Verdict.NOTHING
