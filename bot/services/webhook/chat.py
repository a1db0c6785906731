"""Incoming webhooks of Slack, whose payload Mattermost and Rocket.Chat take too; what is sent cannot be seen again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.domain.message import MessageDocument
from bot.ports import Posted
from bot.services.block_kit import build_message
from bot.services.evidence import held_in, json_in, nothing_in, prove
from bot.services.hook_chats import HookChat
from bot.services.refusals import Answer
from bot.services.webhook.config import WebhookSection

_OK, _NO_CONTENT = 200, 204
_ADVICE = {
    403: "Check that the webhook may still post: an administrator may have restricted it.",
    404: "Check webhook_url: the webhook was removed, or its channel.",
    410: "The webhook's channel is archived: make a webhook for another.",
}


class WebhookChat(HookChat):
    """One channel's incoming webhook as :class:`bot.ports.Chat`."""

    def __init__(self, config: WebhookSection) -> None:
        super().__init__("The chat's webhook", config, _ADVICE)

    def post(self, channel: str, mark: str, document: MessageDocument) -> Posted:
        """Send to the webhook, which names the channel itself; *channel* and *mark* stay with us."""
        message = build_message(document)
        body: dict[str, Any] = {"text": message.text}
        if message.plain:
            # Text rather than blocks: the others show the first and know nothing of the second.
            bar = {"text": message.plain, "fallback": message.text, "mrkdwn_in": ["text"]}
            body["attachments"] = [bar | ({"color": message.color} if message.color else {})]
        self._hook.send(body, _check_taken)
        return Posted(channel, mark)


def _check_taken(answer: Answer) -> None:
    """Let the answer say that the message was taken.

    Slack, Mattermost and Discord say `ok` in text, Rocket.Chat and Zulip say it in JSON, others with 204. Whoever
    answers in another way is taken for a page that stands in between.
    """
    if answer.status_code == _NO_CONTENT:
        nothing_in(answer)
    elif answer.status_code != _OK or answer.content.strip().lower() != b"ok":
        said = json_in(answer)
        taken = [
            held_in(said, name) for name in ("ok", "success", "result") if isinstance(said, Mapping) and name in said
        ]
        prove(bool(taken) and all(each is True or each == "success" for each in taken), "does not say ok")
