"""Of thousands of hostile comments none is acted on wrongly, and every true command is read once."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from bot.domain.commands import read_commands
from bot.text.comment_lines import Markup, said_lines
from tests.unit.comment_corpus import Sample, corpus

COMMENTS = 5000


@pytest.fixture(scope="module")
def comments() -> list[Sample]:
    return list(corpus(seed=16, count=COMMENTS))


def test_no_hostile_comment_is_acted_on_and_every_true_command_is_read_once_and_in_order(comments):
    wrong = [each for each in comments if read_commands(said_lines(each.body, each.markup)) != each.commands]
    assert [(each.markup, each.body, read_commands(said_lines(each.body, each.markup))) for each in wrong[:3]] == []


def test_the_comments_are_many_in_every_markup_and_would_catch_a_reader_of_bare_lines(comments):
    assert set(Counter(each.markup for each in comments).values()) == {COMMENTS // len(Markup)}
    assert sum(len(each.commands) for each in comments) > COMMENTS
    bare = [each for each in comments if each.markup in (Markup.WIKI, Markup.MARKDOWN, Markup.MRKDWN)]
    caught = [each for each in bare if read_commands(re.split("\r?\n", each.body)) != each.commands]
    assert len(caught) > len(bare) / 2
