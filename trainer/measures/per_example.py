"""The per-example table, and the run's metrics that are means over it."""

# Shape suffixes, scoped to this file:
#   N = rows of the table

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

EXAMPLE = "example"
DIGITS = 12  # what lies beyond is the order in which rows were added up


@dataclass(frozen=True, slots=True)
class PerExample:
    """One row an example and combination of slice values; rows of one example are its parts, weighted.

    A value that is not a number says that the metric is not defined there: such an example counts for nothing in it.
    """

    example_ids: tuple[str, ...]
    slices: Mapping[str, tuple[str, ...]]  # column -> one value a row
    weights: Floats
    values: dict[str, Floats]  # metric -> one value a row
    clusters: tuple[str, ...] | None = None  # what is independent of one another, by row; None: the examples
    unit: str = EXAMPLE  # what a cluster is: a user, a query

    def take(self, rows: Ints) -> "PerExample":
        """Give some rows, their slices left out."""
        clusters = self.clusters
        return PerExample(
            tuple(self.example_ids[row] for row in rows.tolist()),
            {},
            self.weights[rows],
            {metric: value[rows] for metric, value in self.values.items()},
            None if clusters is None else tuple(clusters[row] for row in rows.tolist()),
            self.unit,
        )

    def number_clusters(self) -> Ints:
        """Give each row the number of its cluster, from 0 without gaps."""
        names = self.example_ids if self.clusters is None else self.clusters
        return number(names)


def number(names: Sequence[str]) -> Ints:
    """Number names from 0 without gaps, as they come."""
    return np.asarray(_coded(names).indices.to_numpy(), dtype=np.int64)


def encode(names: Sequence[str]) -> tuple[Ints, list[str]]:
    """Give the number of each name and the names in the order of their numbers."""
    coded = _coded(names)
    return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist()


def _coded(names: Sequence[str]) -> Any:
    # Not by numpy, whose arrays give every name the room of the longest: one long query would cost gigabytes.
    pool = pa.system_memory_pool()  # gives back at once what is freed
    return pc.dictionary_encode(pa.array(names, pa.large_string(), memory_pool=pool), memory_pool=pool)


def rows_by_name(column: Sequence[str], wanted: Sequence[str]) -> dict[str, Ints]:
    """Give the rows that have each of some names, sorted once for all of them."""
    code_N, names = encode(column)
    order = np.argsort(code_N, kind="stable")
    ends = np.cumsum(np.bincount(code_N, minlength=len(names)))
    place = {name: number for number, name in enumerate(names)}
    known = {name: order[ends[place[name] - 1] if place[name] else 0 : ends[place[name]]] for name in place}
    return {name: known.get(name, order[:0]) for name in wanted}


def gather_examples(
    example_N: Ints,
    slice_N: Ints,
    values: dict[str, Floats],
    example_names: tuple[str, ...],
    slices: tuple[str, ...],
    column: str,
) -> PerExample:
    """Average targets within an example and slice; the row's weight is how many there were."""
    # One number a pair, so that targets need sorting once.
    keys, row_N, counts = np.unique(example_N * len(slices) + slice_N, return_inverse=True, return_counts=True)
    means = {name: np.bincount(row_N, value_N, len(keys)) / counts for name, value_N in values.items()}
    example, part = np.divmod(keys, len(slices))
    return PerExample(
        tuple(example_names[position] for position in example),
        {column: tuple(slices[position] for position in part)},
        counts.astype(np.float64),
        means,
    )


def share_rows(example_N: Ints, weight_N: Floats, value_N: Floats) -> Floats:
    """Give what each row counts for in a mean over examples: all rows of one example together 1, or 0 if undefined."""
    counted_N = np.where(np.isnan(value_N), 0.0, weight_N)
    total_E = np.bincount(example_N, counted_N)
    return counted_N / np.where(total_E > 0, total_E, 1.0)[example_N]


def aggregate(table: PerExample) -> dict[str, float]:
    """Give the run's metrics: the plain mean over examples of the weighted mean of their parts.

    A metric that no example defines is left out.
    """
    example_N = number(table.example_ids)
    found = {}
    for name, value_N in table.values.items():
        share_N = share_rows(example_N, table.weights, value_N)
        if share_N.any():
            found[name] = round(float(share_N @ np.nan_to_num(value_N) / share_N.sum()), DIGITS)
    return found


def count_undefined(table: PerExample) -> dict[str, int]:
    """Give how many examples do not define a metric, of those metrics that any lacks."""
    example_N = number(table.example_ids)
    examples = int(example_N.max()) + 1 if len(example_N) else 0
    found = {}
    for name, value_N in table.values.items():
        defined = len(np.unique(example_N[~np.isnan(value_N)]))
        if defined < examples:
            found[name] = examples - defined
    return found


def aggregate_slices(
    table: PerExample, shown: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, tuple[int, dict[str, float]]]]:
    """Give for some values of each column how many examples have rows with them, and the metrics over those rows."""
    found: dict[str, dict[str, tuple[int, dict[str, float]]]] = {}
    for column, names in shown.items():
        rows = rows_by_name(table.slices[column], names)
        found[column] = {name: _aggregate_part(table, rows[name]) for name in names}
    return found


def _aggregate_part(table: PerExample, rows: Ints) -> tuple[int, dict[str, float]]:
    part = table.take(rows)
    return len(set(part.example_ids)), aggregate(part)
