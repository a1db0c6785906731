"""Reads tables of text, CSV and the like, as strings: what a column is, its first rows cannot say."""

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from trainer.data.batches import Batch, Notes
from trainer.data.quoting import MENDED, SHOWN, Quoting, part_row
from trainer.data.text_lines import read_text
from trainer.errors import DataError
from trainer.jobs.tables import TextTable

DELIMITERS = (",", "\t", ";", "|", "::", "\x01")
STAND_INS = "\x1f\x1e\x1d\x1c"  # one of them takes the place of a delimiter of several characters
NO_QUOTE = "none"
NAMED_DELIMITER = re.compile(r'"?sep=(.)"?')


@dataclass(frozen=True, slots=True)
class Shape:
    """What a file's lines are made of."""

    delimiter: str
    names: tuple[str, ...]
    named: bool  # the first line holds the names


class _Lines:
    """The pieces of a file, the first looked at before it is taken."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self.pieces = pieces
        begun = next(pieces, "")
        line, end, rest = begun.partition("\n")
        told = NAMED_DELIMITER.fullmatch(line)
        self.delimiter = told[1] if told else None  # as Excel writes it above the names
        self.begun = end + rest if told else begun

    def first(self) -> str:
        """Give the first line that is not blank."""
        return next((line for line in self.begun.split("\n") if line.strip(" ")), "")

    def __iter__(self) -> Iterator[str]:
        yield self.begun
        yield from self.pieces


def column_names(table: TextTable, path: Path, usual: str | None, *, gzipped: bool) -> tuple[str, ...]:
    lines = _Lines(read_text(path, gzipped=gzipped, encoding=table.encoding, notes=Notes()))
    return _find_shape(table, path, usual, lines, ()).names


def read_delimited(
    table: TextTable,
    path: Path,
    wanted: Sequence[str],
    joined: Collection[str],
    *,
    usual: str | None,
    gzipped: bool,
    rows: int,
    notes: Notes,
) -> Iterator[Batch]:
    """Give the wanted columns, those that a join may bring where they are there; *usual* is the ending's delimiter."""
    lines = _Lines(read_text(path, gzipped=gzipped, encoding=table.encoding, notes=notes))
    shape = _find_shape(table, path, usual, lines, wanted)
    if table.delimiter is None and shape.delimiter != usual:
        told = f"delimiter {shape.delimiter!r}, told from the first line"
        notes.read_as[path.name] = ", ".join(filter(None, (notes.read_as.get(path.name), told)))
    chosen = _choose(path, wanted, joined, shape)
    first = 1
    for block in _blocks(table, path, shape, lines, chosen, notes):
        for batch in block.combine_chunks().to_batches(max_chunksize=rows):
            yield Batch(path, first, {name: batch.column(name) for name in chosen}, batch.num_rows)
            first += batch.num_rows


def _choose(path: Path, wanted: Sequence[str], joined: Collection[str], shape: Shape) -> list[str]:
    for name in wanted:
        count = shape.names.count(name)
        if not count and name not in joined:
            split = f'; it was parted by delimiter = "{shape.delimiter}"' if len(shape.names) == 1 else ""
            raise DataError(f"{path}: column '{name}' is missing; it has {', '.join(shape.names)}{split}")
        if count > 1:
            raise DataError(f"{path}: column '{name}' is there {count} times; header names the columns anew")
    return [name for name in wanted if name in shape.names]


def _find_shape(table: TextTable, path: Path, usual: str | None, lines: _Lines, wanted: Sequence[str]) -> Shape:
    line = lines.first()
    if not line:
        what = "" if table.header else "; its first row names the columns"
        raise DataError(f"{path}: the table is empty{what}")
    candidates = tuple(dict.fromkeys((usual, *DELIMITERS) if usual else DELIMITERS))
    given = table.delimiter or lines.delimiter
    candidates = candidates if given is None else (given,)
    parted = [(one, tuple(name.strip() for name in _part(line, one, table.quotes))) for one in candidates]
    if table.header is not None:
        fitting = [(one, fields) for one, fields in parted if len(fields) == len(table.header)]
        if not fitting:
            count = len(parted[0][1])
            raise DataError(
                f"{path}: line 1 has {count} fields, and header names {len(table.header)}: {line[:SHOWN]!r}"
            )
        return Shape(fitting[0][0], table.header, named=fitting[0][1] == table.header)
    best = max(parted, key=lambda found: (sum(name in found[1] for name in wanted), not wanted and len(found[1])))
    return Shape(*best, named=True)


