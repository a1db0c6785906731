"""The section of an incoming webhook in the configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import SecretStr

from bot.sections import Duration, Language, Section


class WebhookSection(Section):
    kind: Literal["webhook"] = "webhook"
    webhook_url: SecretStr  # whoever has it can post: a secret
    locales: dict[str, Language] = {}  # languages of single channels, as pipelines name them
    delivery: Literal["at_most_once", "at_least_once"] = "at_most_once"  # where nobody knows whether it was posted
    timeout: Duration = timedelta(seconds=20)
    ca_file: str | None = None
