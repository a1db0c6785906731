"""Lines and tables for a terminal that lose nothing: no address is broken, a row that is too wide becomes lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.control import strip_control_codes
from rich.markup import escape
from rich.measure import Measurement
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 120  # columns that whatever reads from a pipe has room for

_Piece = str | Text  # of a line
_Line = Sequence[_Piece]


class WholeConsole(Console):
    """A console that breaks no line in a pipe, nor one with a word, such as an address, that is wider than it is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if not self.is_terminal and "width" not in options:
            self.width = max(self.width, _PIPE_WIDTH)

    def print(self, *objects: Any, **options: Any) -> None:
        if all(isinstance(each, str) for each in objects):
            longest = max((len(word) for each in objects for word in each.split()), default=0)
            options.setdefault("soft_wrap", not self.is_terminal or longest >= self.width)
        super().print(*objects, **options)


class Stacking:
    """Rows under headers, as rich's own table takes them; cells are rich's markup.

    Where they do not fit, a row's first cell stands above its others, unless *first* says what it is called there.
    """

    def __init__(self, *headers: str, first: str = "") -> None:
        self._headers = headers
        self._first = first
        self._rows: list[tuple[str, ...]] = []
        self._sections: set[int] = set()  # rows behind which a line is drawn

    def add_row(self, *cells: str) -> None:
        self._rows.append(cells)

    def add_section(self) -> None:
        self._sections.add(len(self._rows))

    def print(self, console: Console) -> None:
        """Print a table where all of it fits, with lines or without, else each row below the other, a line a cell."""
        rows = [[_cell(cell) for cell in row] for row in self._rows]
        plain = [[_plain(cell) for cell in row] for row in rows]
        if all("\n" not in cell for row in plain for cell in row):
            wide = [max(map(cell_len, column)) for column in zip(self._headers, *plain, strict=True)]
            if sum(wide) + 3 * len(wide) + 1 <= console.width:
                _print_lines(self._lines(rows, wide, box.HEAVY_HEAD.substitute(console.options)), console)
                return
            fits_bare = sum(wide) + len(wide) - 1 <= console.width  # or rich need not measure a thousand rows
        elif _print_table(self._table(rows), console):
            return
        else:
            fits_bare = True
        if fits_bare and _print_table(self._table(rows), console, is_bare=True):
            return
        _print_lines((line for row in rows for line in self._stack(row)), console)

    def _lines(self, rows: Sequence[Sequence[_Piece]], wide: Sequence[int], frame: box.Box) -> Iterable[_Line]:
        """Draw what rich's table would be, a line at a time: of a thousand rows that takes a tenth of the time."""
        outer = [width + 2 for width in wide]
        yield [frame.get_top(outer)]
        yield _row([_bold(name) for name in self._headers], wide, frame.head_left, frame.head_vertical)
        yield [frame.get_row(outer, "head")]
        for number, row in enumerate(rows, 1):
            yield _row(row, wide, frame.mid_left, frame.mid_vertical)
            if number in self._sections and number < len(rows):
                yield [frame.get_row(outer, "row")]
        yield [frame.get_bottom(outer)]

    def _table(self, rows: Sequence[Sequence[_Piece]]) -> Table:
        table = Table(*self._headers)
        for number, row in enumerate(rows, 1):
            table.add_row(*map(_as_text, row), end_section=number in self._sections)
        return table

    def _stack(self, row: Sequence[_Piece]) -> Iterable[_Line]:
        """Yield the lines of a row: its first cell as a heading, then the others with their headers."""
        width = max(map(len, self._headers[1:]), default=0)
        first, *others = row
        if _plain(first):
            yield [_bold(f"{self._first} " if self._first else "", first)]
        for name, cell in zip(self._headers[1:], others, strict=False):
            if _plain(cell):
                yield from _named(f"  {name:<{width}}", cell)


def print_pairs(console: Console, pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values, which are rich's markup, as a table where all of it fits, else a line each."""
    told = [(name, _cell(cell)) for name, cell in pairs]
    table = Table(show_header=False)
    for name, cell in told:
        table.add_row(escape(name), _as_text(cell))
    if _print_table(table, console):
        return
    width = max((len(name) for name, _ in told), default=0)
    _print_lines((line for name, cell in told for line in _named(f"{name:<{width}}", cell)), console)


def _print_lines(lines: Iterable[_Line], console: Console) -> None:
    """Print lines of any length as they are; rich would take a text of thousands of lines apart before."""
    segments: list[Segment] = []
    plain: list[str] = []  # what has no style of its own, and is not a segment yet
    for line in lines:
        for piece in _without_tabs(line, console):
            if isinstance(piece, str) or console.color_system is None:
                plain.append(_plain(piece))
            else:
                segments += Segment("".join(plain)), *piece.render(console)
                plain = []
        plain.append("\n")
    console.print(Segments([*segments, Segment("".join(plain))]), soft_wrap=True, end="")


def _without_tabs(line: _Line, console: Console) -> _Line:
    if all("\t" not in _plain(piece) for piece in line):
        return line
    whole = Text().join(map(_as_text, line))
    whole.expand_tabs(console.tab_size)
    return [whole]


def _print_table(table: Table, console: Console, *, is_bare: bool = False) -> bool:
    """Print a table where all of it fits; say whether it does."""
    if is_bare:
        table.box, table.pad_edge = box.SIMPLE_HEAD, False
    if Measurement.get(console, console.options.update(max_width=10_000), table).maximum > console.width:
        return False
    console.print(table)
    return True


def _row(cells: Sequence[_Piece], wide: Sequence[int], edge: str, between: str) -> _Line:
    line: list[_Piece] = [edge]
    for number, (cell, width) in enumerate(zip(cells, wide, strict=True), 1):
        line += " ", cell, " " * (width - cell_len(_plain(cell)) + 1)
        line.append(edge if number == len(wide) else between)
    return line


def _named(name: str, cell: _Piece) -> Iterable[_Line]:
    """Yield a cell's lines behind its name."""
    lines = _as_text(cell).split("\n") if "\n" in _plain(cell) else (cell,)
    for number, line in enumerate(lines):
        yield f"{name if number == 0 else ' ' * len(name)}  ", line


def _cell(markup: str) -> _Piece:
    """Read what rich's markup says; what has none stays a string, of which printing takes a tenth of the time."""
    return Text.from_markup(markup, emoji=False) if "[" in markup else strip_control_codes(markup)


def _bold(*pieces: _Piece) -> Text:
    text = Text().join(map(_as_text, pieces))
    text.stylize("bold")  # a style of the whole text is lost where it is printed as a piece
    return text


def _plain(piece: _Piece) -> str:
    return piece if isinstance(piece, str) else piece.plain


def _as_text(piece: _Piece) -> Text:
    return Text(piece) if isinstance(piece, str) else piece
