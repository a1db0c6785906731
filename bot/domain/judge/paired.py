"""Example by example: paired t tests between runs, and Holm's correction over many of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bot.domain.judge.spread import p_below, t_quantile
from bot.domain.policy import LARGEST
from bot.domain.runs import Bools, Floats

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


def are_usable(values: Floats) -> Bools:
    """Say of each value whether it is a number that others can be compared with."""
    return np.asarray(np.abs(values) <= LARGEST)


def holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """Return p values adjusted for being the smallest of many (Holm 1979).

    Where some matter more, *weights* share out the error: a test of twice the weight is held to twice the level.
    """
    shares = [1.0] * len(p_values) if weights is None else weights
    adjusted = [1.0] * len(p_values)
    left, running = math.fsum(shares), 0.0
    for index in sorted(range(len(p_values)), key=lambda i: p_values[i] / shares[i]):
        running = max(running, min(1.0, max(left / shares[index], 1.0) * p_values[index]))
        adjusted[index] = running
        left = max(left - shares[index], 0.0)
    return adjusted


def moderated_variance(squares: float, n: int, prior: float) -> float:
    """Shrink the variance of *n* differences to that of all, which counts as :data:`PRIOR_PAIRS` further pairs.

    A small part may hold hardly any unequal pair, and then its own variance says nothing (after Smyth 2004).
    """
    return (PRIOR_PAIRS * prior + squares) / (PRIOR_PAIRS + n - 1)


def moderated_p(differences: Floats, parts: Sequence[Floats]) -> list[float]:
    """Return the one-sided p values that the means of *parts* of the *differences* are below zero."""
    prior = float(differences.var(ddof=1))
    found = []
    for part in parts:
        n = len(part)
        variance = moderated_variance(float(((part - part.mean()) ** 2).sum()), n, prior)
        found.append(p_below(float(part.mean()), math.sqrt(variance / n), PRIOR_PAIRS + n - 1))
    return found
