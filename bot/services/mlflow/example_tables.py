"""Reads a run's per-example table within bounds: numbers are metrics, text is slices, whatever else is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bot.domain.policy import LARGEST
from bot.domain.runs import ExampleTable, Trouble
from bot.errors import in_short
from bot.services.mlflow.columns import LONGEST_CELL, Column, TooLongError, is_number, is_text, named, plain_type
from bot.services.mlflow.unreadable import UnreadableError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MOST_BYTES = 256_000_000  # of the file, where config names no other bound
BOUND = " (mlflow.tables.largest)"
MOST_ROWS = 1_000_000
MOST_MEMORY = 128_000_000  # bytes that a table may take once it is read
_MOST_UNPACKED = 256_000_000  # bytes of the columns that are read
_MOST_FOOTER = 16_000_000
_MOST_FIELDS = 100_000  # of any list in the footer: columns, row groups
_MOST_COLUMNS = 200  # that are read
_MOST_VALUES = 500  # that one slice column may hold
_MOST_COMPARED = 50_000_000  # rows times values of a slice column: each value is looked for in every row
_ROWS_AT_ONCE = 32_768
_MOST_CHAINED = 128_000_000  # bytes that rows read at once may come to, were each as long as its whole column
EXAMPLE_ID, _WEIGHT = "example_id", "weight"
_END = 8  # bytes at the end of a Parquet file: how long its footer is, and its mark


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns are needed, beside ids and weights; without it, all of numbers or text are."""

    metrics: frozenset[str]
    slices: frozenset[str]


def read_table(path: Path, wanted: Columns | None, most: int = MOST_BYTES) -> tuple[ExampleTable, tuple[str, ...]]:
    """Return the columns *wanted*, as far as they are there, and in words what was left out.

    What the file says of itself is looked at before any of it is read.

    :raises UnreadableError: where its examples cannot be told apart or weighed, or where it is beyond the bounds.
    """
    too_long: list[str] = []
    while True:
        try:
            check_file(path, most)
            table, left_out = _read(path, wanted, too_long)
        except TooLongError as error:
            if error.column == EXAMPLE_ID or error.column in too_long:
                raise UnreadableError(Trouble.TOO_LARGE, str(error)) from None
            too_long.append(error.column)
        except UnreadableError:
            raise
        except Exception as error:  # whatever the library makes of bytes that anybody may have written
            raise UnreadableError(Trouble.BROKEN, in_short(error)) from error
        else:
            return table, (*left_out, *(f"{name}: texts of more than {LONGEST_CELL} characters" for name in too_long))


def _read(path: Path, wanted: Columns | None, without: Sequence[str]) -> tuple[ExampleTable, tuple[str, ...]]:
    with open_file(path) as file:
        metadata = file.metadata
        check_rows(metadata.num_rows)
        chosen, left_out = _choose(file.schema_arrow, wanted, without)
        chained = check_unpacked(metadata, chosen.names)
    columns = {name: Column(name) for name in chosen.names}
    rows, at_once = 0, rows_at_once(chained)
    # As dictionaries, texts take no more than what they are packed as: a long one may stand in every row.
    as_dictionary = [name for name in (EXAMPLE_ID, *chosen.texts) if name not in chained]
    with open_file(path, as_dictionary) as file:
        for batch in file.iter_batches(batch_size=at_once, columns=list(columns)):
            rows += batch.num_rows
            check_rows(rows)
            for name, column in columns.items():
                column.add(batch.column(batch.schema.get_field_index(name)), as_text=name not in chosen.numbers)
            _check_memory(columns.values(), max(rows, metadata.num_rows))
    if not rows:
        raise UnreadableError(Trouble.BROKEN, "it holds no rows")
    return _put_together(columns, chosen, left_out)


