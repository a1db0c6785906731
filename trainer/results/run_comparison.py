"""Two runs on the same examples: what differs, by how much, and whether chance would do."""

# Shape suffixes, scoped to this file:
#   E = parts that both have, M = metrics that both have, C = clusters, R = replicates

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from trainer.errors import DataError
from trainer.measures.bootstrap import ClusterSums, ratio_intervals
from trainer.measures.per_example import EXAMPLE, number, share_rows
from trainer.results.result_files import CLUSTER, UNIT

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PER_EXAMPLE = "per_example.parquet"
FLIPS = 10_000
NUMBERS_AT_A_TIME = 2_000_000  # bounds the memory of the flips
SEED = 20_240_229
ALL = "all"


@dataclass(frozen=True, slots=True)
class Table:
    """A per-example table as files hold it (docs/job-protocol.md)."""

    path: Path
    ids: tuple[str, ...]
    weights: Floats
    metrics: Mapping[str, Floats]
    slices: Mapping[str, tuple[str, ...]]
    clusters: tuple[str, ...]  # what is independent of one another, by row
    unit: str  # what a cluster is: a user, a query


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


def read_per_example(path: Path) -> Table:
    """Read a per-example table, or the one in an output folder; raise DataError."""
    path = path / PER_EXAMPLE if path.is_dir() else path
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such per-example table") from None
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a parquet table: {error}") from None
    if "example_id" not in table.column_names:
        raise DataError(f"{path}: column 'example_id' is missing; it has {', '.join(table.column_names)}")
    kinds = {field.name: field.type for field in table.schema if field.name not in ("example_id", "weight", CLUSTER)}
    numbers = [name for name, kind in kinds.items() if pa.types.is_integer(kind) or pa.types.is_floating(kind)]
    weights = table["weight"].to_numpy() if "weight" in table.column_names else np.ones(len(table))
    ids = tuple(str(one) for one in table["example_id"].to_pylist())
    unit = (table.schema.metadata or {}).get(UNIT.encode(), EXAMPLE.encode()).decode()
    clustered = CLUSTER in table.column_names
    return Table(
        path,
        ids,
        weights.astype(np.float64),
        {name: table[name].to_numpy().astype(np.float64) for name in numbers},
        {name: tuple(map(str, table[name].to_pylist())) for name in kinds if name not in numbers},
        tuple(map(str, table[CLUSTER].to_pylist())) if clustered else ids,
        unit if unit != EXAMPLE or not clustered else CLUSTER,
    )


def cluster_by(table: Table, column: str) -> Table:
    """Give the table with the values of one of its columns as clusters; raise DataError."""
    if column == table.unit:
        return table
    if column not in table.slices:
        known = ", ".join((table.unit, *table.slices))
        raise DataError(f"{table.path}: has no column '{column}' to cluster by; it has {known}")
    return replace(table, clusters=table.slices[column], unit=column)


def compare(first: Table, second: Table, by: str | None = None) -> Comparison:
    """Pair two tables by example, clusters as the first has them; raise DataError where nothing is shared."""
    metrics = [name for name in first.metrics if name in second.metrics]
    if not metrics:
        raise DataError(f"{first.path} and {second.path}: no metric is in both")
    shared = set(first.ids) & set(second.ids)
    if not shared:
        raise DataError(f"{first.path} and {second.path}: no example is in both")
    found = _differences(first, second, metrics, ALL)
    if by is not None:
        for value in _shared_values(first, second, by):
            parts = [_part(table, by, value) for table in (first, second)]
            found += _differences(parts[0], parts[1], metrics, f"{by}={value}")
    only_first, only_second = (len(set(table.ids)) - len(shared) for table in (first, second))
    clusters = {name for name, one in zip(first.clusters, first.ids, strict=True) if one in shared}
    return Comparison(tuple(found), len(shared), only_first, only_second, first.unit, len(clusters))


