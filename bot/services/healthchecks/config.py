"""The section of a dead man's switch in the configuration."""

from __future__ import annotations

from datetime import timedelta

from bot.sections import Duration, Secret, Section


class DeadManSection(Section):
    """Whom to tell that Herald is well; they raise the alarm where that stops."""

    url: Secret  # often holds a token
    every: Duration = timedelta(minutes=1)
    timeout: Duration = timedelta(seconds=10)
    ca_file: str | None = None
