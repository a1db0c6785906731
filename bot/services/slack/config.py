"""The section of a Slack workspace in the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import AnyHttpUrl, SecretStr

from bot.sections import Language, ServiceSection, Url


class SlackSection(ServiceSection):
    kind: Literal["slack"] = "slack"
    token: SecretStr
    locales: dict[str, Language] = {}  # languages of single channels
    url: Url = AnyHttpUrl("https://slack.com/api")
    replies: bool = False  # whether what repeats and what has recovered is also said in the message's thread
    charts: bool = False  # whether the history chart is shown there; takes the scope files:write
