"""Reads lines of JSON objects, a batch at a time."""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from trainer.data.batches import Batch, Notes
from trainer.data.text_lines import read_text
from trainer.errors import DataError

LARGEST, WHOLE = 2**63, 2**53  # what does not fit into 64 bits, or among fractions, is kept as its digits
SHOWN = 60
ONE_VALUE = "line 1 is not JSON of its own: one object a line is read; jq -c '.[]' makes them of an array"


def line_names(path: Path, *, gzipped: bool, encoding: str | None) -> tuple[str, ...]:
    """Name the columns of the first lines."""
    for _, records in _record_batches(path, 1000, gzipped=gzipped, encoding=encoding, notes=Notes()):
        return _names(records)
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
    for lines, records in _record_batches(path, rows, gzipped=gzipped, encoding=encoding, notes=notes):
        if first == 1:
            present = _names(records)
            for name in wanted:
                if name not in present and name not in joined:
                    raise DataError(f"{path}: column '{name}' is missing; it has {', '.join(present)}")
        chosen = [name for name in wanted if name in present]
        values = {name: [record.get(name) for record in records] for name in chosen}
        yield Batch(path, first, {name: _column(path, lines, name, values[name]) for name in chosen}, len(records))
        first += len(records)


def _names(records: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for record in records for name in record))


def _record_batches(
    path: Path, rows: int, *, gzipped: bool, encoding: str | None, notes: Notes
) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """Give objects and the lines they are in; blank lines are none."""
    lines: list[int] = []
    records: list[dict[str, Any]] = []
    number = 0
    for piece in read_text(path, gzipped=gzipped, encoding=encoding, notes=notes):
        for line in piece.removesuffix("\n").split("\n"):
            number += 1
            if not line.strip():
                continue
            lines.append(number)
            records.append(_parse_line(path, number, line))
            if len(records) == rows:
                yield lines, records
                lines, records = [], []
    if records:
        yield lines, records


def _parse_line(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        if number == 1 and line.strip()[0] in "[{" and line.strip()[-1] not in "]}":
            raise DataError(f"{path}: {ONE_VALUE}") from None
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: line {number} is not JSON: {reason}") from None
    if number == 1 and isinstance(record, list):
        raise DataError(f"{path}: {ONE_VALUE}")
    if not isinstance(record, dict):
        raise DataError(f"{path}: line {number} is not an object of columns and values")
    return record


def _column(path: Path, lines: Sequence[int], name: str, values: list[Any]) -> Any:
    """Make one array; where numbers and words are mixed, all become words."""
    for place, value in enumerate(values):
        if isinstance(value, dict) or (isinstance(value, list) and not _is_flat(value)):
            raise DataError(f"{path}: line {lines[place]}: '{name}' is not one value but {json.dumps(value)[:SHOWN]}")
    kinds = {type(value) for value in values if value is not None}
    if list in kinds:
        return _lists(path, lines, name, values)
    limit = WHOLE if float in kinds else LARGEST
    huge = int in kinds and any(type(value) is int and not -limit <= value < limit for value in values)
    if huge or (len(kinds) > 1 and kinds != {int, float}):
        values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError):
        place = next((place for place, value in enumerate(values) if _is_odd(value)), 0)
        raise DataError(f"{path}: line {lines[place]}: '{name}' is no text: {ascii(values[place])[:SHOWN]}") from None


def _is_flat(values: list[Any]) -> bool:
    return all(isinstance(value, (str, int, float)) for value in values)


def _lists(path: Path, lines: Sequence[int], name: str, values: list[Any]) -> Any:
    """Make one array of lists of words; whoever wants one value a row refuses it."""
    if any(value is not None and not isinstance(value, list) for value in values):
        place = next(place for place, value in enumerate(values) if isinstance(value, list))
        raise DataError(
            f"{path}: line {lines[place]}: '{name}' is not one value but {json.dumps(values[place])[:SHOWN]}"
        )
    words = [None if v is None else [one if isinstance(one, str) else json.dumps(one) for one in v] for v in values]
    return pa.array(words, pa.list_(pa.string()))


def _is_odd(value: Any) -> bool:
    try:
        pa.array([value])
    except (pa.ArrowException, OverflowError, ValueError):
        return True
    return False
