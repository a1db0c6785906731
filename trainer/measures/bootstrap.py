"""How far a metric is to be trusted: percentile intervals from resampled clusters (Efron and Tibshirani 1993)."""

# Shape suffixes, scoped to this file:
#   R = replicates, C = clusters (what is independent of one another), N = rows of the table, M = metrics

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.measures.per_example import DIGITS, PerExample, number, rows_by_name, share_rows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

REPLICATES = 1000  # what percentile intervals ask for (Efron and Tibshirani 1993, 19.3)
LEVEL = 0.95
FEWEST = 2  # clusters: one alone says nothing of how they differ
NUMBERS_AT_A_TIME = 1_000_000  # bounds the memory of the counts
SEED = 20_240_229  # intervals of the same table are the same, whatever the job's seed


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a metric would lie had other clusters of the same kind been drawn: 95 % of the bootstrap."""

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
    unit: str  # what was drawn whole: users, queries
    clusters: int  # how many of them there are


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """What each cluster adds to the metrics, and for how many examples it counts in each."""

    total_CM: Floats
    count_CM: Floats

    def sort(self) -> None:
        """Put the clusters in the order of their values: which name a cluster has must not move an interval."""
        order = np.lexsort((*self.count_CM.T, *self.total_CM.T))
        for column_C in (*self.total_CM.T, *self.count_CM.T):  # in place: of a long table a copy is what has no room
            column_C[:] = column_C[order]


def measure_intervals(
    table: PerExample,
    shown: Mapping[str, Sequence[str]],
    further: Mapping[str, Interval],
    sliced: Mapping[str, Mapping[str, Sliced]],
) -> Intervals:
    """Give the intervals of a table's means, whole and in some slices, and beside them those of what is no mean."""
    by_slice = slice_intervals(table, shown)
    for column, parts in sliced.items():
        for value, part in parts.items():
            by_slice[column][value] |= part.intervals
    clusters = int(table.number_clusters().max(initial=-1)) + 1
    return Intervals(table_intervals(table) | dict(further), by_slice, table.unit, clusters)


def table_intervals(table: PerExample) -> dict[str, Interval]:
    """Give an interval for each metric of a table that has one, its clusters resampled whole."""
    found = zip(table.values, ratio_intervals(sum_clusters(table)), strict=True)
    return {name: interval for name, interval in found if interval is not None}


def slice_intervals(table: PerExample, shown: Mapping[str, Sequence[str]]) -> dict[str, dict[str, dict[str, Interval]]]:
    """Give column -> value -> metric -> interval, each from the rows of that slice alone."""
    found: dict[str, dict[str, dict[str, Interval]]] = {}
    for column, names in shown.items():
        rows = rows_by_name(table.slices[column], names)
        found[column] = {name: table_intervals(table.take(rows[name])) for name in names}
    return found


def sum_clusters(table: PerExample) -> ClusterSums:
    """Add up within clusters, every example of the table counting the same."""
    example_N, cluster_N = number(table.example_ids), table.number_clusters()
    clusters = int(cluster_N.max()) + 1 if len(cluster_N) else 0
    total_CM, count_CM = np.empty((2, clusters, len(table.values)))
    for place, value_N in enumerate(table.values.values()):
        share_N = share_rows(example_N, table.weights, value_N)
        total_CM[:, place] = np.bincount(cluster_N, share_N * np.nan_to_num(value_N), clusters)
        count_CM[:, place] = np.bincount(cluster_N, share_N, clusters)
    return ClusterSums(total_CM, count_CM)


def mean_intervals(means_CM: Floats) -> list[Interval | None]:
    """Give the interval of the mean of each column of (C, M) values; what is not a number counts for nothing."""
    defined_CM = ~np.isnan(means_CM)
    return ratio_intervals(ClusterSums(np.where(defined_CM, means_CM, 0.0), defined_CM.astype(np.float64)))


def ratio_intervals(sums: ClusterSums) -> list[Interval | None]:
    """Give the interval of each metric, None where fewer than two clusters define it."""
    # Clusters are drawn, never rows: rows of one user or query resemble one another, and intervals of rows come out
    # too narrow. All metrics share the draws, which costs one product of matrices.
    total_CM, count_CM = sums.total_CM, sums.count_CM
    if not total_CM.size:
        return [None] * total_CM.shape[1]
    sums.sort()
    parts = []
    for count_RC in resampled_counts(len(total_CM)):
        with np.errstate(divide="ignore", invalid="ignore"):
            parts.append((count_RC @ total_CM) / (count_RC @ count_CM))
    clusters_M = np.count_nonzero(count_CM > 0, axis=0).tolist()
    return [percentile_interval(one, many) for one, many in zip(np.concatenate(parts).T, clusters_M, strict=True)]


def resampled_counts(clusters: int, replicates: int = REPLICATES) -> Iterator[Floats]:
    """Give how often each cluster is drawn in each replicate, in blocks of (R, C)."""
    rng = np.random.default_rng(SEED)
    rows = max(1, NUMBERS_AT_A_TIME // max(clusters, 1))
    for start in range(0, replicates, rows):
        size = min(rows, replicates - start)
        # Each replicate counts in a range of its own, so that one bincount serves the block.
        drawn = rng.integers(0, clusters, (size, clusters))
        drawn += np.arange(size)[:, None] * clusters
        yield np.bincount(drawn.ravel(), minlength=size * clusters).reshape(size, clusters).astype(np.float64)


def statistic_intervals(
    cluster_N: Ints,
    statistic: Callable[[Floats], Mapping[str, float]],
    replicates: int = REPLICATES,
    *,
    told_by: Sequence[Floats] = (),
) -> dict[str, Interval]:
    """Give intervals of what *statistic* makes of row weights; rows of one cluster are drawn together.

    A replicate for which a metric is not a number (one class alone, say) is left out of that metric. *told_by* are
    columns that tell clusters apart by what is in them, so that their names and order do not matter.
    """
    rng = np.random.default_rng(SEED)
    clusters = int(cluster_N.max()) + 1
    sums = [np.bincount(cluster_N, column**power, clusters) for column in told_by for power in (1, 2)]
    order = np.lexsort((*sums, np.bincount(cluster_N, minlength=clusters)))
    place_C = np.empty(clusters, dtype=np.int64)
    place_C[order] = np.arange(clusters)
    place_N = place_C[cluster_N]
    seen: dict[str, list[float]] = {}
    # Weights in place of copies of rows: nothing is sorted or gathered anew.
    for _ in range(replicates):
        count_C = np.bincount(rng.integers(0, clusters, clusters), minlength=clusters)
        for name, value in statistic(count_C[place_N].astype(np.float64)).items():
            seen.setdefault(name, []).append(value)
    found = {name: percentile_interval(np.array(values), clusters) for name, values in seen.items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def percentile_interval(replicates: Floats, clusters: int) -> Interval | None:
    """Give the middle of some replicates, widened for few clusters; None where too few clusters or replicates speak.

    Plain percentiles are too narrow by sqrt((n - 1) / n) and by what t has over the normal: with 30 clusters they hold
    the truth in 93 of 100 cases. Both are made good by taking more of the replicates (Hesterberg 2015, expanded
    percentiles).
    """
    from scipy.special import ndtr, stdtrit

    finite = replicates[np.isfinite(replicates)]
    if clusters < FEWEST or not len(finite):
        return None
    wide = np.sqrt(clusters / (clusters - 1)) * stdtrit(clusters - 1, (1 + LEVEL) / 2)
    low, high = np.quantile(finite, [ndtr(-wide), ndtr(wide)])
    return Interval(round(float(low), DIGITS), round(float(high), DIGITS))
