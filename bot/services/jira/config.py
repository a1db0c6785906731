"""The section of a Jira in the configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import SecretStr

from bot.ports import TextForm
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

    # Jira takes 32,767 characters and counts what its own conversion adds.
    text_form: ClassVar[TextForm] = TextForm("Jira", dialect="wiki", folder="jira", limit=28_000)
    lists_tickets: ClassVar[bool] = True  # a page can list its tickets by their labels

    @property
    def own_fields(self) -> frozenset[str]:
        """Name what is set on every ticket besides what pipelines set."""
        return frozenset(self.fields)
