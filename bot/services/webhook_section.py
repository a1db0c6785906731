"""What the sections of all webhooks have."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from bot.sections import Duration, Language, Secret, Section


class HookSection(Section):
    """A webhook of one place: whatever channels pipelines name, all of them are that place."""

    webhook_url: Secret  # whoever has it can post: a secret
    locales: dict[str, Language] = Field(default_factory=dict)  # of single channels, as pipelines name them
    delivery: Literal["at_most_once", "at_least_once"] = "at_most_once"  # where nobody knows whether it was posted
    timeout: Duration = timedelta(seconds=20)
    ca_file: str | None = None

    @field_validator("webhook_url")
    @classmethod
    def _check_url(cls, url: SecretStr) -> SecretStr:
        from bot.services.hooks import host_of

        if host_of(url) is None:
            raise ValueError("should be the whole address that the chat gave for the webhook")
        return url
