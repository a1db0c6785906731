"""Chats that are one webhook: what is sent there is posted, and nothing else can be asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar, Protocol

from pydantic import SecretStr

from bot.domain.capabilities import ChatCapabilities, Promise, TextForm
from bot.domain.rate_limits import Allowance
from bot.services.hooks import Hook
from bot.services.posting import PostingOnly


class OfOneWebhook(Protocol):
    """What the section of such a chat says."""

    text_form: ClassVar[TextForm]
    capabilities: ClassVar[ChatCapabilities]

    @property
    def webhook_url(self) -> SecretStr: ...
    @property
    def delivery(self) -> str: ...
    @property
    def timeout(self) -> timedelta: ...
    @property
    def ca_file(self) -> str | None: ...


class HookChat(PostingOnly):
    """The part of :class:`bot.ports.Chat` that is the same for each webhook; errors of its requests say *hook*."""

    def __init__(
        self, hook: str, config: OfOneWebhook, advice: Mapping[int, str], secrets: tuple[SecretStr, ...] = ()
    ) -> None:
        self._config = config
        self._hook = Hook(
            hook,
            config.webhook_url,
            timeout=config.timeout,
            ca_file=config.ca_file,
            advice=advice,
            secrets=secrets,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<secret>)"

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
