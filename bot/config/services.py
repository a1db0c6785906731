"""The services there are: a union of sections for each port, and what the rest of the configuration reads off it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field, SecretStr

from bot.config.executors import ExecutorSection
from bot.sections import Section
from bot.services.confluence.config import ConfluenceSection
from bot.services.dingtalk.config import DingtalkSection, DingtalkWebhookSection
from bot.services.feishu.config import FeishuSection, FeishuWebhookSection
from bot.services.jira.config import JiraSection
from bot.services.mail.config import MailSection
from bot.services.slack.config import SlackSection
from bot.services.teams.config import TeamsSection
from bot.services.trello.config import TrelloSection
from bot.services.webhook.config import WebhookSection
from bot.services.wecom.config import WecomSection


def _jira_unless_named(section: object) -> object:
    """Read a tracker that names no kind as a Jira."""
    return {"kind": "jira"} | section if isinstance(section, dict) else section


TrackerSection = Annotated[
    JiraSection | TrelloSection, Field(discriminator="kind"), BeforeValidator(_jira_unless_named)
]
WikiSection = ConfluenceSection
ChatSection = Annotated[
    SlackSection
    | TeamsSection
    | FeishuSection
    | FeishuWebhookSection
    | DingtalkSection
    | DingtalkWebhookSection
    | WecomSection
    | MailSection
    | WebhookSection,
    Field(discriminator="kind"),
]


def _sections_of(union: Any) -> Iterator[type[Section]]:
    if isinstance(union, type):
        yield union
    for member in get_args(union):
        yield from _sections_of(member)


def _by_kind(union: Any) -> dict[str, type[Section]]:
    return {section.model_fields["kind"].default: section for section in _sections_of(union)}


SERVICES: Mapping[str, Mapping[str, type[Section]]] = {  # where it is told, by port and kind
    "tracker": _by_kind(TrackerSection),
    "wiki": _by_kind(WikiSection),
    "chat": _by_kind(ChatSection),
}

NAMED: Mapping[str, Mapping[str, type[Section]]] = {**SERVICES, "executor": _by_kind(ExecutorSection)}


def secrets_in(section: type[Section]) -> tuple[str, ...]:
    """Name the keys of a section that hold secrets."""
    return tuple(name for name, field in section.model_fields.items() if field.annotation is SecretStr)


SECRETS = frozenset(key for kinds in NAMED.values() for section in kinds.values() for key in secrets_in(section))
