"""The page for those who answer tickets says what the table of commands says, and its examples are read as it tells."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.commands import COMMANDS, AssignMe, Mute, Who, read_commands, undoing
from bot.domain.rules import RuleKind
from bot.domain.views import AnswerKind, AnswerPart, AnswerView, RuleRow
from bot.preview import samples
from bot.services.answers_section import AnswersSection
from bot.text.comment_lines import Markup, said_lines
from bot.text.escape import JOINER
from tests.unit.golden_files import LOCALES, RENDERERS
from tests.unit.text_forms import TRELLO

PAGE = Path(__file__).parents[2] / "docs" / "answering.md"
REASONS = {"en": "its seeds differ", "zh": "随机种子不同"}
ABOUT = {"en": "Hit rate for department GROCERY", "zh": "命中率（department 为 GROCERY 的分组）"}
UNTIL = {"en": "28 Dec", "zh": "12月28日"}


def written(view: AnswerView, locale: str) -> str:
    body = RENDERERS[locale].render_answer(TRELLO, view, {}).body
    return re.sub(r"\\([^A-Za-z0-9])", r"\1", body.replace(JOINER, ""))


def table(locale: str) -> str:
    """Write the table of commands: each with what help says of it, and its example."""
    said = re.findall(
        r"^- (`[^`]+`)(?:: |：)(.+)$", written(samples.help_answer(samples.WORDS[locale]), locale), re.MULTILINE
    )
    assert len(said) == len(COMMANDS)
    return "\n".join(
        f"| {usage} | {does} | `/herald {each.example}` |" for (usage, does), each in zip(said, COMMANDS, strict=True)
    )


def reply(locale: str) -> str:
    rule = RuleRow(
        "14", RuleKind.NOISE, "", (ABOUT[locale],), "Wei", "", REASONS[locale], days="30", until=UNTIL[locale]
    )
    return written(AnswerView((AnswerPart(AnswerKind.RULE, rule, undoing(14)),), "Wei", "m"), locale)


@pytest.mark.parametrize("locale", LOCALES)
def test_the_page_lists_the_commands_that_there_are(locale):
    assert table(locale) in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("locale", LOCALES)
def test_the_page_shows_a_reply_as_it_is_given(locale):
    assert f"> {reply(locale)}\n" in PAGE.read_text(encoding="utf-8")


def test_the_comments_on_the_page_give_the_commands_that_they_show():
    shown = re.findall(r"```comment\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(shown) == 2
    for body in shown:
        for markup in (Markup.WIKI, Markup.MARKDOWN, Markup.MRKDWN):
            mute, assign = read_commands(said_lines(body, markup))
            assert isinstance(mute, Mute)
            assert mute.lasts == timedelta(days=5)
            assert assign == AssignMe()


def test_all_commands_are_for_the_same_people_as_the_page_says():
    assert {each.who for each in COMMANDS} == {Who.SPEAKERS}


def test_the_answers_on_the_page_are_what_the_configuration_takes():
    (shown,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    answers = AnswersSection.model_validate(tomllib.loads(shown)["tracker"]["jira"]["answers"])
    assert {kind for kind, _ in answers.names} == set(RuleKind) - {RuleKind.MUTE}
    assert (answers.watch_runs, answers.noise_lasts.days, answers.accepted_lasts.days) == (3, 30, 90)
