"""Reads texts of a few examples of a run's per-example table, however large the table and its texts are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from bot.domain.runs import Trouble
from bot.errors import in_short
from bot.services.mlflow.columns import LONGEST_CELL, TooLongError, named, texts_of
from bot.services.mlflow.example_tables import (
    EXAMPLE_ID,
    MOST_BYTES,
    check_file,
    check_rows,
    check_unpacked,
    open_file,
    rows_at_once,
)
from bot.services.mlflow.unreadable import UnreadableError

LONGEST_TEXT = 500  # characters of one that are read

Found = tuple[dict[str, tuple[str, ...]], tuple[str, ...]]


def read_texts(path: Path, columns: Sequence[str], ids: Collection[str], most: int = MOST_BYTES) -> Found:
    """Return the beginnings of the texts of some examples, a column each, and in words what was left out.

    Of rows that share an id the first is read. A text is never held that nobody asked for.

    :raises UnreadableError: where the table is beyond the bounds within which tables are read, or is broken.
    """
    try:
        check_file(path, most)
        return _read(path, columns, frozenset(ids))
    except UnreadableError:
        raise
    except TooLongError:
        words = f"{EXAMPLE_ID!r} holds texts of more than {LONGEST_CELL} characters"
        raise UnreadableError(Trouble.TOO_LARGE, words) from None
    except Exception as error:  # whatever the library makes of bytes that anybody may have written
        raise UnreadableError(Trouble.BROKEN, in_short(error)) from error


def _read(path: Path, columns: Sequence[str], ids: frozenset[str]) -> Found:
    import pyarrow as pa

    with open_file(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
        check_rows(metadata.num_rows)
    known = [name for name in columns if len(schema.get_all_field_indices(name)) == 1]
    readable = [name for name in known if not pa.types.is_nested(schema.field(name).type)]
    left_out = [f"{name} is not there" for name in columns if name not in known]
    left_out += [f"{name} holds {named(schema.field(name).type)}, no text" for name in known if name not in readable]
    if not readable or not ids:
        return {}, tuple(left_out)
    chained = check_unpacked(metadata, (EXAMPLE_ID, *readable))
    found: dict[str, tuple[str, ...]] = {}
    # As dictionaries, texts take no more than what they are packed as: a long one may stand in every row.
    as_dictionary = [name for name in (EXAMPLE_ID, *readable) if name not in chained]
    with open_file(path, as_dictionary) as file:
        for batch in file.iter_batches(batch_size=rows_at_once(chained), columns=[EXAMPLE_ID, *readable]):
            places = {name: batch.schema.get_field_index(name) for name in (EXAMPLE_ID, *readable)}
            names = texts_of(batch.column(places[EXAMPLE_ID]), EXAMPLE_ID)
            for row, name in enumerate(names.tolist()):
                if name in ids and name not in found:
                    cells = {each: batch.column(places[each])[row] for each in readable}
                    found[name] = tuple(_beginning(cells[each]) if each in cells else "" for each in columns)
            if len(found) == len(ids):
                break
    return found, tuple(left_out)


def _beginning(cell: Any) -> str:
    value = cell.as_py()
    if isinstance(value, bytes):
        value = value[: 4 * LONGEST_TEXT].decode("utf-8", "replace")
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
