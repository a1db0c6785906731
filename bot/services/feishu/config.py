"""The sections of Feishu in the configuration: an app's bot, and a group's webhook."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import AnyHttpUrl, SecretStr

from bot.domain.capabilities import ChatCapabilities, TextForm
from bot.sections import Language, Secret, ServiceSection, Url
from bot.services.webhook_section import HookSection

APP_BUDGET = 29_000  # bytes of a card; a request may have 30 KB: open.larkoffice.com, im-v1/message-card/patch
HOOK_BUDGET = 20_000  # bytes of a request; 20 KB are taken: open.feishu.cn, Custom bot usage guide

_TEXT_FORM = TextForm("Feishu", dialect="markdown", folder="chat", limit=20_000)


class FeishuSection(ServiceSection):
    kind: Literal["feishu"] = "feishu"
    url: Url = AnyHttpUrl("https://open.feishu.cn")  # Lark: https://open.larksuite.com
    app_id: str
    app_secret: Secret
    locales: dict[str, Language] = {}  # languages of single chats

    text_form: ClassVar[TextForm] = _TEXT_FORM
    # A message's own uuid counts for an hour, and has 50 characters at most: the words of Feishu's description of the
    # field, as clients in Go, Rust, C# and TypeScript that are generated from it carry them; its own page was not read.
    # A group may take 5 messages a second (the same description).
    capabilities: ClassVar[ChatCapabilities] = ChatCapabilities(
        edits=True, budget=APP_BUDGET, key_lasts=timedelta(hours=1)
    )


class FeishuWebhookSection(HookSection):
    kind: Literal["feishu_webhook"] = "feishu_webhook"
    signing_secret: Secret = SecretStr("")  # empty: the robot asks for no signature

    text_form: ClassVar[TextForm] = _TEXT_FORM
    # 100 messages a minute, 5 a second: open.feishu.cn, Custom bot usage guide
    capabilities: ClassVar[ChatCapabilities] = ChatCapabilities(budget=HOOK_BUDGET, is_one_place=True)
