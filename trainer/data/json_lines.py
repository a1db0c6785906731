"""Makes columns of JSON objects, a batch at a time."""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from trainer.data.batches import Batch, Notes
from trainer.data.json_objects import SHOWN, Objects, hint_at_rows, read_objects
from trainer.errors import DataError

LARGEST, WHOLE = 2**63, 2**53  # what does not fit into 64 bits, or among fractions, is kept as its digits


def line_names(path: Path, *, gzipped: bool, encoding: str | None) -> tuple[str, ...]:
    """Name the columns of the first objects."""
    for found in read_objects(path, 1000, gzipped=gzipped, encoding=encoding, notes=Notes()):
        return _names(found.records)
    return ()


def read_lines(
    path: Path,
    wanted: Sequence[str],
    joined: Collection[str],
    *,
    gzipped: bool,
    encoding: str | None,
    rows: int,
    notes: Notes,
) -> Iterator[Batch]:
    first = 1
    present: Sequence[str] = ()
    for found in read_objects(path, rows, gzipped=gzipped, encoding=encoding, notes=notes):
        if first == 1:
            present = _names(found.records)
            missing = {name for name in wanted if name not in present and name not in joined}
            if missing:  # a key may be left out where there is nothing, for many objects
                more = read_objects(path, rows, gzipped=gzipped, encoding=encoding, notes=Notes())
                present = _look_for(path, missing, more)
        columns = {name: _column(path, found, name) for name in wanted if name in present}
        yield Batch(path, first, columns, len(found.records))
        first += len(found.records)


def _look_for(path: Path, wanted: Collection[str], objects: Iterator[Objects]) -> tuple[str, ...]:
    """Name the columns of all objects up to where the last of those that are wanted first comes."""
    present: dict[str, None] = {}
    count = 0
    for found in objects:
        count += len(found.records)
        present |= dict.fromkeys(_names(found.records))
        if all(name in present for name in wanted):
            return tuple(present)
    name = next(name for name in wanted if name not in present)
    hint = hint_at_rows(found.records[0]) if count == 1 else ""
    raise DataError(f"{path}: column '{name}' is missing; it has {', '.join(present)}{hint}")


def _names(records: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for record in records for name in record))


def _column(path: Path, found: Objects, name: str) -> Any:
    """Make one array; where numbers and words are mixed, all become words."""
    values = [record.get(name) for record in found.records]
    for place, value in enumerate(values):
        if isinstance(value, dict) or (isinstance(value, list) and not _is_flat(value)):
            raise DataError(f"{path}: {found.where(place)}: '{name}' is not one value but {json.dumps(value)[:SHOWN]}")
    kinds = {type(value) for value in values if value is not None}
    if list in kinds:
        return _lists(path, found, name, values)
    limit = WHOLE if float in kinds else LARGEST
    huge = int in kinds and any(type(value) is int and not -limit <= value < limit for value in values)
    if huge or (len(kinds) > 1 and kinds != {int, float}):
        values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError):
        place = next((place for place, value in enumerate(values) if _is_odd(value)), 0)
        raise DataError(f"{path}: {found.where(place)}: '{name}' is no text: {ascii(values[place])[:SHOWN]}") from None


def _is_flat(values: list[Any]) -> bool:
    return all(isinstance(value, (str, int, float)) for value in values)


def _lists(path: Path, found: Objects, name: str, values: list[Any]) -> Any:
    """Make one array of lists of words; whoever wants one value a row refuses it."""
    if any(value is not None and not isinstance(value, list) for value in values):
        place = next(place for place, value in enumerate(values) if isinstance(value, list))
        raise DataError(
            f"{path}: {found.where(place)}: '{name}' is not one value but {json.dumps(values[place])[:SHOWN]}"
        )
    words = [None if v is None else [one if isinstance(one, str) else json.dumps(one) for one in v] for v in values]
    return pa.array(words, pa.list_(pa.string()))


def _is_odd(value: Any) -> bool:
    try:
        pa.array([value])
    except (pa.ArrowException, OverflowError, ValueError):
        return True
    return False
