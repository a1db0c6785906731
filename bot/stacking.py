"""Tables for a terminal; where it is too narrow for a whole row, a row becomes lines, and nothing is cut."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text


class Stacking:
    """Rows under headers, as rich's own table takes them; cells are rich's markup."""

    def __init__(self, *headers: str) -> None:
        self._headers = headers
        self._rows: list[tuple[str, ...]] = []
        self._sections: set[int] = set()  # rows behind which a line is drawn

    def add_row(self, *cells: str) -> None:
        self._rows.append(cells)

    def add_section(self) -> None:
        self._sections.add(len(self._rows))

    def print(self, console: Console) -> None:
        """Print a table where all of it fits, else each row below the one before, a line a cell."""
        table = self._table()
        if Measurement.get(console, console.options.update(max_width=10_000), table).maximum <= console.width:
            console.print(table)
        else:
            for lines in self._stacks():
                console.print(*lines, sep="\n", soft_wrap=True, highlight=False)

    def _table(self) -> Table:
        table = Table(*self._headers)
        for number, row in enumerate(self._rows, 1):
            table.add_row(*map(_text, row), end_section=number in self._sections)
        return table

    def _stacks(self) -> Iterable[list[Text]]:
        """Yield the lines of each row: its first cell as a heading, then the others with their headers."""
        width = max(map(len, self._headers[1:]), default=0)
        for row in self._rows:
            first, *others = map(_text, row)
            first.stylize("bold")
            told = zip(self._headers[1:], others, strict=False)
            yield [
                *([first] if first.plain else []),
                *(Text(f"  {name:<{width}}  ") + cell for name, cell in told if cell.plain),
            ]


def _text(cell: str) -> Text:
    return Text.from_markup(cell, emoji=False)
