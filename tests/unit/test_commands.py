"""Commands are read from the lines that somebody said, by one table that also says how each is given."""

from __future__ import annotations

from datetime import date, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.commands import (
    COMMANDS,
    MOST_COMMANDS,
    Accept,
    AskWhy,
    AssignMe,
    CallNoise,
    Command,
    Expected,
    Fixed,
    Help,
    Mute,
    Problem,
    Rerun,
    ShowRules,
    Undo,
    Unreadable,
    read_command,
    read_commands,
    usage_of,
)

TODAY = date(2026, 11, 29)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/herald fixed", Fixed()),
        ("/herald fixed the snapshot was stale", Fixed("the snapshot was stale")),
        ("/herald expected we  dropped\tthe small shops ", Expected("we dropped the small shops")),
        ("/herald noise 30d seeds differ", CallNoise(timedelta(days=30), "seeds differ")),
        ("/herald mute 12 hours the server moves", Mute(timedelta(hours=12), "the server moves")),
        ("/herald mute 2w holidays", Mute(timedelta(weeks=2), "holidays")),
        ("/herald accept until 2027-01-31 new data", Accept(date(2027, 1, 31), "new data")),
        ("/herald accept 2027-01-31 new data", Accept(date(2027, 1, 31), "new data")),
        ("/herald rerun", Rerun()),
        ("/herald assign me", AssignMe()),
        ("/herald assign me.", AssignMe()),
        ("/herald why", AskWhy()),
        ("/herald why did it fall?", AskWhy()),
        ("/herald why?", AskWhy()),
        ("/herald rules", ShowRules()),
        ("/herald undo 14", Undo(14)),
        ("/herald undo #14", Undo(14)),
        ("/herald help", Help()),
        ("/herald", Help()),
        ("/Herald FIXED: a typo", Fixed("a typo")),
        ("   /herald why", AskWhy()),
        ("/herald\xa0why", AskWhy()),  # as an editor writes a space that shall not break
        ("/herald\u3000noise\u3000３０天\u3000种子不同", CallNoise(timedelta(days=30), "种子不同")),
        ("/herald noise 2周 种子不同", CallNoise(timedelta(weeks=2), "种子不同")),
        ("/herald undo １４", Undo(14)),
    ],
)
def test_a_command_is_read_as_it_was_meant(line, command):
    assert read_commands([line], TODAY) == (command,)


@pytest.mark.parametrize(
    "line",
    [
        "please /herald mute 14d no",
        "> /herald why",
        "- /herald why",
        "    /herald why",  # as code is indented
        "\t/herald why",
        "/heraldic why",
        "/herald/why",
        "/herald: why",
        "herald why",
        "//herald why",
        "\\/herald why",
        "\uff0fherald why",  # a full-width slash
        "\u2044herald why",  # a fraction's
        "/h\u0435rald why",  # a Cyrillic е
        "/\uff48\uff45\uff52\uff41\uff4c\uff44 why",
        "/her\u200bald why",
        "/herald\u200b why",
        "\u200e/herald why",
        "\u202e/herald why",
        "\ufeff/herald why",
        "\ufffc/herald why",
        "/her\ufffcald why",
    ],
)
def test_what_only_looks_like_a_command_is_none_and_gets_no_answer(line):
    assert read_commands([line], TODAY) == ()


