"""Feishu: an app's bot, whose cards are edited for 14 days."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot.domain.capabilities import ChatCapabilities, Promise, TextForm
from bot.domain.message import MessageDocument
from bot.domain.rate_limits import Allowance
from bot.ports import Posted, Right
from bot.services.evidence import object_in, text_in
from bot.services.feishu.card import build_card
from bot.services.feishu.config import FeishuSection
from bot.services.feishu.connection import FeishuConnection
from bot.services.posting import PostingOnly
from bot.services.refusals import about_us


class FeishuChat(PostingOnly):
    """A bot of Feishu as :class:`bot.ports.Chat`; a channel is the id of a chat, `oc_…`."""

    who = "Feishu's bot"

    def __init__(self, config: FeishuSection) -> None:
        self._config = config
        self._link = FeishuConnection(config)

    def __repr__(self) -> str:
        return "FeishuChat()"

    @property
    def text_form(self) -> TextForm:
        return self._config.text_form

    @property
    def capabilities(self) -> ChatCapabilities:
        return self._config.capabilities

    @property
    def promise(self) -> Promise:
        """Send again what may have been sent: for an hour its uuid keeps Feishu from showing a second."""
        return Promise.KEYED

    @property
    def allowance(self) -> Allowance | None:
        return self._link.allowance

    def confirm_access(self, right: Right | None = None) -> None:
        del right  # a permission that is missing says so itself
        with about_us():
            self._link.call("say who we are", "GET", "bot/v3/info", lambda said: said)

    def post(self, channel: str, mark: str, document: MessageDocument) -> Posted:
        body = {
            "receive_id": channel,
            "msg_type": "interactive",
            "content": self._content(document),
            "uuid": hashlib.sha256((document.cause or mark).encode()).hexdigest()[:40],  # 50 characters at most
        }
        message_id = self._link.call(
            f"post to {channel}",
            "POST",
            "im/v1/messages",
            _message_id_in,
            body=body,
            params={"receive_id_type": "chat_id"},
            write=True,
        )
        return Posted(channel, message_id)

    def edit(self, posted: Posted, mark: str, document: MessageDocument) -> None:
        del mark
        self._link.call(
            f"edit the message {posted.message_id}",
            "PATCH",
            f"im/v1/messages/{posted.message_id}",
            lambda said: said,
            body={"content": self._content(document)},
            write=True,
        )

    def _content(self, document: MessageDocument) -> str:
        return json.dumps(build_card(document, self.capabilities.budget), ensure_ascii=False)

    def has_moved(self, channel: str, posted: Posted) -> bool:
        return channel != posted.channel

    def find(self, channel: str, mark: str, since: datetime) -> Posted | None:  # noqa: ARG002 - a port's signature
        return None  # a card that is read back is not the one that was sent


def _message_id_in(said: Mapping[str, Any]) -> str:
    return text_in(object_in(said, "data"), "message_id")
