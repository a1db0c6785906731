"""Two runs on the same examples: what differs, by how much, and whether chance would do."""

# Shape suffixes, scoped to this file:
#   N = rows of a table, E = parts that both have, M = metrics that both have, C = clusters, R = replicates

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from trainer.errors import DataError
from trainer.measures.bootstrap import ClusterSums, ratio_intervals
from trainer.measures.per_example import number, rows_by_name, share_rows
from trainer.results.per_example_files import Table

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FLIPS = 10_000
NUMBERS_AT_A_TIME = 1_000_000  # bounds the memory of the flips
SEED = 20_240_229
ALL = "all"


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of two runs, over the examples of a slice that both have."""

    metric: str
    slice: str  # COLUMN=VALUE, or all
    examples: int  # for which both define the metric
    clusters: int  # of these examples
    first: float
    second: float
    low: float | None  # of second minus first, 95 % of the bootstrap; None of a single cluster
    high: float | None
    p: float  # two-sided: how often swapping the two within clusters by chance gives a difference as large
    better: int  # examples where second is higher
    worse: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences, and how many examples the runs share."""

    differences: tuple[Difference, ...]
    shared: int
    only_first: int
    only_second: int
    unit: str  # what was drawn, and swapped, whole
    clusters: int


def compare(first: Table, second: Table, by: str | None = None) -> Comparison:
    """Pair two tables by example, clusters as the first has them; raise DataError where nothing is shared."""
    metrics = [name for name in first.metrics if name in second.metrics]
    if not metrics:
        raise DataError(f"{first.path} and {second.path}: no metric is in both")
    overlap = _overlap(first, second)
    if not overlap.shared:
        raise DataError(f"{first.path} and {second.path}: no example is in both")
    found = _differences(first, second, metrics, ALL)
    if not found:
        raise DataError(f"{first.path} and {second.path}: no example of both has {' or '.join(metrics)} defined")
    if by is not None:
        for value in _shared_values(first, second, by):
            parts = [_part(table, by, value) for table in (first, second)]
            found += _differences(parts[0], parts[1], metrics, f"{by}={value}")
    return Comparison(
        tuple(found), overlap.shared, overlap.only_first, overlap.only_second, first.unit, overlap.clusters
    )


@dataclass(frozen=True, slots=True)
class _Overlap:
    """How many examples two tables share, and what else they have."""

    shared: int
    only_first: int
    only_second: int
    clusters: int  # of what they share


def _overlap(first: Table, second: Table) -> _Overlap:
    one_N, other_N = _same_numbers(first.ids, second.ids)
    size = int(max(one_N.max(initial=-1), other_N.max(initial=-1))) + 1
    in_one, in_other = (np.bincount(number_N, minlength=size) > 0 for number_N in (one_N, other_N))
    shared, clusters = in_one & in_other, number(first.clusters)[(in_one & in_other)[one_N]]
    return _Overlap(
        int(shared.sum()), int((in_one & ~in_other).sum()), int((in_other & ~in_one).sum()), len(np.unique(clusters))
    )


def _same_numbers(first: Sequence[str], second: Sequence[str]) -> tuple[Ints, Ints]:
    """Number the names of both as one: what is called the same has the same number."""
    numbers = number((*first, *second))
    return numbers[: len(first)], numbers[len(first) :]


def _shared_values(first: Table, second: Table, by: str) -> list[str]:
    for table in (first, second):
        if by not in table.slices:
            known = ", ".join(table.slices) or "none"
            raise DataError(f"{table.path}: has no slice column '{by}'; its slice columns: {known}")
    return sorted(set(first.slices[by]) & set(second.slices[by]))


def _part(table: Table, by: str, value: str) -> Table:
    rows = rows_by_name(table.slices[by], [value])[value]
    places = rows.tolist()
    return replace(
        table,
        ids=tuple(table.ids[row] for row in places),
        weights=table.weights[rows],
        metrics={name: values[rows] for name, values in table.metrics.items()},
        slices={},
        clusters=tuple(table.clusters[row] for row in places),
    )


@dataclass(frozen=True, slots=True)
class _Paired:
    """What both tables have: parts, each an example, or what of it belongs to one cluster."""

    example_E: Ints
    cluster_E: Ints
    weight_E: Floats
    first_N: Ints  # the part of each row, -1 where the other table has none
    second_N: Ints


@dataclass(frozen=True, slots=True)
class _Gain:
    """One metric of both tables over the parts."""

    first: float
    second: float
    better: int
    worse: int


