"""The section of an incoming webhook in the configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from bot.domain.capabilities import ChatCapabilities, TextForm
from bot.sections import Duration, Language, Secret, Section


class WebhookSection(Section):
    kind: Literal["webhook"] = "webhook"
    webhook_url: Secret  # whoever has it can post: a secret
    locales: dict[str, Language] = {}  # languages of single channels, as pipelines name them
    delivery: Literal["at_most_once", "at_least_once"] = "at_most_once"  # where nobody knows whether it was posted
    timeout: Duration = timedelta(seconds=20)
    ca_file: str | None = None

    text_form: ClassVar[TextForm] = TextForm(
        "webhook", dialect="mrkdwn", folder="slack", limit=10_000, paragraph_limit=2_900
    )  # as Slack's own
    capabilities: ClassVar[ChatCapabilities] = ChatCapabilities()
