"""What others say of an error is cut between sentences, and what helps is not what is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import abridge, in_short

SENTENCE = st.text(st.sampled_from("abc XY'`,(0."), min_size=1, max_size=60).map(lambda text: f"{text.strip()}x.")


def test_what_fits_stays_as_it_is():
    assert abridge("No such thing. Try another.", 27) == "No such thing. Try another."


def test_the_beginning_and_the_remedy_stay_and_whole_sentences_go():
    text = "The store is closed. " + "It was kept for years and years. " * 10 + "Set STORE=open to open it."
    cut = abridge(text, 120)
    assert cut.startswith("The store is closed. It was kept")
    assert cut.endswith("years. … Set STORE=open to open it.")
    assert len(cut) <= 120


def test_a_sentence_without_end_is_cut_between_words():
    assert abridge("many words and no full stop at all", 20) == "many words and no…"
    assert abridge("x" * 100, 10) == "x" * 9 + "…"


def test_abbreviations_and_addresses_are_no_ends():
    text = "See https://mlflow.org/docs/v3.1/x.html for it. " + "And more of it. " * 9 + "Done."
    assert abridge(text, 90).startswith("See https://mlflow.org/docs/v3.1/x.html for it. … ")


@given(st.lists(SENTENCE, min_size=1, max_size=12), st.integers(20, 300))
def test_it_is_never_longer_and_both_ends_stay_where_they_fit(sentences, limit):
    text = " ".join(" ".join(sentences).split())
    cut = abridge(text, limit)
    assert len(cut) <= limit
    assert cut == text or "…" in cut
    assert cut.split("…")[0].strip() in text
    assert cut.rpartition("…")[2].strip() in text


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (
            ValueError("1 error for Run\nname\n  Input should be a string"),
            "1 error for Run name Input should be a string",
        ),
        (
            OSError(
                "(sqlite3.OperationalError) no such table: x\n[SQL: SELECT 1]\n(Background on this error at: https://x)"
            ),
            "(sqlite3.OperationalError) no such table: x",
        ),
        (
            OSError(
                "(x) no such table: m\n[SQL: SELECT a\nFROM m \nWHERE a IN (?, ?)]\n[parameters: (1,\n 2)]\n(Back)"
            ),
            "(x) no such table: m",
        ),
        (OSError("(x) torn\n  [SQL: \nSELECT a]"), "(x) torn"),
        (
            OSError(
                "code 404. Body: '<!doctype html>\n<html lang=en>\n<title>404 Not Found</title><p>Is a &lt; b?</p>'"
            ),
            "code 404. Body: ' 404 Not Found Is a < b? '",
        ),
        (ValueError("a < b and c > d"), "a < b and c > d"),
        (KeyError(), "KeyError"),
        (ValueError("\n \n"), "ValueError"),
    ],
)
def test_an_error_is_told_in_one_line_without_what_only_programmers_read(raised, words):
    assert in_short(raised) == words
