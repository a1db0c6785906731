"""Why a run's worst examples were answered so: read within bounds, masked, one line each, and no markup of theirs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.config.slices import ExamplesSection
from bot.domain.runs import ExplainedExample, Trouble
from bot.domain.views import ExplainedRow
from bot.judging.worst_examples import mask_why
from bot.services.mlflow.explanations import MOST_BYTES, read_explanations
from bot.services.mlflow.unreadable import UnreadableError
from bot.text.masking import STRUCK_OUT
from tests.unit.examples_views import EXAMPLES, rendered
from tests.unit.hostile_texts import JIRA as HOSTILE

WORDS = [
    {"text": "hammer", "side": "query", "weight": 0.4, "named": True},
    {"text": "drill", "side": "product", "weight": -0.9, "named": True},
    {"text": "the", "side": "product", "weight": 0.1, "named": False},
]
ONE: dict[str, Any] = {
    "example_id": "q1",
    "asked": "hammer",
    "product": "a drill",
    "method": "integrated gradients",
    "deletion": {"named": 1.0, "by_chance": 0.25, "beaten": 1.0},
    "words": WORDS,
}
FOUND = ExplainedExample("q1", "hammer", "a drill", ("drill", "hammer"), "integrated gradients", 1.0, 0.25)


def write(folder: Path, *explained: Any, schema: Any = 1) -> Path:
    path = folder / "explanations.json"
    path.write_text(json.dumps({"schema": schema, "explanations": explained}))
    return path


def test_the_named_words_are_read_the_heaviest_first(tmp_path):
    assert read_explanations(write(tmp_path, ONE)) == ((FOUND,), "")
    unfit = ONE | {"method": None, "words": [], "deletion": None, "unfit": "none holds"}
    assert read_explanations(write(tmp_path, unfit)) == ((ExplainedExample("q1", "hammer", "a drill"),), "")


@pytest.mark.parametrize(
    "changed",
    [
        {"deletion": {"named": 0.1, "by_chance": 0.25}},
        {"deletion": None},
        {"deletion": {"named": 10**400, "by_chance": 0}},
        {"deletion": {"named": True, "by_chance": 0}},
        {"words": "hammer"},
        {"words": []},
    ],
)
def test_words_that_do_not_hold_are_left_out_and_counted(tmp_path, changed):
    assert read_explanations(write(tmp_path, ONE, ONE | changed, 7)) == ((FOUND,), "2 of 3 explanations")


def test_much_is_cut(tmp_path):
    word = {"text": "x" * 500, "weight": 1.0, "named": True}
    found, left_out = read_explanations(write(tmp_path, *[ONE | {"asked": "y" * 999, "words": [word] * 20}] * 30))
    assert (len(found), left_out) == (20, "10 of 30 explanations")
    assert (len(found[0].words), len(found[0].words[0]), len(found[0].asked)) == (5, 60, 200)


@pytest.mark.parametrize("content", ["[", "[1]", '{"schema": 1}', '{"schema": 2, "explanations": []}', "[" * 100_000])
def test_what_is_no_such_file_is_said_to_be_broken(tmp_path, content):
    path = tmp_path / "explanations.json"
    path.write_text(content)
    with pytest.raises(UnreadableError) as refused:
        read_explanations(path)
    assert refused.value.trouble is Trouble.BROKEN
    path.write_text(" " * (MOST_BYTES + 1))
    with pytest.raises(UnreadableError) as refused:
        read_explanations(path)
    assert refused.value.trouble is Trouble.TOO_LARGE


def test_what_config_masks_is_struck_out_of_words_too():
    masked = mask_why(replace(FOUND, asked="mail jo@example.com", words=("1234567", "drill")), ExamplesSection())
    assert masked.asked == f"mail {STRUCK_OUT}"
    assert masked.words == (STRUCK_OUT, "drill")


ROW = ExplainedRow("hammer", "a drill", "drill, hammer", "integrated gradients", "1.00", "0.25")


def test_each_has_a_line_in_every_markup_and_both_languages():
    view = replace(EXAMPLES, explained=(ROW, ExplainedRow("soap", "bar", "", "", "0", "0")))
    for text in rendered(view, "en").values():
        assert "drill, hammer (integrated gradients; without them the score moves by 1.00" in text
        assert "no words are shown, for no method held its own check" in text
    for text in rendered(view, "zh").values():
        assert "去掉这些词，分数变动 1.00" in text
    assert rendered(EXAMPLES, "en") == rendered(replace(EXAMPLES, explained=()), "en")


@pytest.mark.parametrize("text", [each[1] for each in HOSTILE] + ["<script>", "\u202egnp.exe", "</li><b>", "]]>"])
def test_what_a_job_says_is_no_markup(text):
    plain = rendered(replace(EXAMPLES, explained=(ROW,)), "en")
    row = ExplainedRow(text, text, text, text, "1.00", "0.25")
    hostile = rendered(replace(EXAMPLES, explained=(row,)), "en")
    assert hostile["storage"].count("<") == plain["storage"].count("<")
    assert "\u202e" not in "".join(hostile.values())
    assert len(hostile["jira"].splitlines()) == len(plain["jira"].splitlines())
