"""The section of a WeCom robot in the configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from bot.domain.capabilities import ChatCapabilities, TextForm
from bot.services.webhook_section import HookSection

BUDGET = 4096  # bytes of Markdown in UTF-8: developer.work.weixin.qq.com/document/path/91770


class WecomSection(HookSection):
    kind: Literal["wecom"] = "wecom"

    text_form: ClassVar[TextForm] = TextForm("WeCom", dialect="markdown", folder="chat", limit=20_000)
    # 20 messages a minute, by the same page
    capabilities: ClassVar[ChatCapabilities] = ChatCapabilities(
        budget=BUDGET, gap=timedelta(seconds=3.2), is_one_place=True
    )
