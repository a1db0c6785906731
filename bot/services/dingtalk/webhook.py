"""DingTalk: the webhook of a group's custom robot, with its signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

from bot.domain.message import MessageDocument
from bot.ports import Posted
from bot.services.coded_refusals import refusal_by_code
from bot.services.dingtalk.config import DingtalkWebhookSection
from bot.services.dingtalk.markdown import build_markdown
from bot.services.dingtalk.refusals import HOOK_CODES
from bot.services.evidence import json_in, number_in
from bot.services.hook_chats import HookChat
from bot.services.refusals import Answer


class DingtalkWebhookChat(HookChat):
    """A group's custom robot as :class:`bot.ports.Chat`."""

    who = "A webhook of DingTalk"

    def __init__(self, config: DingtalkWebhookSection) -> None:
        self._secret = config.signing_secret
        super().__init__("DingTalk's webhook", config, {}, (config.signing_secret,))

    def post(self, channel: str, mark: str, document: MessageDocument) -> Posted:
        """Send to the robot, which knows its group itself; *channel* and *mark* stay with us."""
        said = build_markdown(document, self.capabilities.budget)
        body = {"msgtype": "markdown", "markdown": {"title": said.title, "text": said.text}}
        self._hook.send(body, self._check_taken, self._signature())
        return Posted(channel, mark)

    def _signature(self) -> dict[str, str]:
        secret = self._secret.get_secret_value()
        now = str(int(time.time() * 1000))
        return {"timestamp": now, "sign": sign(now, secret)} if secret else {}

    def _check_taken(self, answer: Answer) -> None:
        said = json_in(answer)
        code = number_in(said, "errcode")
        if code:
            raise refusal_by_code(self._hook.service, "post", code, str(said.get("errmsg")), HOOK_CODES, write=True)


def sign(milliseconds: str, secret: str) -> str:
    """Sign as the guide to custom robots says: the secret is the key, time and secret are what is signed."""
    return base64.b64encode(hmac.digest(secret.encode(), f"{milliseconds}\n{secret}".encode(), hashlib.sha256)).decode()
