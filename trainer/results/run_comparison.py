"""Two runs on the same examples: what differs, by how much, and whether chance would do."""

# Shape suffixes, scoped to this file:
#   E = examples that both have, M = metrics that both have, R = replicates

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from trainer.errors import DataError
from trainer.measures.bootstrap import mean_intervals

Floats = npt.NDArray[np.float64]

PER_EXAMPLE = "per_example.parquet"
FLIPS = 10_000  # tells a p of .05 to half a hundredth
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


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of two runs, over the examples of a slice that both have."""

    metric: str
    slice: str  # COLUMN=VALUE, or all
    examples: int
    first: float
    second: float
    low: float  # of second minus first, 95 % of the bootstrap
    high: float
    p: float  # two-sided: how often swapping the two within examples by chance gives a difference as large
    better: int  # examples where second is higher
    worse: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences, and how many examples the runs share."""

    differences: tuple[Difference, ...]
    shared: int
    only_first: int
    only_second: int


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
    kinds = {field.name: field.type for field in table.schema if field.name not in ("example_id", "weight")}
    numbers = [name for name, kind in kinds.items() if pa.types.is_integer(kind) or pa.types.is_floating(kind)]
    weights = table["weight"].to_numpy() if "weight" in table.column_names else np.ones(len(table))
    return Table(
        path,
        tuple(str(one) for one in table["example_id"].to_pylist()),
        weights.astype(np.float64),
        {name: table[name].to_numpy().astype(np.float64) for name in numbers},
        {name: tuple(map(str, table[name].to_pylist())) for name in kinds if name not in numbers},
    )


def compare(first: Table, second: Table, by: str | None = None) -> Comparison:
    """Pair two tables by example; raise DataError where nothing is shared."""
    metrics = [name for name in first.metrics if name in second.metrics]
    if not metrics:
        raise DataError(f"{first.path} and {second.path}: no metric is in both")
    values = [_by_example(table, metrics, None, None) for table in (first, second)]
    shared = sorted(values[0].keys() & values[1].keys())
    if not shared:
        raise DataError(f"{first.path} and {second.path}: no example is in both")
    found = _differences(values[0], values[1], metrics, ALL)
    if by is not None:
        for value in _shared_values(first, second, by):
            parts = [_by_example(table, metrics, by, value) for table in (first, second)]
            found += _differences(parts[0], parts[1], metrics, f"{by}={value}")
    return Comparison(tuple(found), len(shared), len(values[0]) - len(shared), len(values[1]) - len(shared))


def _shared_values(first: Table, second: Table, by: str) -> list[str]:
    for table in (first, second):
        if by not in table.slices:
            known = ", ".join(table.slices) or "none"
            raise DataError(f"{table.path}: has no slice column '{by}'; its slice columns: {known}")
    return sorted(set(first.slices[by]) & set(second.slices[by]))


def _by_example(table: Table, metrics: Sequence[str], by: str | None, value: str | None) -> dict[str, Floats]:
    """Give each example's weighted means, of the rows of a slice if one is named."""
    rows = np.arange(len(table.ids)) if by is None else np.flatnonzero(np.array(table.slices[by]) == value)
    ids, example = np.unique(np.array(table.ids, dtype=np.str_)[rows], return_inverse=True)
    weights = table.weights[rows]
    totals = np.bincount(example, weights)
    columns = [np.bincount(example, weights * table.metrics[name][rows]) / totals for name in metrics]
    return dict(zip(ids.tolist(), np.stack(columns, axis=1), strict=True))


def _differences(
    first: Mapping[str, Floats], second: Mapping[str, Floats], metrics: Sequence[str], label: str
) -> list[Difference]:
    shared = sorted(first.keys() & second.keys())
    if not shared:
        return []
    first_EM, second_EM = (np.stack([values[one] for one in shared]) for values in (first, second))
    gained_EM = second_EM - first_EM
    intervals, chances = mean_intervals(gained_EM), _chances(gained_EM)
    return [
        Difference(
            metric,
            label,
            len(shared),
            float(first_EM[:, place].mean()),
            float(second_EM[:, place].mean()),
            intervals[place].low,
            intervals[place].high,
            chances[place],
            int((gained_EM[:, place] > 0).sum()),
            int((gained_EM[:, place] < 0).sum()),
        )
        for place, metric in enumerate(metrics)
    ]


def _chances(gained_EM: Floats) -> list[float]:
    """Flip signs at random (Fisher's randomisation test); the observed labelling counts as one of them."""
    rng = np.random.default_rng(SEED)
    # A hair less: the observed sum itself, added up in another order, must count as as large.
    size = np.abs(gained_EM.sum(axis=0)) * (1 - 1e-9)
    as_large, done = np.zeros(gained_EM.shape[1]), 0
    block = max(1, 2_000_000 // len(gained_EM))
    while done < FLIPS:
        count = min(block, FLIPS - done)
        # If neither run is better, either label of an example is as likely: its difference may as well be negative.
        signs_RE = rng.integers(0, 2, (count, len(gained_EM))) * 2.0 - 1
        as_large += (np.abs(signs_RE @ gained_EM) >= size).sum(axis=0)
        done += count
    return [float(one) for one in (as_large + 1) / (FLIPS + 1)]
