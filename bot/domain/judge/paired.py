"""Example by example: paired t tests between runs, and Holm's correction over many of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bot.domain.judge.spread import p_below, t_quantile
from bot.domain.policy import LARGEST
from bot.domain.runs import Bools, ExampleTable, Floats, Slice, Strings

MIN_EXAMPLES = 5  # fewer common examples say nothing
PRIOR_PAIRS = 30.0  # how many pairs the variance of all of them is worth in a part


@dataclass(frozen=True, slots=True)
class Rows:
    """The examples that a run shares with its baseline runs."""

    differences: Floats  # an example each: candidate minus the mean of the baseline runs
    candidate: float  # mean over the shared examples
    baselines: Floats  # the same mean of every baseline run
    lost: float  # sum of the differences, each weighed by its share of the example
    variance: float = 0.0  # of one example, from baseline run to baseline run

    @property
    def n(self) -> int:
        return len(self.differences)

    def p_below(self) -> float:
        """Return the one-sided p value of the paired t test for a fall."""
        return paired_p(self.differences)


@dataclass(frozen=True, slots=True)
class Pairs:
    """A mean over pairs, in the metric's unit, and how sure it is."""

    n: int
    baseline: float
    change: float  # candidate minus baseline, whatever the direction
    change_low: float  # 95 % interval
    change_high: float
    p: float  # one-sided that the metric did not get worse
    detectable: float  # smallest fall that four out of five times is found at the level asked for

    @property
    def relative(self) -> float | None:
        return self.change / abs(self.baseline) if self.baseline else None


def measure_pairs(baseline: Floats, candidate: Floats, sign: int, alpha: float) -> Pairs:
    """Measure the paired difference of at least two rows; *sign* is 1 where higher is better, else -1."""
    differences = candidate - baseline
    n = len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    margin = t_quantile(0.975, n - 1) * error
    change = float(differences.mean())
    detectable = (t_quantile(1 - alpha, n - 1) + t_quantile(0.8, n - 1)) * error
    low, high = change - margin, change + margin
    return Pairs(n, float(baseline.mean()), change, low, high, paired_p(sign * differences), detectable)


def paired_p(differences: Floats) -> float:
    """Return the one-sided p value of the t test that the mean of *differences* is below zero."""
    n = len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    return p_below(float(differences.mean()), error, n - 1)


def shared_rows(
    candidate: ExampleTable,
    baselines: Sequence[ExampleTable],
    metric: str,
    part: Slice | None = None,
    fit: Sequence[bool] | None = None,
) -> Rows | None:
    """Line up the examples of *part* that every table holds; None where too few are shared.

    The candidate is held against those that are *fit*, by default all; the means are those of all.
    """
    tables = [table for table in baselines if can_hold(table, metric, part)]
    if not tables or not can_hold(candidate, metric, part):
        return None
    ids, values, weights = candidate.values(metric, part)
    columns = [table.values(metric, part)[:2] for table in tables]
    shared = ids
    for other, _ in columns:
        shared = np.intersect1d(shared, other, assume_unique=True)
    before = np.vstack([column[np.searchsorted(other, shared)] for other, column in columns])
    now = values[np.searchsorted(ids, shared)]
    known = are_usable(now) & are_usable(before).all(axis=0)
    if known.sum() < MIN_EXAMPLES:
        return None
    shared, now, before = shared[known], now[known], before[:, known]
    held = before if fit is None else before[np.array(fit, dtype=bool)]
    if not len(held):
        return None
    differences = now - held.mean(axis=0)
    with np.errstate(all="ignore"):  # of weights that are none
        weight = weights[np.searchsorted(ids, shared)] / total_weights(candidate, shared)
        lost = float((differences * weight).sum())
    variance = float(held.var(axis=0, ddof=1).mean()) if len(held) > 1 else 0.0
    lost = lost if math.isfinite(lost) else 0.0
    return Rows(differences, float(now.mean()), before.mean(axis=1), lost, variance)


def are_usable(values: Floats) -> Bools:
    """Say of each value whether it is a number that others can be compared with."""
    return np.asarray(np.abs(values) <= LARGEST)


def can_hold(table: ExampleTable, metric: str, part: Slice | None) -> bool:
    return metric in table.metrics and (part is None or part.column in table.slices)


def total_weights(table: ExampleTable, ids: Strings) -> Floats:
    """Return the weight of each of *ids* over all its rows."""
    distinct, positions = np.unique(table.example_ids, return_inverse=True)
    totals = np.bincount(positions, weights=table.weights, minlength=len(distinct))
    return np.asarray(totals[np.searchsorted(distinct, ids)], dtype=np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for being the smallest of many (Holm 1979)."""
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def moderated_p(differences: Floats, parts: Sequence[Floats]) -> list[float]:
    """Return the one-sided p values that the means of *parts* of the *differences* are below zero.

    A small part may hold hardly any unequal pair, and then its own variance says nothing: each is shrunk to the
    variance of all differences, which counts as :data:`PRIOR_PAIRS` further pairs (after Smyth 2004).
    """
    prior = float(differences.var(ddof=1))
    found = []
    for part in parts:
        n = len(part)
        squares = float(((part - part.mean()) ** 2).sum())
        df = PRIOR_PAIRS + n - 1
        variance = (PRIOR_PAIRS * prior + squares) / df
        found.append(p_below(float(part.mean()), math.sqrt(variance / n), df))
    return found