def _differences(first: Table, second: Table, metrics: Sequence[str], label: str) -> list[Difference]:
    paired = _pair(first, second)
    if paired is None:
        return []
    clusters = int(paired.cluster_E.max()) + 1
    total_CM, count_CM = np.empty((2, clusters, len(metrics)))
    gains: dict[str, _Gain] = {}
    for metric in metrics:  # one at a time: of all at once a long table would be held several times
        total_C, count_C, gain = _gain(first, second, paired, metric)
        if gain is not None:
            total_CM[:, len(gains)], count_CM[:, len(gains)] = total_C, count_C
            gains[metric] = gain
    if not gains:
        return []
    total_CM, count_CM = total_CM[:, : len(gains)], count_CM[:, : len(gains)]
    intervals, chances = ratio_intervals(ClusterSums(total_CM, count_CM)), _chances(total_CM)
    examples, with_it = count_CM.sum(axis=0), np.count_nonzero(count_CM, axis=0)
    return [
        Difference(
            metric,
            label,
            round(float(examples[place])),
            int(with_it[place]),
            gain.first,
            gain.second,
            None if interval is None else interval.low,
            None if interval is None else interval.high,
            chances[place],
            gain.better,
            gain.worse,
        )
        for place, ((metric, gain), interval) in enumerate(zip(gains.items(), intervals, strict=True))
    ]


def _pair(first: Table, second: Table) -> _Paired | None:
    """Match examples, by cluster too where both tables have the same kind; None where there is none in both."""
    example = _same_numbers(first.ids, second.ids)
    cluster = _same_numbers(first.clusters, second.clusters)
    # One number a part; where clusters are of two kinds, an example is one.
    span = int(max(numbers.max(initial=0) for numbers in cluster)) + 1 if first.unit == second.unit else 1
    keys = [own * span + (which if span > 1 else 0) for own, which in zip(example, cluster, strict=True)]
    shared = np.intersect1d(keys[0], keys[1])
    if not len(shared):
        return None
    first_N, second_N = (_places(shared, key_N) for key_N in keys)
    known = first_N >= 0
    cluster_E = np.empty(len(shared), dtype=np.int64)
    cluster_E[first_N[known]] = cluster[0][known]
    weight_E = np.bincount(first_N[known], first.weights[known], len(shared)).astype(np.float64)
    return _Paired(_without_gaps(shared // span), _without_gaps(cluster_E), weight_E, first_N, second_N)


def _places(shared: Ints, key_N: Ints) -> Ints:
    place_N = np.minimum(np.searchsorted(shared, key_N), len(shared) - 1)
    return np.where(shared[place_N] == key_N, place_N, -1)


def _without_gaps(number_E: Ints) -> Ints:
    return np.asarray(np.unique(number_E, return_inverse=True)[1], dtype=np.int64)


def _gain(first: Table, second: Table, paired: _Paired, metric: str) -> tuple[Floats, Floats, _Gain | None]:
    """Give what each cluster gains of a metric, for how many examples it counts, and both tables' means of it.

    None where no part has the metric in both.
    """
    parts = len(paired.example_E)
    before_E = _part_means(first, paired.first_N, parts, metric)
    after_E = _part_means(second, paired.second_N, parts, metric)
    gained_E = after_E - before_E
    share_E = share_rows(paired.example_E, paired.weight_E, gained_E)
    if not share_E.any():
        return share_E, share_E, None
    gained_E = np.nan_to_num(gained_E)
    before, after = (float(share_E @ np.nan_to_num(one_E) / share_E.sum()) for one_E in (before_E, after_E))
    by_example = np.bincount(paired.example_E, share_E * gained_E)
    better, worse = int((by_example > 0).sum()), int((by_example < 0).sum())
    total_C, count_C = (np.bincount(paired.cluster_E, one).astype(np.float64) for one in (share_E * gained_E, share_E))
    return total_C, count_C, _Gain(before, after, better, worse)


def _part_means(table: Table, place_N: Ints, parts: int, metric: str) -> Floats:
    """Give the weighted mean of each part, not a number where no row of it defines the metric."""
    rows = place_N >= 0
    value_N = table.metrics[metric][rows]
    counted_N = np.where(np.isnan(value_N), 0.0, table.weights[rows])
    total_E = np.bincount(place_N[rows], counted_N, parts)
    summed_E = np.bincount(place_N[rows], counted_N * np.nan_to_num(value_N), parts)
    return np.asarray(np.divide(summed_E, total_E, out=np.full(parts, np.nan), where=total_E > 0))


def _chances(gained_CM: Floats) -> list[float]:
    """Flip signs at random (Fisher's randomisation test); the observed labelling counts as one of them.

    In the order of the clusters' values, so that their names do not matter.
    """
    rng = np.random.default_rng(SEED)
    gained_CM = gained_CM[np.lexsort(gained_CM.T)]
    # A hair less: the observed sum itself, added up in another order, must count as as large.
    size = np.abs(gained_CM.sum(axis=0)) * (1 - 1e-9)
    as_large, done = np.zeros(gained_CM.shape[1]), 0
    block = max(1, NUMBERS_AT_A_TIME // len(gained_CM))
    while done < FLIPS:
        count = min(block, FLIPS - done)
        # If neither run is better, either label of a cluster is as likely: its difference may as well be negative.
        signs_RC = rng.integers(0, 2, (count, len(gained_CM))) * 2.0 - 1
        as_large += (np.abs(signs_RC @ gained_CM) >= size).sum(axis=0)
        done += count
    return [float(one) for one in (as_large + 1) / (FLIPS + 1)]