def _part(line: str, delimiter: str, quotes: str | None) -> list[str]:
    if len(delimiter) > 1 or quotes == NO_QUOTE:
        return line.split(delimiter)
    try:
        return part_row(line, delimiter, strict=True) or []
    except csv.Error:
        return line.split(delimiter)


def _blocks(
    table: TextTable, path: Path, shape: Shape, lines: _Lines, chosen: Sequence[str], notes: Notes
) -> Iterator[pa.Table]:
    """Parse the file a piece at a time; every line is a row, or belongs to one as `Quoting` says."""
    quoted = len(shape.delimiter) == 1 and table.quotes != NO_QUOTE
    quoting = Quoting(path, shape.delimiter, len(shape.names), table.quotes if quoted else NO_QUOTE)
    left, number, heading = "", 1, shape.named
    for piece, final in _with_last(lines):
        text = left + piece
        if heading and text.strip(" \n"):
            begin = text.index("\n", len(text) - len(text.lstrip(" \n"))) + 1
            number, text, heading = number + text.count("\n", 0, begin), text[begin:], False
        rows = quoting.settle(text, number, final=final)
        left = rows.left
        number += text.count("\n") - left.count("\n")
        if rows.mended:
            notes.mended[MENDED] += rows.mended
        if rows.texts:
            yield _parse(path, shape, rows.texts, rows.lines, chosen, quoted=quoted)


def _with_last(lines: _Lines) -> Iterator[tuple[str, bool]]:
    """Say of each piece whether it is the last."""
    pieces = iter(lines)
    held = next(pieces)
    for piece in pieces:
        yield held, False
        held = piece
    yield held, True


def _parse(
    path: Path, shape: Shape, texts: Sequence[str], places: Sequence[int], chosen: Sequence[str], *, quoted: bool
) -> pa.Table:
    """Parse rows that are one string each."""
    text, delimiter = "\n".join(texts), shape.delimiter
    if len(delimiter) > 1:
        stand_in = next((one for one in STAND_INS if one not in text), None)
        if stand_in is None:
            raise DataError(f"{path}: near line {places[0]}: the text has every control character there is")
        text, delimiter = text.replace(delimiter, stand_in), stand_in
    content = text.encode()
    quoted = quoted and '"' in text
    convert = pa_csv.ConvertOptions(
        include_columns=list(chosen),
        column_types=dict.fromkeys(chosen, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
    )
    parse = pa_csv.ParseOptions(delimiter=delimiter, quote_char='"' if quoted else False, newlines_in_values=quoted)
    read = pa_csv.ReadOptions(block_size=len(content) + 1, use_threads=False, column_names=_distinct(shape.names))
    try:
        table = pa_csv.read_csv(pa.BufferReader(content), read, parse, convert)
    except pa.ArrowException as error:
        raise DataError(_odd_row(path, shape, texts, places, error)) from None
    if table.num_rows != len(texts):
        raise DataError(_odd_row(path, shape, texts, places, f"{table.num_rows} rows in {len(texts)} lines"))
    return table


def _distinct(names: Sequence[str]) -> list[str]:
    """Name every column once: one that is there twice, or has no name, cannot be asked for."""
    return [name if names.count(name) == 1 else f"{name}\x1f{place}" for place, name in enumerate(names)]


def _odd_row(path: Path, shape: Shape, texts: Sequence[str], places: Sequence[int], error: Any) -> str:
    """Say which row has too many or too few fields."""
    for text, line in zip(texts, places, strict=True):
        count = len(_part(text, shape.delimiter, None))
        if count != len(shape.names):
            told = f"the {'first line' if shape.named else 'key header'} names {len(shape.names)}"
            return f"{path}: not a table of text: line {line} has {count} fields, {told}: {text[:SHOWN]!r}"
    reason = (str(error).splitlines() or ["it cannot be parsed"])[0]
    return f"{path}: not a table of text, near line {places[0]}: {reason}"
