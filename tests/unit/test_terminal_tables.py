"""Tables that lose nothing where the terminal is narrow."""

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.markup import escape

from bot.text.tables import Stacking, WholeConsole, print_pairs

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


def in_colour(width: int) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system="standard", no_color=False)
    filled(("Jira", ADDRESS, "[red]token[/] is old")).print(console)
    return console.file.getvalue()


def test_headings_are_bold_and_styles_kept_in_a_terminal_that_has_colours():
    wide, narrow = in_colour(200), in_colour(40)
    assert "\x1b[1mservice\x1b[0m" in wide
    assert "\x1b[1mJira\x1b[0m" in narrow
    assert "\x1b[31mtoken\x1b[0m is old" in wide
    assert "\x1b[31mtoken\x1b[0m is old" in narrow


def test_a_tab_reaches_the_next_column_of_eight():
    assert "\n  address      a        b\n" in printed(filled(("Jira", "a\tb", "x" * 90)), 60)


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


def test_lines_of_a_cell_stand_below_one_another():
    text = printed(filled(("Jira", "▁▂▃\n  ^", "x" * 90)), 60)
    assert text.splitlines()[1:3] == ["  address      ▁▂▃", "                 ^"]


def test_pairs_that_do_not_fit_are_lines_and_whole():
    console = WholeConsole(file=StringIO(), width=40)
    print_pairs(console, [("effect", "one"), ("url", escape(ADDRESS)), ("words", "a\nb")])
    assert console.file.getvalue().splitlines() == ["effect  one", f"url     {ADDRESS}", "words   a", "        b"]


def lines_of(words: str, *, is_terminal: bool) -> list[str]:
    console = WholeConsole(file=StringIO(), width=30, force_terminal=is_terminal, color_system=None)
    console.print(words)
    return console.file.getvalue().splitlines()


def test_a_line_is_broken_for_a_person_and_never_in_a_pipe():
    words = "many words that nobody would read in one line"
    assert len(lines_of(words, is_terminal=True)) == 2
    assert lines_of(words, is_terminal=False) == [words]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_an_address_is_never_broken(is_terminal):
    words = f"what stands there: {ADDRESS}"
    assert lines_of(words, is_terminal=is_terminal) == [words]
