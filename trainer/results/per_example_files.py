"""Per-example tables as files hold them (docs/job-protocol.md), read to be compared."""

# Shape suffixes, scoped to this file:
#   N = rows of a table

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from trainer.data.columns import without_point
from trainer.errors import DataError
from trainer.measures.per_example import EXAMPLE
from trainer.results.result_files import CLUSTER, UNIT

Floats = npt.NDArray[np.float64]

PER_EXAMPLE = "per_example.parquet"


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
    weights = _numbers(path, table, "weight") if "weight" in table.column_names else np.ones(len(table))
    if not np.all(weights >= 0):
        raise DataError(f"{path}: row {int(np.argmin(weights >= 0)) + 1}: 'weight' is no number of nought or more")
    ids = tuple(without_point(str(one)) for one in table["example_id"].to_pylist())
    unit = (table.schema.metadata or {}).get(UNIT.encode(), EXAMPLE.encode()).decode()
    clustered = CLUSTER in table.column_names
    return Table(
        path,
        ids,
        weights,
        {name: _numbers(path, table, name) for name in numbers},
        {name: _names(table[name]) for name in kinds if name not in numbers},
        _names(table[CLUSTER]) if clustered else ids,
        unit if unit != EXAMPLE or not clustered else CLUSTER,
    )


def _numbers(path: Path, table: pa.Table, name: str) -> Floats:
    """Give a column of numbers, what is missing as no number; raise DataError for an endless one."""
    values = np.asarray(table[name].to_numpy(), dtype=np.float64)
    if np.isinf(values).any():
        raise DataError(f"{path}: row {int(np.argmax(np.isinf(values))) + 1}: '{name}' is endless")
    return values


def _names(column: Any) -> tuple[str, ...]:
    """Give a column's values as words, each held once however many rows have it."""
    coded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    if isinstance(coded, pa.ChunkedArray):
        coded = pa.concat_arrays(coded.unify_dictionaries().chunks)
    names = [str(one) for one in coded.dictionary.to_pylist()]
    return tuple(names[place] for place in coded.indices.to_numpy().tolist())


def cluster_by(table: Table, column: str) -> Table:
    """Give the table with the values of one of its columns as clusters; raise DataError."""
    if column == table.unit:
        return table
    if column not in table.slices:
        known = ", ".join((table.unit, *table.slices))
        raise DataError(f"{table.path}: has no column '{column}' to cluster by; it has {known}")
    return replace(table, clusters=table.slices[column], unit=column)