def check_file(path: Path, most: int = MOST_BYTES) -> None:
    """Refuse a file that is too large, or none of Parquet, before any of it is read."""
    size = path.stat().st_size
    if size > most:
        raise UnreadableError(Trouble.TOO_LARGE, f"{size:,} bytes; at most {most:,} are read{BOUND}")
    with path.open("rb") as file:
        file.seek(max(size - _END, 0))
        footer = int.from_bytes(file.read(_END)[:4], "little")
    if footer > min(size, _MOST_FOOTER):
        raise UnreadableError(Trouble.BROKEN, "it is no Parquet file, or was cut off")


def open_file(path: Path, as_dictionary: Sequence[str] = ()) -> pq.ParquetFile:
    """Open a Parquet file, some columns of it to be read as dictionaries."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(
        path,
        read_dictionary=list(as_dictionary),
        thrift_string_size_limit=_MOST_FOOTER,
        thrift_container_size_limit=_MOST_FIELDS,
    )


def check_rows(rows: int) -> None:
    """Refuse more rows than are read."""
    if rows > MOST_ROWS:
        raise UnreadableError(Trouble.TOO_LARGE, f"{rows:,} rows; at most {MOST_ROWS:,} are read")


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The columns to read."""

    numbers: tuple[str, ...]  # metrics, and the weight where there is one
    texts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (EXAMPLE_ID, *self.numbers, *self.texts)


def _choose(schema: pa.Schema, wanted: Columns | None, without: Sequence[str]) -> tuple[_Chosen, list[str]]:
    """Choose columns by their types; what is wanted and of another type is left out."""
    ids = schema.get_all_field_indices(EXAMPLE_ID)
    if len(ids) != 1:
        words = "no column" if not ids else "more than one column"
        raise UnreadableError(Trouble.BROKEN, f"it has {words} {EXAMPLE_ID!r}")
    _check_id(schema.field(EXAMPLE_ID).type)
    weighs = schema.get_all_field_indices(_WEIGHT)
    if len(weighs) > 1:
        raise UnreadableError(Trouble.BROKEN, f"it has more than one column {_WEIGHT!r}")
    if weighs and not is_number(kind := schema.field(weighs[0]).type):
        raise UnreadableError(Trouble.BROKEN, f"{_WEIGHT!r} holds {named(kind)}, not numbers")
    numbers, texts, left_out = [_WEIGHT] if weighs else [], [], []
    for name in dict.fromkeys(schema.names):
        if name in (EXAMPLE_ID, _WEIGHT, *without) or not (wanted is None or name in wanted.metrics | wanted.slices):
            continue
        kind, times = schema.field(schema.get_all_field_indices(name)[0]).type, len(schema.get_all_field_indices(name))
        if times > 1:
            left_out.append(f"{name} is there {times} times")
        elif is_number(kind) and (wanted is None or name in wanted.metrics):
            numbers.append(name)
        elif is_text(kind) and (wanted is None or name in wanted.slices):
            texts.append(name)
        elif wanted is not None:
            left_out.append(f"{name} holds {named(kind)}, not {'numbers' if name in wanted.metrics else 'text'}")
    if len(numbers) + len(texts) > _MOST_COLUMNS:
        raise UnreadableError(Trouble.TOO_LARGE, f"{len(numbers) + len(texts):,} columns; at most {_MOST_COLUMNS}")
    return _Chosen(tuple(numbers), tuple(texts)), left_out


def _check_id(kind: pa.DataType) -> None:
    import pyarrow as pa

    plain = plain_type(kind)
    if pa.types.is_fixed_size_binary(plain) and plain.byte_width > LONGEST_CELL:
        raise TooLongError(EXAMPLE_ID)
    if pa.types.is_nested(plain) or pa.types.is_null(plain) or pa.types.is_run_end_encoded(kind):
        raise UnreadableError(Trouble.BROKEN, f"{EXAMPLE_ID!r} holds {named(kind)}, not text")


