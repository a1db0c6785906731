"""config.toml -> frozen models; secrets from the environment or a secrets directory, never from the file."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, SecretStr, UrlConstraints

Url = Annotated[AnyHttpUrl, UrlConstraints(allowed_schemes=["http", "https"])]


class Section(BaseModel):
    """A part of the configuration: frozen, and every key known."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ServiceSection(Section):
    """What every service over HTTP has."""

    url: Url
    timeout: timedelta = timedelta(seconds=20)  # of one request
    ca_file: str | None = None  # a private certificate authority, PEM

    @property
    def base(self) -> str:
        """The address without a slash at its end."""
        return str(self.url).rstrip("/")


class JiraSection(ServiceSection):
    kind: Literal["jira"] = "jira"
    deployment: Literal["cloud", "datacenter"] = "cloud"
    email: str | None = None  # with it, the token is an API token of this account; without, a personal access token
    token: SecretStr
    project: str
    issue_type: str = "Bug"
    search_lag: timedelta = timedelta(seconds=30)


class ConfluenceSection(ServiceSection):
    kind: Literal["confluence"] = "confluence"
    deployment: Literal["cloud", "datacenter"] = "cloud"
    email: str | None = None
    token: SecretStr
    space: str
    parent: str | None = None  # title of the page under which ours are made


class SlackSection(Section):
    kind: Literal["slack"] = "slack"
    token: SecretStr
    url: Url = Url("https://slack.com/api")
    timeout: timedelta = timedelta(seconds=20)
    ca_file: str | None = None

    @property
    def base(self) -> str:
        return str(self.url).rstrip("/")


class WebhookSection(Section):
    kind: Literal["webhook"] = "webhook"
    webhook_url: SecretStr  # whoever has it can post: a secret
    timeout: timedelta = timedelta(seconds=20)
    ca_file: str | None = None


TrackerSection = JiraSection
WikiSection = ConfluenceSection
ChatSection = Annotated[SlackSection | WebhookSection, Field(discriminator="kind")]
