"""Tells the rows of a table of text: which quotes are quotes, which line ends are inside them, how many fields it has.

A quote opens a field at its beginning and closes it at its end; in between it is written twice. Where a line's quotes
do not work out like that:

1. Lines that a quote holds together are one row if it closes as it should and the row has all fields, unless each of
   the lines is a whole row by itself too: what is meant nobody can tell, and it is refused.
2. Otherwise a quote that nothing closes is a letter, if the line has all its fields then. The row counts as mended.
3. Otherwise the line is refused.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import DataError

MENDED = "rows with a quote that nothing closes, read as a letter"
MOST_LINES, MOST_CHARACTERS = 10_000, 1 << 20  # of one quoted text
SHOWN = 40
_LONGEST_FIELD = 1 << 26  # characters


def part_row(text: str, delimiter: str, **how: Any) -> list[str] | None:
    """Part one row as `csv` does; long fields are taken here alone, since its limit is the whole process's."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        return next(csv.reader([text], delimiter=delimiter, **how), None)
    finally:
        csv.field_size_limit(before)


@dataclass(slots=True)
class Rows:
    """Rows that are well-formed, one string each, and the lines they begin in."""

    texts: list[str]
    lines: list[int] | range
    mended: int = 0
    left: str = ""  # what is at the end and whose quote is still open


class Quoting:
    """The rules for one file: delimiter of one character, number of fields, what the job says of quotes."""

    def __init__(self, path: Path, delimiter: str, width: int, policy: str | None) -> None:
        self.path, self.delimiter, self.width, self.policy = path, delimiter, width, policy
        d = re.escape(delimiter)
        inside = r'[^"]*+(?:""[^"]*+)*+'
        whole = rf'(?:"{inside}"|[^"{d}]*+)'
        self.whole = re.compile(rf"{whole}(?:{d}{whole})*+")
        self.open = re.compile(rf'(?:{whole}{d})*+"{inside}')
        self.inside = re.compile(inside)
        self.field = re.compile(
            rf'(?:^|{d})(?:"({inside})"(?={d}|$)|([^{d}]*+))'
        )  # quoted as it should be, or as it is
        self.rest_whole = re.compile(rf"(?:{d}{whole})*+")  # after a quote that closes
        self.rest_open = re.compile(rf'{d}(?:{whole}{d})*+"{inside}')

    def settle(self, text: str, first: int, *, final: bool) -> Rows:
        """Give the rows of whole lines; those at the end whose quote may close in lines to come are left."""
        lines = text.removesuffix("\n").split("\n")
        if '"' in text and self.policy != "none":
            return self._settle_quoted(lines, first, final=final)
        rows = [line for line in lines if line.strip(" ")]
        if len(rows) == len(lines):
            return Rows(rows, range(first, first + len(rows)))
        return Rows(rows, [number for number, line in enumerate(lines, first) if line.strip(" ")])

    def _settle_quoted(self, lines: Sequence[str], first: int, *, final: bool) -> Rows:
        found: list[int] = []
        rows, place = Rows([], found), 0
        while place < len(lines):
            line, number = lines[place], first + place
            taken = 1
            if not line.strip(" "):
                pass
            elif '"' not in line or self.whole.fullmatch(line):
                rows.texts.append(line)
                found.append(number)
            elif self.open.fullmatch(line) and (span := self._span(lines, place, number, final=final)) != 1:
                if not span:
                    rows.left = "\n".join(lines[place:]) + "\n"
                    return rows
                taken = span
                rows.texts.append("\n".join(lines[place : place + span]))
                found.append(number)
            else:
                rows.texts.append(self._mended(rows, line, number))
                found.append(number)
            place += taken
        return rows

    def _span(self, lines: Sequence[str], place: int, number: int, *, final: bool) -> int:
        """Say how many lines a quote holds together: 1 where it closes nowhere, 0 where lines to come decide."""
        size = len(lines[place])
        for end in range(place + 1, len(lines)):
            line = lines[end]
            size += len(line) + 1
            if end - place >= MOST_LINES or size > MOST_CHARACTERS:
                return 1
            closes = self.inside.match(line)
            if closes is None or closes.end() == len(line):
                continue
            rest = line[closes.end() + 1 :]
            if self.rest_whole.fullmatch(rest):
                joined = lines[place : end + 1]
                if len(self.fields("\n".join(joined))) != self.width:
                    return 1
                self._refuse_ambiguous(joined, number)
                return len(joined)
            if not self.rest_open.fullmatch(rest):
                return 1
        return 1 if final else 0

    def _refuse_ambiguous(self, joined: Sequence[str], number: int) -> None:
        if self.policy == "multiline" or self.width == 1:
            return
        alone = [len(self._one_by_one(line)) == self.width for line in joined]
        if all(alone[1:]) and (alone[0] or len(alone) > 2):  # noqa: PLR2004 - two lines agree by chance
            raise DataError(
                f"{self.path}: line {number}: a quote opens that closes in line {number + len(joined) - 1}, and each of"
                f' these lines is a whole row by itself: {joined[0][:SHOWN]!r}; quotes = "none" reads a quote as a'
                ' letter, quotes = "multiline" the lines as one text'
            )

    def _mended(self, rows: Rows, line: str, number: int) -> str:
        """Give a line whose quotes do not work out as a row that is well-formed."""
        fields = self._repaired(line)
        if fields is None:
            count = line.count(self.delimiter) + 1
            raise DataError(
                f"{self.path}: line {number}: a quote opens that nothing closes, and without it the line has {count}"
                f" fields, not {self.width}: {line[:SHOWN]!r}"
            )
        rows.mended += any(text.startswith('"') for text in fields)
        return self.delimiter.join('"' + text.replace('"', '""') + '"' for text in fields)

    def _repaired(self, line: str) -> list[str] | None:
        """Read a line whose quotes do not work out by the first way that gives all fields."""
        escaped = self._csv(line, doublequote=False, escapechar="\\", strict=True) if '\\"' in line else None
        ways = (escaped, self._one_by_one(line), self._csv(line, skipinitialspace=True, strict=True), self._csv(line))
        return next((fields for fields in ways if fields is not None and len(fields) == self.width), None)

    def _one_by_one(self, line: str) -> list[str]:
        """Read each field by itself: one that is quoted as it should be without its quotes, any other as it stands."""
        found = self.field.finditer(line)
        return [field[2] if field[1] is None else field[1].replace('""', '"') for field in found]

    def _csv(self, line: str, **how: object) -> list[str] | None:
        try:
            return part_row(line, self.delimiter, **how)
        except csv.Error:
            return None

    def fields(self, text: str) -> list[str]:
        """Give the fields of a row that is well-formed."""
        return part_row(text, self.delimiter) or []
