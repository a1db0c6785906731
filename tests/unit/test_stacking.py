"""Tables that lose nothing where the terminal is narrow."""

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.markup import escape

from bot.stacking import Stacking

ADDRESS = "http://127.0.0.1:8790/jira-cloud/rest/api/2/issue/SEARCH-12?fields=summary,status"


def printed(table: Stacking, width: int) -> str:
    console = Console(file=StringIO(), width=width)
    table.print(console)
    return console.file.getvalue()


def filled(*rows: tuple[str, ...]) -> Stacking:
    table = Stacking("service", "address", "credentials")
    for row in rows:
        table.add_row(*row)
    return table


def test_what_fits_is_a_table():
    assert "┃ service ┃" in printed(filled(("Jira", "http://j", "token")), 80)


def test_what_does_not_fit_is_stacked_and_whole():
    text = printed(filled(("Jira", ADDRESS, "[red]token[/]"), ("", ADDRESS, "")), 80)
    assert text.splitlines() == [
        "Jira",
        f"  address      {ADDRESS}",
        "  credentials  token",
        f"  address      {ADDRESS}",
    ]


words = st.text(st.characters(categories=["L", "N"], include_characters="-_./:[]"), min_size=1, max_size=60)


@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=4), st.integers(20, 200))
def test_every_cell_can_be_read_whole_at_any_width(rows, width):
    text = printed(filled(*[tuple(map(escape, row)) for row in rows]), width)
    for row in rows:
        for cell in row:
            assert cell in text


@pytest.mark.parametrize("width", [40, 200])
def test_no_row_prints_no_ellipsis(width):
    assert "…" not in printed(filled(("a" * 90, "b" * 90, "c")), width)
