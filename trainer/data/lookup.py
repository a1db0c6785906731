"""Looks rows up by their ids: a table that holds ids only takes texts, users and times from another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.batches import Batch, Notes
from trainer.data.columns import ids_of
from trainer.errors import DataError

Ints = npt.NDArray[np.int64]

SEPARATOR = "\x1f"


@dataclass(slots=True)
class Lookup:
    """A table in memory, its rows found by key; whole numbers take eight bytes each."""

    path: Path
    on: tuple[str, ...]
    columns: dict[str, Any]
    numbers: Ints | None  # the keys in ascending order, where all are numbers, and their rows
    places: Ints
    words: dict[str, int]
    asked: int = 0
    found: int = 0

    def add_to(self, batch: Batch) -> Batch:
        """Give the rows with the columns they do not have yet; null where the table has no such key."""
        place = self._find(_keys(batch, self.on))
        self.asked += batch.rows
        self.found += int(np.count_nonzero(place >= 0))
        rows = pa.array(place, mask=place < 0)
        taken = {name: column.take(rows) for name, column in self.columns.items() if name not in batch.columns}
        return replace(batch, columns=batch.columns | taken)

    def check_matches(self, source: Path, notes: Notes) -> None:
        """Note how many rows found nothing; raise DataError where none did."""
        if self.asked and not self.found:
            raise DataError(f"{source}: no row's {' and '.join(self.on)} is in {self.path}")
        if self.found < self.asked:
            notes.mended[f"rows that {self.path.name} does not know"] += self.asked - self.found

    def _find(self, keys: Any) -> Ints:
        if self.numbers is None:
            return np.array([self.words.get(key, -1) for key in keys.to_pylist()], dtype=np.int64)
        asked, known = _as_numbers(keys)
        spot = np.searchsorted(self.numbers, asked)
        spot = np.minimum(spot, len(self.numbers) - 1)
        hit = known & (self.numbers[spot] == asked)
        return np.where(hit, self.places[spot], -1)


def make_lookup(
    path: Path, on: tuple[str, ...], key: tuple[str, ...], taken: Sequence[str], batches: Iterable[Batch]
) -> Lookup:
    """Hold a table's columns by its keys; raise DataError for a key that stands for two different rows."""
    keys: list[Any] = []
    parts: dict[str, list[Any]] = {name: [] for name in taken}
    for batch in batches:
        keys.append(_keys(batch, key))
        for name in taken:
            parts[name].append(batch.columns[name])
    columns = {name: _joined(arrays) for name, arrays in parts.items()}
    whole = pa.concat_arrays(keys) if keys else pa.array([], pa.string())
    numbers, known = _as_numbers(whole)
    if len(whole) and bool(np.all(known | whole.is_null().to_numpy(zero_copy_only=False))):
        rows = np.flatnonzero(known)
        order = rows[np.argsort(numbers[rows], kind="stable")]
        ordered = numbers[order]
        again = np.flatnonzero(ordered[1:] == ordered[:-1])
        _check_same(path, key, columns, order[again], order[again + 1])
        return Lookup(path, on, columns, ordered, order, {})
    places: dict[str, int] = {}
    doubles = []
    for row, name in enumerate(whole.to_pylist()):
        if name is not None and places.setdefault(name, row) != row:
            doubles.append((places[name], row))
    if doubles:
        first, second = np.array(doubles).T
        _check_same(path, key, columns, first, second)
    return Lookup(path, on, columns, None, np.empty(0, dtype=np.int64), places)


def _check_same(path: Path, key: Sequence[str], columns: dict[str, Any], first: Ints, second: Ints) -> None:
    for column in columns.values():
        one, other = column.take(pa.array(first)), column.take(pa.array(second))
        same = pc.fill_null(pc.equal(one, other), fill_value=False).to_numpy(zero_copy_only=False)
        same |= (one.is_null().to_numpy(zero_copy_only=False)) & (other.is_null().to_numpy(zero_copy_only=False))
        if not same.all():
            place = int(np.argmin(same))
            raise DataError(
                f"{path}: rows {first[place] + 1} and {second[place] + 1} have one {' and '.join(key)} and differ:"
                " which of them is meant? on may name several columns"
            )


def _keys(batch: Batch, names: Sequence[str]) -> Any:
    """Give each row's key as a text, null where a part of it is missing."""
    columns = [ids_of(batch, name) for name in names]
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, SEPARATOR)


def _as_numbers(keys: Any) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Give keys that are plain whole numbers, and which those are."""
    plain = pc.fill_null(pc.match_substring_regex(keys, r"^(0|-?[1-9]\d{0,17})$"), fill_value=False)
    numbers = pc.if_else(plain, keys, pa.scalar(None, pa.string())).cast(pa.int64())
    known = np.asarray(plain.to_numpy(zero_copy_only=False), dtype=np.bool_)
    return np.asarray(pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False), dtype=np.int64), known


def _joined(arrays: Sequence[Any]) -> Any:
    if not arrays:
        return pa.array([], pa.string())
    if len({str(array.type) for array in arrays}) > 1:
        arrays = [array.cast(pa.string()) for array in arrays]
    return pa.concat_arrays(arrays)
