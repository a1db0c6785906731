"""The knobs of each service: what it demands, what it refuses, how far its search lags."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any


class Service(StrEnum):
    JIRA_CLOUD = "jira-cloud"
    JIRA_DATACENTER = "jira-dc"
    CONFLUENCE_CLOUD = "confluence-cloud"
    CONFLUENCE_DATACENTER = "confluence-dc"
    SLACK = "slack"
    TRELLO = "trello"
    TEAMS = "teams"
    FEISHU = "feishu"
    DINGTALK = "dingtalk"
    WECOM = "wecom"
    MAIL = "mail"

    @property
    def is_cloud(self) -> bool:
        return self in (Service.JIRA_CLOUD, Service.CONFLUENCE_CLOUD)


class Resolution(StrEnum):
    """What the transition into a done status says about the resolution."""

    NO_SCREEN = "no_screen"  # giving one is refused
    OPTIONAL = "optional"
    REQUIRED = "required"
    REQUIRED_UNLISTED = "required_unlisted"  # demanded, though transitions.fields does not show it


@dataclass(frozen=True, slots=True)
class JiraRules:
    search_lag: float = 0.0  # seconds
    resolution: Resolution = Resolution.OPTIONAL
    language: str = "en"  # of status, priority and resolution names: en, de, zh
    rejecting: bool = False  # a second way leads to "done", into a status of its own
    transition_fields: tuple[str, ...] = ()  # ids of custom fields that the screens on the way to "done" demand
    stepwise: bool = False  # a ticket must pass through "in progress" on its way to "done"
    required_fields: tuple[str, ...] = ()  # further field ids that a new ticket must have
    off_screen: tuple[str, ...] = ()  # field ids that neither create nor edit may set
    denied: tuple[str, ...] = ()  # permission keys that nobody has: CREATE_ISSUES, ADD_COMMENTS, ...
    unassignable: tuple[str, ...] = ()  # names of users to whom no ticket can be assigned
    comment_limit: int = 5000  # comments on one ticket
    attachment_limit: int = 10 * 1024 * 1024  # bytes
    attachments_enabled: bool = True


@dataclass(frozen=True, slots=True)
class ConfluenceRules:
    search_lag: float = 0.0  # seconds
    denied: tuple[str, ...] = ()  # "create", "update", "attach", "label"
    body_limit: int = 5 * 1024 * 1024  # bytes
    spurious_conflicts: int = 0  # that many next updates answer 409 though the version is right


@dataclass(frozen=True, slots=True)
class SlackRules:
    one_message_a_second: bool = False  # per channel
    # What the app was installed with, less what is missing. A kind of channel has scopes of its own: channels:history,
    # groups:history (private ones), mpim:history, im:history.
    scopes: tuple[str, ...] = (
        "chat:write",
        "files:write",
        "channels:read",
        "channels:join",
        "channels:history",
        "users:read",
    )
    missing_scopes: tuple[str, ...] = ()
    guests: tuple[str, ...] = ()  # names of people who are no full members of the workspace
    message_budget: int = 13_200  # characters of all blocks together
    webhook_revoked: bool = False


@dataclass(frozen=True, slots=True)
class TrelloRules:
    search_lag: float = 0.0  # seconds
    requests_per_10s: int = 0  # for the token; 0: no limit
    read_only: bool = False
    observers: tuple[str, ...] = ()  # names of members who may only look on


@dataclass(frozen=True, slots=True)
class RobotRules:
    """Of what takes cards: Teams' workflow, the robots and apps of Feishu, DingTalk and WeCom."""

    per_minute: int = 0  # messages of one robot; 0: no limit
    per_second: int = 0
    revoked: bool = False  # the address, or the app's token, holds no longer
    disabled: bool = False  # the workflow or the robot is switched off, or the app lacks a permission


@dataclass(frozen=True, slots=True)
class MailRules:
    size_limit: int = 10 * 1024 * 1024  # bytes
    unknown: tuple[str, ...] = ()  # addresses that are nobody's
    greylists: bool = False  # whoever writes is asked to come again later


Rules = JiraRules | ConfluenceRules | SlackRules | TrelloRules | RobotRules | MailRules

_FIRST: dict[Service, Rules] = {
    Service.JIRA_CLOUD: JiraRules(),
    Service.JIRA_DATACENTER: JiraRules(),
    Service.CONFLUENCE_CLOUD: ConfluenceRules(),
    Service.CONFLUENCE_DATACENTER: ConfluenceRules(),
    Service.SLACK: SlackRules(),
    Service.TRELLO: TrelloRules(),
    Service.TEAMS: RobotRules(per_second=4),
    Service.FEISHU: RobotRules(per_minute=100, per_second=5),
    Service.DINGTALK: RobotRules(per_minute=20),
    Service.WECOM: RobotRules(per_minute=20),
    Service.MAIL: MailRules(),
}


class Rulebook:
    """The rules in force, changed while the server runs."""

    def __init__(self, rules: dict[Service, Rules] | None = None) -> None:
        self._lock = threading.Lock()
        self._rules = {**_FIRST, **(rules or {})}

    def change(self, service: Service, **values: Any) -> None:
        """Change some of a service's rules; raise ValueError for an unknown one or a wrong type."""
        with self._lock:
            current = self._rules[service]
            checked = {name: _checked(current, name, value) for name, value in values.items()}
            self._rules[service] = replace(current, **checked)

    def reset(self) -> None:
        with self._lock:
            self._rules = dict(_FIRST)

    def of(self, service: Service) -> Rules:
        return self._rules[service]

    def jira(self, service: Service) -> JiraRules:
        rules = self._rules[service]
        assert isinstance(rules, JiraRules)
        return rules

    def confluence(self, service: Service) -> ConfluenceRules:
        rules = self._rules[service]
        assert isinstance(rules, ConfluenceRules)
        return rules

    @property
    def mail(self) -> MailRules:
        rules = self._rules[Service.MAIL]
        assert isinstance(rules, MailRules)
        return rules

    def robots(self, service: Service) -> RobotRules:
        rules = self._rules[service]
        assert isinstance(rules, RobotRules)
        return rules

    @property
    def slack(self) -> SlackRules:
        rules = self._rules[Service.SLACK]
        assert isinstance(rules, SlackRules)
        return rules

    @property
    def trello(self) -> TrelloRules:
        rules = self._rules[Service.TRELLO]
        assert isinstance(rules, TrelloRules)
        return rules


def _checked(rules: Rules, name: str, value: Any) -> Any:
    known = {one.name for one in fields(rules)}
    if name not in known:
        raise ValueError(f"{name}: no such rule; there are {', '.join(sorted(known))}")
    current = getattr(rules, name)
    if isinstance(current, Resolution):
        return Resolution(value)
    if isinstance(current, tuple):
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
            raise ValueError(f"{name}: {value!r} is not a list of strings")
        return tuple(value)
    if isinstance(current, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(current):
        raise ValueError(f"{name}: {value!r} is not a {type(current).__name__}")
    return value
