"""Of thousands of hostile comments none is acted on wrongly, and every true command is read once."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

from bot.domain.commands import read_commands
from bot.sandbox.markup.adf_to_wiki import AdfError, to_wiki
from bot.text.comment_lines import Markup, said_lines
from tests.unit.comment_corpus import Sample, corpus

COMMENTS = 5000


@pytest.fixture(scope="module")
def comments() -> list[Sample]:
    return list(corpus(seed=16, count=COMMENTS))


def test_no_hostile_comment_is_acted_on_and_every_true_command_is_read_once_and_in_order(comments):
    wrong = [each for each in comments if read_commands(said_lines(each.body, each.markup)) != each.commands]
    assert [(each.markup, each.body, read_commands(said_lines(each.body, each.markup))) for each in wrong[:3]] == []


def test_a_document_gives_the_same_commands_where_jira_hands_it_out_as_wiki_markup(comments):
    """Its older interface writes the documents of its editor anew: what is shown there must not come out as said."""
    read = {each: wiki for each in comments if each.markup is Markup.ADF and (wiki := as_wiki(each.body)) is not None}
    assert len(read) > 200
    assert [wiki for each, wiki in read.items() if read_commands(said_lines(wiki, Markup.WIKI)) != each.commands] == []


FRAMES = {"panel": "panel", "expand": "panel", "blockquote": "quote"}


def as_wiki(document: str) -> str | None:
    """Write a document as Jira does; None where it has nodes that lose there what they are, or that it does not know."""
    root = json.loads(document)
    if '"status"' in document or '"inlineCard"' in document or nests(root):
        return None
    try:
        return to_wiki(root)
    except AdfError:
        return None


def nests(node: Any, around: tuple[str, ...] = ()) -> bool:
    """Say whether a frame stands in one that is written alike: what ends the inner one seems to end the outer."""
    frame = FRAMES.get(node["type"])
    around = (*around, frame) if frame else around
    return len(set(around)) < len(around) or any(nests(each, around) for each in node.get("content", ()))


def test_the_comments_are_many_in_every_markup_and_would_catch_a_reader_of_bare_lines(comments):
    assert set(Counter(each.markup for each in comments).values()) == {COMMENTS // len(Markup)}
    assert sum(len(each.commands) for each in comments) > COMMENTS
    bare = [each for each in comments if each.markup in (Markup.WIKI, Markup.MARKDOWN, Markup.MRKDWN)]
    caught = [each for each in bare if read_commands(re.split("\r?\n", each.body)) != each.commands]
    assert len(caught) > len(bare) / 2
