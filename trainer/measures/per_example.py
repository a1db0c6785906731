"""The per-example table, and the run's metrics that are means over it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PerExample:
    """One row an example and combination of slice values; rows of one example are its parts, weighted."""

    example_ids: tuple[str, ...]
    slices: Mapping[str, tuple[str, ...]]  # column -> one value a row
    weights: Floats
    values: dict[str, Floats]  # metric -> one value a row


def gather_examples(
    example_N: Ints,
    slice_N: Ints,
    values: dict[str, Floats],
    example_names: tuple[str, ...],
    slices: tuple[str, ...],
    column: str,
) -> PerExample:
    """Average targets within an example and slice; the row's weight is how many there were."""
    keys, row_N, counts = np.unique(example_N * len(slices) + slice_N, return_inverse=True, return_counts=True)
    means = {name: np.bincount(row_N, value_N, len(keys)) / counts for name, value_N in values.items()}
    # One number an example and slice, taken apart again.
    example, part = np.divmod(keys, len(slices))
    return PerExample(
        tuple(example_names[position] for position in example),
        {column: tuple(slices[position] for position in part)},
        counts.astype(np.float64),
        means,
    )


def aggregate(table: PerExample) -> dict[str, float]:
    """Give the run's metrics: the plain mean over examples of the weighted mean of their parts."""
    _, example = np.unique(np.array(table.example_ids, dtype=np.str_), return_inverse=True)
    totals = np.bincount(example, table.weights)
    # A mean of means: who buys fifty items on a trip counts as much as who buys one.
    return {
        name: float(np.mean(np.bincount(example, table.weights * value) / totals))
        for name, value in table.values.items()
    }


def aggregate_slices(table: PerExample) -> dict[str, dict[str, tuple[int, dict[str, float]]]]:
    """Give for each column and value how many examples have rows with it, and the metrics over those rows."""
    return {
        column: {name: _aggregate_part(table, np.flatnonzero(values == name)) for name in sorted(set(values.tolist()))}
        for column, values in ((column, np.array(values, dtype=np.str_)) for column, values in table.slices.items())
    }


def _aggregate_part(table: PerExample, rows: Ints) -> tuple[int, dict[str, float]]:
    part = PerExample(
        tuple(table.example_ids[row] for row in rows),
        {},
        table.weights[rows],
        {metric: value[rows] for metric, value in table.values.items()},
    )
    return len(set(part.example_ids)), aggregate(part)
