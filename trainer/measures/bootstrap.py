"""How far a metric is to be trusted: percentile intervals from resampled examples (Efron and Tibshirani 1993)."""

# Shape suffixes, scoped to this file:
#   R = replicates, E = examples (units of independence), N = rows of the table, M = metrics

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.measures.per_example import PerExample

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

REPLICATES = 1000  # what percentile intervals ask for (Efron and Tibshirani 1993, 19.3)
LEVEL = 0.95
NUMBERS_AT_A_TIME = 2_000_000  # bounds the memory of the counts
SEED = 20_240_229  # intervals of the same table are the same, whatever the job's seed


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a metric would lie had other examples of the same kind been drawn: 95 % of the bootstrap."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Sliced:
    """Metrics over the examples of one slice that are no mean over the table."""

    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Intervals:
    """Of every metric, and of every metric within a slice: column -> value -> metric."""

    whole: Mapping[str, Interval]
    sliced: Mapping[str, Mapping[str, Mapping[str, Interval]]]


def measure_intervals(
    table: PerExample, further: Mapping[str, Interval], sliced: Mapping[str, Mapping[str, Sliced]]
) -> Intervals:
    """Give the intervals of a table's means, and beside them those of metrics that are none."""
    by_slice = slice_intervals(table)
    for column, parts in sliced.items():
        for value, part in parts.items():
            by_slice[column][value] |= part.intervals
    return Intervals(table_intervals(table) | dict(further), by_slice)


def table_intervals(table: PerExample) -> dict[str, Interval]:
    """Give an interval for each metric of a table, its examples resampled whole."""
    means_EM = example_means(table, np.arange(len(table.example_ids)))
    return dict(zip(table.values, mean_intervals(means_EM), strict=True))


def slice_intervals(table: PerExample) -> dict[str, dict[str, dict[str, Interval]]]:
    """Give column -> value -> metric -> interval, each from the rows of that slice alone."""
    found: dict[str, dict[str, dict[str, Interval]]] = {}
    for column, values in table.slices.items():
        names = np.array(values, dtype=np.str_)
        parts = {name: mean_intervals(example_means(table, np.flatnonzero(names == name))) for name in set(values)}
        found[column] = {name: dict(zip(table.values, parts[name], strict=True)) for name in sorted(parts)}
    return found


def example_means(table: PerExample, rows: Ints) -> Floats:
    """Give the (E, M) weighted means of each example over some rows, examples by name."""
    ids = np.array(table.example_ids, dtype=np.str_)[rows]
    _, example = np.unique(ids, return_inverse=True)
    weights = table.weights[rows]
    totals = np.bincount(example, weights)
    columns = [np.bincount(example, weights * value[rows]) / totals for value in table.values.values()]
    return np.stack(columns, axis=1) if columns else np.empty((len(totals), 0))


def mean_intervals(means_EM: Floats) -> list[Interval]:
    """Give the interval of the mean of each column of (E, M) values, an example being drawn whole."""
    # Examples are drawn, never rows: rows of one user or query resemble one another, and intervals of rows come out
    # too narrow. All metrics share the draws, which costs one product of matrices.
    counts = list(resampled_counts(len(means_EM)))
    means_RM = np.concatenate([counts_RE @ means_EM / len(means_EM) for counts_RE in counts])
    return [percentile_interval(column) for column in means_RM.T]


def resampled_counts(examples: int, replicates: int = REPLICATES) -> list[Floats]:
    """Give how often each example is drawn in each replicate, in blocks of (R, E)."""
    rng = np.random.default_rng(SEED)
    rows = max(1, NUMBERS_AT_A_TIME // max(examples, 1))
    sizes = [min(rows, replicates - start) for start in range(0, replicates, rows)]
    blocks = []
    for size in sizes:
        # Each replicate counts in a range of its own, so that one bincount serves the block.
        drawn = rng.integers(0, examples, (size, examples)) + np.arange(size)[:, None] * examples
        blocks.append(np.bincount(drawn.ravel(), minlength=size * examples).reshape(size, examples).astype(np.float64))
    return blocks


def statistic_intervals(
    example_N: Ints, statistic: Callable[[Floats], Mapping[str, float]], replicates: int = REPLICATES
) -> dict[str, Interval]:
    """Give intervals of what *statistic* makes of row weights; rows of one example are drawn together.

    A replicate for which a metric is not a number (one class alone, say) is left out of that metric.
    """
    rng = np.random.default_rng(SEED)
    examples = int(example_N.max()) + 1
    seen: dict[str, list[float]] = {}
    # Weights in place of copies of rows: nothing is sorted or gathered anew.
    for _ in range(replicates):
        count_E = np.bincount(rng.integers(0, examples, examples), minlength=examples)
        for name, value in statistic(count_E[example_N].astype(np.float64)).items():
            seen.setdefault(name, []).append(value)
    finite = {name: np.array(values)[np.isfinite(values)] for name, values in seen.items()}
    return {name: percentile_interval(values) for name, values in finite.items() if len(values)}


def percentile_interval(replicates: Floats) -> Interval:
    """Give the middle 95 % of some replicates."""
    low, high = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
