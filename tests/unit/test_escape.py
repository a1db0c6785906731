"""Untrusted text in each output language: golden cases from the documented syntax, then laws for any text.

Sources: Jira "Text Formatting Notation Help"; Confluence "Storage Format" and XML 1.0 (production 2, Char); Slack
"Formatting text for app surfaces"; CommonMark 0.31 (2.4 backslash escapes, 6.4 links) and Trello "How to format text".
"""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from hypothesis import example, given
from lxml import etree

from bot.text import escape
from tests.unit.hostile_texts import JIRA, LOOKALIKES, MARKDOWN, PLAIN, SLACK, STORAGE, J, hostile_text, literal
from tests.unit.reading import Reading, read_jira, read_markdown, read_slack


@pytest.mark.parametrize(("hostile", "written"), [c[1:] for c in JIRA], ids=[c[0] for c in JIRA])
def test_jira_markup_is_written_as_literal_text(hostile: str, written: str):
    assert escape.to_jira(hostile) == written


@pytest.mark.parametrize(("hostile", "written"), [c[1:] for c in SLACK], ids=[c[0] for c in SLACK])
def test_slack_markup_is_written_as_literal_text(hostile: str, written: str):
    assert escape.to_slack(hostile) == written


@pytest.mark.parametrize(("hostile", "written"), [c[1:] for c in MARKDOWN], ids=[c[0] for c in MARKDOWN])
def test_markdown_is_written_as_literal_text(hostile: str, written: str):
    assert escape.to_markdown(hostile) == written


@pytest.mark.parametrize(("hostile", "written"), [c[1:] for c in STORAGE], ids=[c[0] for c in STORAGE])
def test_storage_markup_is_written_as_literal_text(hostile: str, written: str):
    assert escape.to_storage(hostile) == written


@pytest.mark.parametrize(("hostile", "written"), [c[1:] for c in PLAIN], ids=[c[0] for c in PLAIN])
def test_what_cannot_be_seen_is_made_visible(hostile: str, written: str):
    assert escape.to_plain(hostile) == written


def trimmed(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


@given(hostile_text)
@example("a\\")
@example("-a -b")
def test_jira_shows_any_text_literally_and_builds_nothing(text: str):
    seen = read_jira(f"see {escape.to_jira(text)} end")
    assert seen.constructs == []
    assert trimmed(seen.text) == trimmed(f"see {literal(text)} end")


@given(hostile_text)
def test_jira_shows_any_text_literally_at_the_start_of_a_line(text: str):
    seen = read_jira(escape.to_jira(text))
    assert seen.constructs == []
    assert trimmed(seen.text) == trimmed(literal(text))


@given(hostile_text)
def test_jira_keeps_any_text_within_its_cell(text: str):
    seen = read_jira(f"| {escape.mend_jira_row(escape.to_jira(text))} | end |")
    assert seen.constructs == [("row", "2")]


@given(hostile_text)
def test_slack_shows_any_text_literally_and_builds_nothing(text: str):
    for wrapped in ("{}", "see {} end"):
        seen = read_slack(wrapped.format(escape.to_slack(text)))
        assert seen.constructs == []
        assert seen.text.translate(LOOKALIKES) == wrapped.format(literal(text)).translate(LOOKALIKES)


@given(hostile_text)
def test_markdown_shows_any_text_literally_and_builds_nothing(text: str):
    for wrapped in ("{}", "see {} end"):
        seen = read_markdown(wrapped.format(escape.to_markdown(text)))
        assert seen.constructs == []
        assert trimmed(seen.text) == trimmed(wrapped.format(literal(text)))


@given(hostile_text)
def test_storage_holds_any_text_literally_in_elements_and_attributes(text: str):
    written = escape.to_storage(text)
    root = etree.fromstring(f'<p title="{written}">{written}</p>')
    assert len(root) == 0
    assert root.text == root.get("title") or (root.text or "") == root.get("title")
    assert (root.text or "").replace(J, "") == literal(text)


BLOCKS = [
    ("jira", escape.to_jira_block, read_jira, "{noformat}\nx{noformat}{code}[~admin]"),
    ("markdown", escape.to_markdown_block, read_markdown, "x\n```\n````\n# big"),
]


@pytest.mark.parametrize(("write", "read", "text"), [b[1:] for b in BLOCKS], ids=[b[0] for b in BLOCKS])
def test_a_block_is_not_left_by_its_own_closing(write, read, text):
    seen: Reading = read(f"before\n{write(text)}\nafter")
    assert seen.kinds() == {"block"}
    assert len(seen.constructs) == 1
    assert seen.constructs[0][1].replace(J, "").strip() == text


@given(hostile_text)
def test_any_text_stays_inside_a_storage_block(text: str):
    root = etree.fromstring(f"<x>{escape.to_storage_block(text)}<y/></x>")
    assert [child.tag for child in root] == ["y"]


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("http://mlflow.example/#/experiments/1/runs/ab", "http://mlflow.example/#/experiments/1/runs/ab"),
        ("https://x.example/a|b]c{d}", "https://x.example/a%7Cb%5Dc%7Bd%7D"),
        ("https://x.example/a b(c)", "https://x.example/a%20b%28c%29"),
        ("https://x.example/报告", "https://x.example/%E6%8A%A5%E5%91%8A"),
        ("https://x.example/%20kept", "https://x.example/%20kept"),
        ("javascript:alert(1)", ""),
        ("https://user:secret@x.example/", ""),
        ("file:///etc/passwd", ""),
        ("", ""),
        ("https://" + "x" * 3000, ""),
        ("https://[::1", ""),
        ("https://a\ud800b", ""),
    ],
)
def test_only_plain_web_addresses_become_links(address: str, kept: str):
    assert escape.clean_address(address) == kept


def test_every_character_of_control_and_format_is_seen_but_for_the_joiners_that_scripts_need():
    every = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Cc", "Cf")]
    assert [char for char in every if escape.to_plain(f"a{char}b") == f"a{char}b"] == ["\u200c", "\u200d", J]


@pytest.mark.parametrize("write", [escape.to_jira, escape.to_slack, escape.to_markdown, escape.to_storage])
def test_a_name_of_blanks_alone_can_be_seen_in_every_language(write):
    for blank in (*filter(str.isspace, map(chr, range(0x80, 0x3001))), "\u2800", "\u3164", "\ufe0f", "\u200d", J):
        assert re.sub(r"[\\\s\u2060]", "", write(blank)), f"U+{ord(blank):04X}"


def test_nothing_but_our_joiner_is_added_to_ordinary_names():
    for name in ("next-purchase-4", "learning rate", "v1.2", "GROCERY", "排序质量"):
        for write in (escape.to_jira, escape.to_slack, escape.to_markdown, escape.to_storage):
            assert re.sub(r"[\\\u2060]", "", write(name)) == name
