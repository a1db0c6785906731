"""Finds the objects of a JSON file, one a line or all in one array, a batch at a time."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.data.batches import Notes
from trainer.data.json_texts import parse_json
from trainer.data.text_lines import LONGEST_LINE, read_pieces, read_text
from trainer.errors import DataError

BLANK = " \t\n\r"
CUT = 16  # characters from the end of what was read: a name, a number or an escape may go on behind it
SHOWN = 60
PRINTED = re.compile(r"\s*\{\s*'")  # such as old Amazon reviews, and logs of print()
FROM_PYTHON = "json.dumps(ast.literal_eval(line)) makes a line of JSON of it"
RIGHT = "one object a line is read, or one array of objects"


@dataclass(frozen=True, slots=True)
class Objects:
    """Some objects of a file, and where each stands."""

    kind: str  # what the numbers count: lines, or objects of the array
    numbers: list[int]
    records: list[dict[str, Any]]

    def where(self, place: int) -> str:
        """Name the place of an object in its file."""
        return f"{self.kind} {self.numbers[place]}"


def read_objects(path: Path, rows: int, *, gzipped: bool, encoding: str | None, notes: Notes) -> Iterator[Objects]:
    """Give the objects of a file, so many rows at a time; raise DataError naming what is none."""
    pieces = read_pieces(path, gzipped=gzipped, encoding=encoding, notes=notes)
    text = _Text(path, pieces)
    if text.next_letter() == "[":
        kind, found = "object", _of_array(path, text)
    else:
        pieces.close()
        kind, found = "line", _of_lines(path, read_text(path, gzipped=gzipped, encoding=encoding, notes=notes))
    numbers: list[int] = []
    records: list[dict[str, Any]] = []
    for number, record in found:
        numbers.append(number)
        records.append(record)
        if len(records) == rows:
            yield Objects(kind, numbers, records)
            numbers, records = [], []
    if records:
        yield Objects(kind, numbers, records)


def _of_lines(path: Path, pieces: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give objects and the lines they are in; blank lines are none."""
    number = 0
    for piece in pieces:
        for line in piece.removesuffix("\n").split("\n"):
            number += 1
            if line.strip():
                yield number, _parse_line(path, number, line)


def _parse_line(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = parse_json(line)
    except ValueError as error:
        if number == 1 and line.strip()[0] == "{" and line.strip()[-1] != "}":
            raise DataError(
                f"{path}: line 1 is not JSON of its own: {RIGHT}; jq -c . makes a line of each object"
            ) from None
        if PRINTED.match(line):
            raise DataError(f"{path}: line {number} is not JSON, but as Python prints it: {FROM_PYTHON}") from None
        raise DataError(f"{path}: line {number} is not JSON: {_reason(error)}") from None
    if not isinstance(record, dict):
        raise DataError(f"{path}: line {number} is not an object of columns and values")
    return record


@dataclass(slots=True)
class _Text:
    """The text of a file, of which only what was not looked at yet is held."""

    path: Path
    pieces: Iterator[str]
    text: str = ""
    at: int = 0

    def more(self) -> bool:
        """Read on; say whether there was anything."""
        piece = next(self.pieces, None)
        if piece is None or len(self.text) - self.at > LONGEST_LINE:
            return False
        self.text, self.at = self.text[self.at :] + piece, 0
        return True

    def next_letter(self) -> str:
        """Give the next letter that is no blank, and leave it there; nothing at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in BLANK:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""


def _of_array(path: Path, text: _Text) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the objects of an array and their numbers from 1, none of them held longer than it is looked at."""
    decoder, number = json.JSONDecoder(), 0
    text.at += 1  # behind the bracket
    while (letter := text.next_letter()) != "]":
        if number:
            _expect(path, letter, ",", f"object {number} of the array")
            text.at += 1
            text.next_letter()
        number += 1
        yield number, _parse_next(path, text, decoder, number)
    text.at += 1
    _expect(path, text.next_letter(), "", "the end of the array")


def _expect(path: Path, letter: str, right: str, after: str) -> None:
    if letter != right:
        found = repr(letter) if letter else "the end of the file"
        raise DataError(f"{path}: not JSON: after {after} comes {found}; {RIGHT}")


def _parse_next(path: Path, text: _Text, decoder: json.JSONDecoder, number: int) -> dict[str, Any]:
    while True:
        try:
            record, text.at = decoder.raw_decode(text.text, text.at)
            break
        except json.JSONDecodeError as error:
            cut = error.msg.startswith("Unterminated") or error.pos >= len(text.text) - CUT
            if not cut or not text.more():
                raise DataError(f"{path}: object {number} of the array is not JSON: {error.msg}") from None
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: object {number} of the array is not JSON: {_reason(error)}") from None
    if not isinstance(record, dict):
        shown = json.dumps(record)[:SHOWN]
        raise DataError(f"{path}: {shown}, the value {number} of the array, is not an object of columns and values")
    return record


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def hint_at_rows(record: dict[str, Any]) -> str:
    """Say where the rows may be, in a file whose one object holds them all."""
    for name, value in record.items():
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            return f"; its rows seem to be in '{name}': jq '.[\"{name}\"]' makes a file of them"
    if record and all(isinstance(value, dict) for value in record.values()):
        return '; it seems to hold columns: pandas writes rows with to_json(orient="records", lines=True)'
    return ""
