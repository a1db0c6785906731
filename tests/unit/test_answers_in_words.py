"""What Herald replies reads as finished sentences, builds nothing, and is itself never a command to anybody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.commands import COMMANDS, read_commands, usage_of
from bot.domain.views import AnswerKind, AnswerView
from bot.preview import samples
from bot.text.comment_lines import Markup, said_lines
from tests.unit.golden_files import LOCALES, RENDERERS
from tests.unit.hostile_views import HOSTILE, addresses, hostile_views, poisoned
from tests.unit.reading import read_jira, read_markdown, read_slack
from tests.unit.text_forms import JIRA, SLACK, TRELLO

MAKERS = (samples.answer_of_all_kinds, samples.help_answer, samples.why_answer)
COMMAND_TEXTS = (
    "/herald mute 99d no",
    "\n/herald mute 99d no",
    "x\n/herald mute 99d no\n",
    "x\r/herald mute 99d no",
    "x\u2028/herald mute 99d no",
    " /Herald FIXED",
    "*/herald why*",
    "x\\\\/herald why",
    "{quote}\n/herald why",
    "x  \n/herald why",
    "&#10;/herald why",
)


def written(view: AnswerView, locale: Any) -> dict[Markup, str]:
    renderer = RENDERERS[locale]
    return {
        Markup.WIKI: renderer.render_answer(JIRA, view, {}).body,
        Markup.MARKDOWN: renderer.render_answer(TRELLO, view, {}).body,
        Markup.MRKDWN: str(renderer.render_answer_in_thread(SLACK, view, {})),
    }


def commands_in(texts: dict[Markup, str]) -> list[object]:
    return [said for markup, text in texts.items() for said in read_commands(said_lines(text, markup))]


def test_every_kind_of_reply_is_among_the_samples():
    words = samples.WORDS["en"]
    parts = (*samples.answer_of_all_kinds(words).parts, *samples.help_answer(words).parts)
    assert {part.kind for part in parts} == set(AnswerKind)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("make", MAKERS)
def test_two_bots_that_answer_each_other_end_after_one_reply(make, locale):
    texts = written(make(samples.WORDS[locale]), locale)
    assert commands_in(texts) == []
    assert all("/herald" in text for text in texts.values()) or make is samples.why_answer


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", COMMAND_TEXTS)
def test_nothing_that_is_called_like_a_command_gives_one_in_what_herald_writes(name, locale):
    def texts_of(make: Any) -> dict[Markup, str]:
        view = poisoned(make(samples.WORDS[locale]), lambda: name)
        renderer = RENDERERS[locale]
        if isinstance(view, AnswerView):
            return written(view, locale)
        if make is samples.ticket:
            return {
                Markup.WIKI: renderer.render_ticket(JIRA, view, {}).body,
                Markup.MARKDOWN: renderer.render_ticket(TRELLO, view, {}).body,
            }
        return {
            Markup.WIKI: renderer.render_comment(JIRA, view, {}).body,
            Markup.MARKDOWN: renderer.render_comment(TRELLO, view, {}).body,
            Markup.MRKDWN: str(renderer.render_reply(SLACK, view, {})),
        }

    for make in (*MAKERS, samples.ticket, samples.repeat, samples.confirmed, samples.said_again):
        assert commands_in(texts_of(make)) == []


@pytest.mark.parametrize("locale", LOCALES)
def test_help_says_of_every_command_what_it_does(locale):
    for text in written(samples.help_answer(samples.WORDS[locale]), locale).values():
        for each in COMMANDS:
            (line,) = [line for line in text.split("\n") if usage_of(each) in line]
            assert len(line) > len(usage_of(each)) + 8


@HOSTILE
@given(st.one_of(*map(hostile_views, MAKERS)))
def test_nothing_gets_into_a_reply(drawn: Any):
    locale, view, bound = drawn
    texts = written(view, locale)
    known = addresses(view) | addresses(tuple(bound.values()))
    wiki, card = read_jira(texts[Markup.WIKI]), read_markdown(texts[Markup.MARKDOWN])
    assert wiki.kinds() <= {"row", "line", "link", "mono", "macro", "strong"}
    assert set(wiki.details("line")) <= {"*"}
    assert {link.rpartition("|")[2] for link in wiki.details("link")} <= known
    assert card.kinds() <= {"line", "link", "mono", "strong"}
    assert set(card.details("link")) <= known
    for piece in texts[Markup.MRKDWN].split("\n\n"):
        seen = read_slack(piece.removeprefix("> "))
        assert seen.kinds() <= {"link", "bold", "code"}
        assert set(seen.details("link")) <= {address.replace("&", "&amp;") for address in known}
    assert commands_in(texts) == []
