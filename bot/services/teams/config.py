"""The section of a Teams webhook in the configuration."""

from __future__ import annotations

from typing import ClassVar, Literal

from bot.domain.capabilities import ChatCapabilities, TextForm
from bot.services.webhook_section import HookSection

BUDGET = 27_000  # bytes; `The message size limit is 28 KB`, and the flow puts something around a card


class TeamsSection(HookSection):
    kind: Literal["teams"] = "teams"

    text_form: ClassVar[TextForm] = TextForm("Teams", dialect="markdown", folder="chat", limit=20_000)
    # Four requests a second are taken: learn.microsoft.com, Create Incoming Webhooks. A person reads one.
    capabilities: ClassVar[ChatCapabilities] = ChatCapabilities(budget=BUDGET, is_one_place=True)