def _shared_values(first: Table, second: Table, by: str) -> list[str]:
    for table in (first, second):
        if by not in table.slices:
            known = ", ".join(table.slices) or "none"
            raise DataError(f"{table.path}: has no slice column '{by}'; its slice columns: {known}")
    return sorted(set(first.slices[by]) & set(second.slices[by]))


def _part(table: Table, by: str, value: str) -> Table:
    rows = np.flatnonzero(np.array(table.slices[by]) == value)
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
    """What both tables say of the same parts: an example, or what of it belongs to one cluster."""

    example_E: Ints
    cluster_E: Ints
    weight_E: Floats
    first_EM: Floats
    second_EM: Floats


def _differences(first: Table, second: Table, metrics: Sequence[str], label: str) -> list[Difference]:
    paired = _pair(first, second, metrics)
    if paired is None:
        return []
    gained_EM = paired.second_EM - paired.first_EM
    share_EM = np.stack([share_rows(paired.example_E, paired.weight_E, gained_E) for gained_E in gained_EM.T], axis=1)
    gained_EM = np.nan_to_num(gained_EM)
    total_CM, count_CM = (_add_up(paired.cluster_E, values) for values in (share_EM * gained_EM, share_EM))
    intervals, chances = ratio_intervals(ClusterSums(total_CM, count_CM)), _chances(total_CM)
    by_example = _add_up(paired.example_E, share_EM * gained_EM)
    found = []
    for place, metric in enumerate(metrics):
        share_E, interval = share_EM[:, place], intervals[place]
        if not share_E.any():
            continue
        before, after = (
            float(share_E @ np.nan_to_num(one[:, place]) / share_E.sum()) for one in (paired.first_EM, paired.second_EM)
        )
        found.append(
            Difference(
                metric,
                label,
                round(float(share_E.sum())),
                int(np.count_nonzero(count_CM[:, place])),
                before,
                after,
                None if interval is None else interval.low,
                None if interval is None else interval.high,
                chances[place],
                int((by_example[:, place] > 0).sum()),
                int((by_example[:, place] < 0).sum()),
            )
        )
    return found


def _pair(first: Table, second: Table, metrics: Sequence[str]) -> _Paired | None:
    """Match examples, by cluster too where both tables have the same kind; None where there is none in both."""
    same = first.unit == second.unit
    keys = [list(zip(t.ids, t.clusters if same else [""] * len(t.ids), strict=True)) for t in (first, second)]
    shared = sorted(set(keys[0]) & set(keys[1]))
    if not shared:
        return None
    place = {key: number for number, key in enumerate(shared)}
    places = [np.array([place.get(key, -1) for key in own]) for own in keys]
    cluster_of = dict(zip(keys[0], first.clusters, strict=True))
    known = places[0] >= 0
    return _Paired(
        number(tuple(example for example, _ in shared)),
        number(tuple(cluster_of[key] for key in shared)),
        np.bincount(places[0][known], first.weights[known], len(shared)).astype(np.float64),
        *(_part_means(table, own, len(shared), metrics) for table, own in zip((first, second), places, strict=True)),
    )


def _part_means(table: Table, place_N: Ints, parts: int, metrics: Sequence[str]) -> Floats:
    """Give the (E, M) weighted means of each part, not a number where no row of it defines the metric."""
    rows = place_N >= 0
    columns = []
    for name in metrics:
        value_N = table.metrics[name][rows]
        counted_N = np.where(np.isnan(value_N), 0.0, table.weights[rows])
        total_E = np.bincount(place_N[rows], counted_N, parts)
        summed_E = np.bincount(place_N[rows], counted_N * np.nan_to_num(value_N), parts)
        columns.append(np.divide(summed_E, total_E, out=np.full(parts, np.nan), where=total_E > 0))
    return np.stack(columns, axis=1)


def _add_up(place_E: Ints, value_EM: Floats) -> Floats:
    return np.stack([np.bincount(place_E, value_E) for value_E in value_EM.T], axis=1).astype(np.float64)


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
