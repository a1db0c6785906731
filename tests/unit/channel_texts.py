"""What each channel is sent, as text that is compared with stored ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from bot.domain.capabilities import TextForm
from bot.domain.message import MessageDocument
from bot.services.dingtalk.config import DingtalkSection
from bot.services.dingtalk.markdown import build_markdown as build_dingtalk_text
from bot.services.feishu.card import build_card as build_feishu_card
from bot.services.feishu.config import FeishuSection
from bot.services.mail.config import MailSection
from bot.services.mail.letter import write_letter
from bot.services.teams.card import build_card as build_teams_card
from bot.services.teams.config import TeamsSection
from bot.services.wecom.config import WecomSection
from bot.services.wecom.markdown import build_markdown as build_wecom_text

_NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def _html(document: MessageDocument) -> str:
    text = _body(document, "html").replace("><", ">\n<")
    assert f'<html lang="{document.language}">' in text
    return text.replace(f' lang="{document.language}"', "")  # which says nothing


def _plain(document: MessageDocument) -> str:
    return _body(document, "plain")


def _body(document: MessageDocument, kind: str) -> str:
    letter = write_letter("Herald <herald@example.com>", ("team@example.com",), "house-abc", document, _NOON)
    body = letter.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n").strip()


def _json(card: object) -> str:
    return json.dumps(card, ensure_ascii=False, indent=1)


CHANNELS: Mapping[str, tuple[TextForm, Callable[[MessageDocument], str]]] = {
    "mail.html": (MailSection.text_form, _html),
    "mail.txt": (MailSection.text_form, _plain),
    "teams.json": (
        TeamsSection.text_form,
        lambda document: _json(build_teams_card(document, TeamsSection.capabilities.budget)),
    ),
    "feishu.json": (
        FeishuSection.text_form,
        lambda document: _json(build_feishu_card(document, FeishuSection.capabilities.budget)),
    ),
    "dingtalk.md": (
        DingtalkSection.text_form,
        lambda document: build_dingtalk_text(document, DingtalkSection.capabilities.budget).text,
    ),
    "wecom.md": (WecomSection.text_form, lambda document: build_wecom_text(document, WecomSection.capabilities.budget)),
}