def check_unpacked(metadata: pq.FileMetaData, names: Sequence[str]) -> dict[str, int]:
    """Refuse columns that would unpack to too much, by what the file says of them.

    Returns how long texts may be, by column, that are written as what differs from the one before: each of them as long
    as all of them are packed.
    """
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    every = [group.column(place) for group in groups for place in range(metadata.num_columns)]
    parts = [(name, part) for part in every if (name := _column_of(part.path_in_schema, names))]
    unpacked = sum(part.total_uncompressed_size for _, part in parts)
    if unpacked > _MOST_UNPACKED:
        raise UnreadableError(Trouble.TOO_LARGE, f"{unpacked:,} bytes unpacked; at most {_MOST_UNPACKED:,} are read")
    chained: dict[str, int] = {}
    for name, part in parts:
        if "DELTA_BYTE_ARRAY" in part.encodings:
            chained[name] = max(chained.get(name, 1), part.total_uncompressed_size)
        elif "DELTA_LENGTH_BYTE_ARRAY" in part.encodings:  # each is written out
            chained.setdefault(name, 1)
    return chained


def rows_at_once(chained: Mapping[str, int]) -> int:
    """Return how many rows may be read at once, given how long texts may be that are written as differences."""
    return max(1, min(_ROWS_AT_ONCE, _MOST_CHAINED // max(chained.values(), default=1)))


def _column_of(path: str, names: Sequence[str]) -> str | None:
    """Name the column that a part of the file belongs to; of nested types there are parts with a path below it."""
    top = path.partition(".")[0]
    return path if path in names else top if top in names else None


def _check_memory(columns: Iterable[Column], rows: int) -> None:
    needed = sum(column.width for column in columns) * rows
    if needed > MOST_MEMORY:
        raise UnreadableError(Trouble.TOO_LARGE, f"{needed:,} bytes of memory; it may take {MOST_MEMORY:,}")


def _put_together(
    columns: dict[str, Column], chosen: _Chosen, left_out: list[str]
) -> tuple[ExampleTable, tuple[str, ...]]:
    for name in (EXAMPLE_ID, _WEIGHT):
        if name in columns and columns[name].broken:
            raise UnreadableError(Trouble.BROKEN, f"{name!r} cannot be read: {columns[name].broken}")
    left_out += [f"{name}: {column.broken}" for name, column in columns.items() if column.broken]
    ids = columns[EXAMPLE_ID].whole()
    numbers = {name: columns[name].whole() for name in chosen.numbers if not columns[name].broken}
    texts = {name: columns[name].whole() for name in chosen.texts if not columns[name].broken}
    weights = numbers.pop(_WEIGHT, np.ones(len(ids)))
    if not (np.abs(weights) <= LARGEST).all() or (weights < 0).any():
        raise UnreadableError(Trouble.BROKEN, f"{_WEIGHT!r} holds what is no weight: each should be a number from 0 on")
    for name, values in numbers.items():
        absurd = int((np.abs(values) > LARGEST).sum())
        if absurd:
            left_out.append(f"{name}: {absurd:,} values that are infinite or beyond all measure")
    most = min(_MOST_VALUES, _MOST_COMPARED // len(ids))
    for name in [name for name, values in texts.items() if len(np.unique(values)) > most]:
        left_out.append(f"{name}: more than {most} different values")
        del texts[name]
    return _with_ids(ExampleTable(ids, weights, numbers, texts), left_out)


def _with_ids(table: ExampleTable, left_out: Sequence[str]) -> tuple[ExampleTable, tuple[str, ...]]:
    """Leave out the rows of nobody."""
    named = table.example_ids != ""
    if named.all():
        return table, tuple(left_out)
    if not named.any():
        raise UnreadableError(Trouble.BROKEN, f"{EXAMPLE_ID!r} is empty in every row")
    kept = ExampleTable(
        table.example_ids[named],
        table.weights[named],
        {name: values[named] for name, values in table.metrics.items()},
        {name: values[named] for name, values in table.slices.items()},
    )
    return kept, (*left_out, f"{len(named) - int(named.sum()):,} rows without {EXAMPLE_ID}")


def join(left_out: Iterable[str], most: int = 3) -> str:
    """Name what was left out, the first few of it."""
    names = list(left_out)
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return "; ".join([*names[:most], *more])
