"""Messages as their chats draw them: each adapter's own layout, in the sandbox's drawing of that chat."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from markupsafe import Markup

from bot.delivery.attachments import told_chart
from bot.domain.message import MessageDocument, Picture
from bot.domain.views import DigestView, MessageView, Tone
from bot.render.renderer import Renderer
from bot.sandbox.robots import shown
from bot.services.dingtalk.config import DingtalkSection
from bot.services.dingtalk.markdown import build_markdown as dingtalk_markdown
from bot.services.feishu.card import build_card as feishu_card
from bot.services.feishu.config import FeishuSection
from bot.services.mail.config import MailSection
from bot.services.mail.letter import write_letter
from bot.services.teams.card import build_card as teams_card
from bot.services.teams.config import TeamsSection
from bot.services.wecom.config import WecomSection
from bot.services.wecom.markdown import build_markdown as wecom_markdown

_HUES = {Tone.BAD: "red", Tone.WATCH: "orange", Tone.GOOD: "green", None: "blue"}
_BODY = re.compile(r"<body[^>]*>(.*)</body>", re.DOTALL)
_WHEN = datetime(2026, 11, 24, 9, tzinfo=UTC)  # which a reader is not shown

Draw = Callable[[MessageDocument], Markup]


def _of_teams(document: MessageDocument) -> Markup:
    made = teams_card(document, TeamsSection.capabilities.budget)
    return _card(shown.adaptive(made["attachments"][0]["content"]["body"]), document.tone)


def _of_feishu(document: MessageDocument) -> Markup:
    return _card(shown.feishu(feishu_card(document, FeishuSection.capabilities.budget)), document.tone)


def _of_dingtalk(document: MessageDocument) -> Markup:
    return _card(shown.markdown(dingtalk_markdown(document, DingtalkSection.capabilities.budget).text))


def _of_wecom(document: MessageDocument) -> Markup:
    return _card(shown.markdown(wecom_markdown(document, WecomSection.capabilities.budget)))


def _of_mail(document: MessageDocument) -> Markup:
    letter = write_letter("Herald <herald@example.com>", ("team@example.com",), "preview", document, _WHEN)
    page = letter.get_body(("html",))
    found = _BODY.search(page.get_content() if page is not None else "")
    text = found[1] if found is not None else ""
    for each in document.pictures:
        drawn = base64.b64encode(each.content).decode()
        text = text.replace(f"cid:{each.filename}", f"data:image/png;base64,{drawn}")
    subject = Markup('<p class="letter-subject"><strong>{}</strong></p>').format(str(letter["Subject"]))
    return subject + Markup(text)  # noqa: S704  our adapter has escaped what is in it


_DRAWN: Mapping[str, Draw] = {
    TeamsSection.text_form.name: _of_teams,
    FeishuSection.text_form.name: _of_feishu,
    DingtalkSection.text_form.name: _of_dingtalk,
    WecomSection.text_form.name: _of_wecom,
    MailSection.text_form.name: _of_mail,
}


def draw(reader: str, document: MessageDocument, view: object, renderer: Renderer) -> Markup | None:
    """Draw a message as that reader's chat does; None where only its markup is known here."""
    if (drawing := _DRAWN.get(reader)) is None:
        return None
    chart = view.chart if isinstance(view, MessageView) else view.health if isinstance(view, DigestView) else None
    if chart is not None and reader == MailSection.text_form.name:
        file = told_chart(renderer, chart)
        document = replace(document, pictures=(Picture(file.filename, file.content, file.alt, file.caption),))
    return drawing(document)


def _card(lines: list[Markup], tone: Tone | None = None) -> Markup:
    inner = Markup("\n").join(lines)
    card = Markup('<div class="robot-card robot-card-{}">{}</div>').format(_HUES[tone], inner)
    return Markup('<article class="message"><div class="message-main">{}</div></article>').format(card)
