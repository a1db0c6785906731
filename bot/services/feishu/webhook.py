"""Feishu: the webhook of a group's custom robot, with its signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

from bot.domain.capabilities import ChatCapabilities, Promise, TextForm
from bot.domain.message import MessageDocument
from bot.domain.rate_limits import Allowance
from bot.ports import Posted
from bot.services.coded_refusals import refusal_by_code
from bot.services.evidence import json_in, number_in
from bot.services.feishu.card import build_card
from bot.services.feishu.config import FeishuWebhookSection
from bot.services.feishu.refusals import HOOK_CODES
from bot.services.hooks import Hook
from bot.services.posting import PostingOnly
from bot.services.refusals import Answer


class FeishuWebhookChat(PostingOnly):
    """A group's custom robot as :class:`bot.ports.Chat`."""

    who = "A webhook of Feishu"

    def __init__(self, config: FeishuWebhookSection) -> None:
        self._config = config
        self._hook = Hook(
            "Feishu's webhook",
            config.webhook_url,
            timeout=config.timeout,
            ca_file=config.ca_file,
            advice={},
            secrets=(config.signing_secret,),
        )

    def __repr__(self) -> str:
        return "FeishuWebhookChat(<secret>)"

    @property
    def text_form(self) -> TextForm:
        return self._config.text_form

    @property
    def capabilities(self) -> ChatCapabilities:
        return self._config.capabilities

    @property
    def promise(self) -> Promise:
        return Promise(self._config.delivery)

    @property
    def allowance(self) -> Allowance | None:
        return self._hook.allowance

    def post(self, channel: str, mark: str, document: MessageDocument) -> Posted:
        """Send to the robot, which knows its group itself; *channel* and *mark* stay with us."""
        card = build_card(document, self.capabilities.budget)
        self._hook.send({"msg_type": "interactive", "card": card, **self._signature()}, self._check_taken)
        return Posted(channel, mark)

    def _signature(self) -> dict[str, Any]:
        secret = self._config.signing_secret.get_secret_value()
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