@pytest.mark.parametrize(
    ("line", "problem", "nearest"),
    [
        ("/herald noize 30d seeds", Problem.UNKNOWN, "/herald noise 30d REASON"),
        ("/herald snooze 3d", Problem.UNKNOWN, "/herald mute 14d REASON"),
        ("/herald wontfix", Problem.UNKNOWN, "/herald accept until 2027-01-31 REASON"),
        ("/herald f\u0456xed", Problem.UNKNOWN, "/herald fixed"),
        ("/herald ｗｈｙ", Problem.UNKNOWN, ""),
        ("/herald qqqqq", Problem.UNKNOWN, ""),
        ("/herald expected", Problem.NO_REASON, "/herald expected REASON"),
        ("/herald noise 30d", Problem.NO_REASON, "/herald noise 30d REASON"),
        ("/herald noise seeds differ", Problem.NO_LENGTH, "/herald noise 30d REASON"),
        ("/herald noise \ufffc30d seeds", Problem.NO_LENGTH, "/herald noise 30d REASON"),  # 30d was shown, not said
        ("/herald mute 5m no", Problem.NO_LENGTH, "/herald mute 14d REASON"),
        ("/herald mute 0d no", Problem.LENGTH_BOUNDS, "/herald mute 14d REASON"),
        ("/herald mute 401d no", Problem.LENGTH_BOUNDS, "/herald mute 14d REASON"),
        ("/herald mute 999999w no", Problem.LENGTH_BOUNDS, "/herald mute 14d REASON"),
        ("/herald accept until spring it is known", Problem.NO_DATE, "/herald accept until 2027-01-31 REASON"),
        ("/herald accept until 2027-02-30 known", Problem.NO_DATE, "/herald accept until 2027-01-31 REASON"),
        ("/herald accept until 2026-11-28 known", Problem.DATE_BOUNDS, "/herald accept until 2027-01-31 REASON"),
        ("/herald accept until 2030-01-01 known", Problem.DATE_BOUNDS, "/herald accept until 2027-01-31 REASON"),
        ("/herald accept until 2027-01-31", Problem.NO_REASON, "/herald accept until 2027-01-31 REASON"),
        ("/herald rerun tomorrow", Problem.OTHER_WORDS, "/herald rerun"),
        ("/herald assign wei", Problem.OTHER_WORDS, "/herald assign me"),
        ("/herald undo", Problem.NO_NUMBER, "/herald undo N"),
        ("/herald undo 14 and 15", Problem.NO_NUMBER, "/herald undo N"),
        ("/herald undo -3", Problem.NO_NUMBER, "/herald undo N"),
    ],
)
def test_what_begins_as_a_command_and_is_none_says_what_is_wrong_and_what_comes_nearest(line, problem, nearest):
    (said,) = read_commands([line], TODAY)
    assert isinstance(said, Unreadable)
    assert (said.problem, said.nearest) == (problem, nearest)


def test_several_commands_are_read_in_their_order():
    lines = ["It is known.", "/herald assign me", "and", "/herald why", "/herald accept until 2027-01-31 known"]
    assert [type(said) for said in read_commands(lines, TODAY)] == [AssignMe, AskWhy, Accept]


def test_a_comment_of_very_many_commands_is_read_to_a_bound_and_told_so():
    said = read_commands(["/herald why"] * 3000)
    assert said[:-1] == (AskWhy(),) * MOST_COMMANDS
    assert said[-1] == Unreadable("/herald why", problem=Problem.TOO_MANY)


def test_the_table_has_each_command_once_and_each_example_gives_it():
    assert len({each.name for each in COMMANDS}) == len(COMMANDS)
    read = [read_command(f"/herald {each.example}", TODAY) for each in COMMANDS]
    assert {type(said) for said in read} == set(get_args(Command))
    assert not any(isinstance(said, Unreadable) for said in read)


def test_each_usage_is_near_to_its_own_command_and_a_word_that_people_try_leads_to_one():
    for each in COMMANDS:
        assert usage_of(each) == f"/herald {each.usage}"
        for word in each.tried:
            assert read_command(word) == Unreadable(word, usage_of(each))


def test_a_command_given_by_hand_needs_no_prefix():
    assert read_command("noise 30d seeds differ") == CallNoise(timedelta(days=30), "seeds differ")
    assert read_command("/herald rules") == ShowRules()


def test_a_reason_is_kept_in_reasonable_length_without_the_signs_of_what_was_shown():
    (said,) = read_commands(["/herald fixed see \ufffcSR-1 " + "x" * 10_000])
    assert isinstance(said, Fixed)
    assert said.reason.startswith("see SR-1 xxx")
    assert len(said.reason) == 500


@given(st.text())
def test_any_line_is_read_without_error_and_only_one_with_the_prefix_at_all(line):
    said = read_commands([line, f"/herald {line}"])
    assert len(said) == 1 + (line.lower().lstrip(" ").startswith("/herald") and bool(read_commands([line])))
