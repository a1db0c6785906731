"""The section of a Jira in the configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import SecretStr

from bot.sections import Duration, ServiceSection


class JiraSection(ServiceSection):
    kind: Literal["jira"] = "jira"
    deployment: Literal["cloud", "datacenter"] = "cloud"
    email: str | None = None  # with it, the token is an API token of this account; without, a personal access token
    token: SecretStr
    project: str
    issue_type: str = "Bug"
    fields: dict[str, Any] = {}  # what else a new ticket needs, as Jira's REST API takes it
    search_lag: Duration = timedelta(seconds=30)
