"""Feishu: the webhook of a group's custom robot, with its signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

from bot.domain.message import MessageDocument
from bot.ports import Posted
from bot.services.coded_refusals import refusal_by_code
from bot.services.evidence import json_in, number_in
from bot.services.feishu.card import build_card
from bot.services.feishu.config import FeishuWebhookSection
from bot.services.feishu.refusals import HOOK_CODES
from bot.services.hook_chats import HookChat
from bot.services.refusals import Answer


class FeishuWebhookChat(HookChat):
    """A group's custom robot as :class:`bot.ports.Chat`."""

    who = "A webhook of Feishu"

    def __init__(self, config: FeishuWebhookSection) -> None:
        self._secret = config.signing_secret
        super().__init__("Feishu's webhook", config, {}, (config.signing_secret,))

    def post(self, channel: str, mark: str, document: MessageDocument) -> Posted:
        """Send to the robot, which knows its group itself; *channel* and *mark* stay with us."""
        card = build_card(document, self.capabilities.budget)
        self._hook.send({"msg_type": "interactive", "card": card, **self._signature()}, self._check_taken)
        return Posted(channel, mark)

    def _signature(self) -> dict[str, Any]:
        secret = self._secret.get_secret_value()
        now = str(int(time.time()))
        return {"timestamp": now, "sign": sign(now, secret)} if secret else {}

    def _check_taken(self, answer: Answer) -> None:
        said = json_in(answer)
        code = number_in(said, "code")
        if code:
            raise refusal_by_code(self._hook.service, "post", code, str(said.get("msg")), HOOK_CODES, write=True)


def sign(seconds: str, secret: str) -> str:
    """Sign as the guide to custom robots says: time and secret are the key, and nothing is what is signed."""
    return base64.b64encode(hmac.digest(f"{seconds}\n{secret}".encode(), b"", hashlib.sha256)).decode()
