"""Incoming webhooks of Slack, whose payload Mattermost and Rocket.Chat take too; what is sent cannot be seen again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from bot.domain.message import MessageDocument
from bot.domain.rate_limits import Allowance
from bot.errors import AccountError, MissingError, PermanentError
from bot.ports import ChatCapabilities, Posted, Promise, TextForm
from bot.services.block_kit import build_message
from bot.services.evidence import held_in, json_in, nothing_in, prove
from bot.services.http import Wire, make_session
from bot.services.posting import PostingOnly
from bot.services.refusals import Answer, Service
from bot.services.webhook.config import WebhookSection

_OK, _NO_CONTENT = 200, 204
_NOT_THERE = (404, 410)
_SHORTEST_SECRET = 8  # characters; shorter parts of the address are words like `hooks` or `services`
_ADVICE = {
    403: "Check that the webhook may still post: an administrator may have restricted it.",
    404: "Check webhook_url: the webhook was removed, or its channel.",
    410: "The webhook's channel is archived: make a webhook for another.",
}


class WebhookChat(PostingOnly):
    """One channel's incoming webhook as :class:`bot.ports.Chat`."""

    def __init__(self, config: WebhookSection) -> None:
        self._config = config
        self._wire = Wire(
            Service(
                "The chat's webhook",
                f"https://{urlsplit(config.webhook_url.get_secret_value()).hostname}",  # the rest is secret
                config.timeout.total_seconds(),
                advice=_ADVICE,
                secrets=_secrets_in(config.webhook_url),
            )
        )
        self._session = make_session(config.ca_file)

    def __repr__(self) -> str:
        return "WebhookChat(<secret>)"

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
        return self._wire.allowance

    def post(self, channel: str, mark: str, document: MessageDocument) -> Posted:
        """Send to the webhook, which names the channel itself; *channel* and *mark* stay with us."""
        message = build_message(document)
        body: dict[str, Any] = {"text": message.text}
        if message.plain:
            # Text rather than blocks: the others show the first and know nothing of the second.
            bar = {"text": message.plain, "fallback": message.text, "mrkdwn_in": ["text"]}
            body["attachments"] = [bar | ({"color": message.color} if message.color else {})]
        self._send(body)
        return Posted(channel, mark)

    def _send(self, body: Mapping[str, Any]) -> None:
        try:
            self._wire.read(
                "post",
                lambda: self._session.post(
                    self._config.webhook_url.get_secret_value(),
                    json=body,
                    timeout=self._config.timeout.total_seconds(),
                    verify=self._session.verify,
                ),
                _check_taken,
                write=True,
            )
        except AccountError as error:
            raise _refused(error)(str(error), doubtful=error.doubtful, status=error.status) from None
        except PermanentError as error:
            if not error.about_access:
                raise
            raise _refused(error)(str(error), status=error.status) from None  # there is but the one thing to refuse


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


def _secrets_in(webhook_url: SecretStr) -> tuple[SecretStr, ...]:
    """Take out the parts of the address that let one post."""
    path = urlsplit(webhook_url.get_secret_value()).path
    return (webhook_url, *(SecretStr(part) for part in path.split("/") if len(part) >= _SHORTEST_SECRET))


def _refused(error: AccountError | PermanentError) -> type[AccountError]:
    """Tell an address behind which nothing is any more from one that does not take us."""
    return MissingError if error.status in _NOT_THERE else AccountError
