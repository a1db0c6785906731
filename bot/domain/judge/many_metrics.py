"""How many metrics a run is judged by, in effect: each may fall by chance, and those that move together are one.

The chance that any of many correlated normal values exceeds a high bound is that of one, times the sum over them of the
mean of 1 / N where it is one of N that exceed it (importance sampling by declumping: Naiman and Priebe 2001). That is
the number by which p values are divided, and whose logarithm, and a quarter more, is asked of the evidence on top.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bot.domain.runs import Floats

BOUND = 3.1  # spreads beyond which, one in a thousand times, a metric that is all right would be called worse
RECENT = 20  # runs that show how metrics move together
NATS = 1.25  # for each nat of the number: false evidence of many runs dies out a little more slowly than by its nats
DRAWS = 400
SEED = 20_010  # whatever it is: the same runs have the same verdict
FEWEST = 6  # runs in common without which nothing is known of how two metrics move together


def effective_number(metrics: Sequence[Mapping[Any, float]]) -> float:
    """Return how many independent metrics would be called worse by chance as often as these: values by run, of each."""
    if len(metrics) < 2:  # noqa: PLR2004 - one is one
        return 1.0
    return count_exceeding(correlate(metrics))


def extra_evidence(number: float) -> float:
    """Return how much more evidence is asked of each of so many independent metrics, in nats."""
    return NATS * math.log(number)


def correlate(metrics: Sequence[Mapping[Any, float]]) -> Floats:
    """Return how the metrics move together, shrunk by how little their runs tell of that (Schäfer, Strimmer 2005).

    By the ranks of differences between neighbouring runs: a level that changed, or a run that failed in every metric,
    is no reason to take them for one.
    """
    runs = [run for run in metrics[0] if all(run in metric for metric in metrics[1:])]
    n = len(runs)
    if n < FEWEST:
        return np.eye(len(metrics))
    values = np.array([[metric[run] for run in runs] for metric in metrics])
    ranks = np.array([ranks_of(row) for row in np.diff(values, axis=1)])
    lengths = np.sqrt((ranks**2).sum(axis=1))
    scores = ranks / np.maximum(lengths, 1e-300)[:, None]
    found = 2 * np.sin(math.pi / 6 * (scores @ scores.T))  # of normal values with such ranks
    beside = ~np.eye(len(metrics), dtype=bool)
    squares = float((found[beside] ** 2).sum())
    noise = float(((1 - found[beside] ** 2) ** 2).sum()) * 2 / n  # neighbouring differences share a run
    kept = max(0.0, 1 - noise / squares) if squares > 0 else 0.0
    return np.where(beside, kept * found, 1.0)


def ranks_of(row: Floats) -> Floats:
    """Return centred ranks, tied values sharing theirs."""
    _, place, counts = np.unique(row, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared = last - (counts - 1) / 2
    return np.asarray(shared[place] - shared[place].mean(), dtype=np.float64)


def count_exceeding(correlations: Floats) -> float:
    """Return how many times likelier any of these normal values exceeds the bound than one does."""
    m = len(correlations)
    random = np.random.default_rng(SEED)
    sizes, vectors = np.linalg.eigh(correlations)
    roots = vectors * np.sqrt(np.maximum(sizes, 0.0))
    drawn = random.standard_normal((DRAWS, m)) @ roots.T
    one = np.arange(DRAWS) % m if m <= DRAWS else random.integers(0, m, DRAWS)
    beyond = BOUND + random.exponential(1 / (BOUND + 1 / BOUND), DRAWS)  # about the tail of a normal value
    of_one = correlations[one]
    drawn += of_one * (beyond - drawn[np.arange(DRAWS), one])[:, None]
    return max(1.0, m * float((1 / np.maximum((drawn >= BOUND).sum(axis=1), 1)).mean()))
