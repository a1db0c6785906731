"""Numbers from anyone's files: JSON lines, one by one, or the columns of a CSV."""

from __future__ import annotations

import csv
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO, TypeAlias

import numpy as np

from bot.domain.policy import MinEffect, is_usable, read_share, settle
from bot.domain.runs import Floats

Json: TypeAlias = Mapping[str, Any]
TIME_COLUMNS = ("time", "timestamp", "date", "datetime")
ORDER_COLUMNS = (*TIME_COLUMNS, "order", "step", "index", "run", "epoch")
DELIMITERS = (",", ";", "\t")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
MISSING = frozenset({"", "-", "n/a", "na", "nan", "none", "null"})
LONGEST_LINE = 64_000_000  # characters
MOST_CSV = 64_000_000


class JudgeInputError(ValueError):
    """A line or cell that cannot be read; the message says which, and what would be right."""


def read_min_effect(text: str) -> MinEffect:
    """Read ``2 %`` as relative, a bare number as in the metric's own unit.

    :raises JudgeInputError: for anything else.
    """
    if (share := read_share(text)) is not None:
        return share
    try:
        size = float(text)
    except ValueError:
        size = math.nan
    if not 0 <= size < math.inf:
        raise JudgeInputError(f"--min-effect: {text!r} should be a share such as '2 %', or a number of 0 or more")
    return MinEffect(size, relative=False)


def bounded(lines: TextIO, longest: int = LONGEST_LINE, most: int | None = None) -> Iterator[str]:
    """Yield lines without ever holding more than one of them.

    :raises JudgeInputError: at a line longer than *longest*, or where all of them are more than *most* characters.
    """
    read = 0
    while line := lines.readline(longest + 1):
        line = line if read else line.removeprefix("\ufeff")
        read += len(line) or 1
        if len(line) > longest:
            raise JudgeInputError(f"a line of more than {longest:,} characters: no numbers that anybody judges")
        if most is not None and read > most:
            raise JudgeInputError(
                f"more than {most:,} characters; give it in parts, or as JSON lines, which are read one by one"
            )
        yield line


def parse_record(line: str, number: int) -> Json:
    try:
        record = json.loads(line)
    except RecursionError:
        raise JudgeInputError(f"line {number}: not JSON that can be read (it is nested too deep)") from None
    except ValueError as error:
        hint = "" if number > 1 else "; is it a CSV? Then add --format csv"
        raise JudgeInputError(f"line {number}: not JSON ({error}){hint}") from error
    if not isinstance(record, dict):
        raise JudgeInputError(f"line {number}: expected an object with 'values' or 'baseline' and 'candidate'")
    return record


def read_csv(lines: Iterable[str]) -> list[dict[str, str]]:
    """Return the rows under their header, cells without the spaces around them."""
    lines = iter(lines)
    header = next(lines, "")
    delimiter = max(DELIMITERS, key=header.count)
    rows = csv.DictReader(itertools.chain([header], lines), delimiter=delimiter, restval="")
    return [
        {
            name.strip(): as_number(cell.strip(), delimiter)
            for name, cell in row.items()
            if name is not None and name.strip()
        }
        for row in rows
    ]


def as_number(cell: str, delimiter: str) -> str:
    """Write a number of a table that semicolons part as one with a point."""
    return cell.replace(",", ".") if delimiter == ";" and DECIMAL_COMMA.fullmatch(cell) else cell


def is_order(rows: Sequence[Mapping[str, str]], name: str) -> bool:
    """Say by its name whether a column orders the rows; one that holds names alone, such as of runs, does not."""
    known = name.lower()
    return known in TIME_COLUMNS or (known in ORDER_COLUMNS and any(is_moment(row[name]) for row in rows))


def is_moment(text: str) -> bool:
    try:
        moment(text)
    except ValueError:
        return False
    return True


def put_in_order(rows: list[dict[str, str]], order: str | None) -> list[dict[str, str]]:
    if order is None:
        return rows
    latest = {row[order]: row for row in rows}
    try:
        return sorted(latest.values(), key=lambda row: moment(row[order]))
    except ValueError as error:
        raise JudgeInputError(f"column {order!r}: {error}; expected numbers, or dates like 2026-03-01T12:00") from error


def ends_of(rows: Sequence[Mapping[str, str]], order: str | None) -> list[datetime] | None:
    """Return the dates by which the rows are in order; None where they are in order by something else."""
    cells = [row[order] for row in rows] if order is not None else []
    if not cells or any(isinstance(as_cell(cell), float) for cell in cells):
        return None
    return [datetime.fromtimestamp(moment(cell), UTC) for cell in cells]


def moment(text: str) -> float:
    """Read a place in an order."""
    try:
        place = float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()
    if math.isnan(place):
        raise ValueError(f"{text!r} is no place in an order")
    return place


def column(rows: Sequence[Mapping[str, str]], name: str) -> tuple[float | None, ...] | None:
    """Return the numbers of a column, None for missing ones; None if it holds text, or nothing.

    :raises JudgeInputError: at a cell that is no number, where half of the others are.
    """
    cells = [row[name] for row in rows]
    read = [None if cell.lower() in MISSING else as_cell(cell) for cell in cells]
    odd = [number for number, value in enumerate(read) if isinstance(value, str)]
    known = sum(isinstance(value, float) for value in read)
    if odd and known < len(odd):
        return None
    if odd:
        words = "leave a cell empty where there is no number"
        raise JudgeInputError(f"column {name!r}, row {odd[0] + 1}: {cells[odd[0]]!r} is no number; {words}")
    return tuple(value for value in read if not isinstance(value, str)) if known else None


def as_cell(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def numbers(values: Sequence[float | None]) -> Floats:
    """Return *values* with NaN for what is missing, and for what no difference can be taken of."""
    return np.array([settle(value) if is_usable(value := as_float(each)) else math.nan for each in values])


def as_float(value: float | str | None) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is no number; null stands for a missing one") from None
