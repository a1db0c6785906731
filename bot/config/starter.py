"""The config.toml that `herald init` writes, out of a few answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from bot.config.models import ENV_PREFIX
from bot.config.services import SERVICES, secrets_in
from bot.domain.policy import Direction
from bot.text.toml_keys import key_path, quoted

_ON_EFFECTS = [
    '# min_effect: smaller changes are never told. "2 %" is a share of the level; of an accuracy, an AUC, a hit rate',
    "# and other shares of 0 to 1, one of the distance to the nearer end: at .2 of the hits, at .998 of the misses. A",
    "# number (min_effect = 0.005) is in the metric's own unit.",
]


@dataclass(frozen=True, slots=True)
class Account:
    """Where a service of Atlassian's is, and whose token opens it."""

    url: str
    email: str = ""  # empty: a personal access token of Data Center

    @property
    def deployment(self) -> Literal["cloud", "datacenter"]:
        return "cloud" if self.email else "datacenter"


@dataclass(frozen=True, slots=True)
class MailAccount:
    """Who sends letters, and by which server."""

    host: str
    sender: str
    user: str = ""  # empty: the server asks for none


ChatKind = Literal[
    "slack", "teams", "feishu", "feishu_webhook", "dingtalk", "dingtalk_webhook", "wecom", "mail", "webhook", "none"
]
CHAT_KINDS: tuple[ChatKind, ...] = get_args(ChatKind)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the questions came to; a service that is not wanted is None."""

    mlflow: str
    experiment: str
    metrics: Mapping[str, Direction]  # which way each is better, by name
    every: str = "1h"  # how often to look
    release: str = ""  # models:/NAME@ALIAS or a run's id; empty: none
    owner: str = ""
    jira: Account | None = None
    project: str = ""
    board: str = ""  # Trello's; empty: none
    confluence: Account | None = None
    space: str = ""
    chat: ChatKind = "none"
    channel: str = ""
    app: str = ""  # the id of Feishu's app, or the key of DingTalk's
    mail: MailAccount | None = None

    @property
    def pipeline(self) -> str:
        """Name the pipeline after its experiment, in what a name may hold."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", self.experiment).strip("-._")[:60] or "experiment"

    @property
    def services(self) -> tuple[tuple[str, str], ...]:
        """Return section and kind of every service that is wanted."""
        wanted = [("tracker", "jira")] if self.jira else []
        wanted += [("tracker", "trello")] if self.board else []
        wanted += [("wiki", "confluence")] if self.confluence else []
        wanted += [("chat", self.chat)] if self.chat != "none" else []
        return tuple(wanted)


def is_cloud(url: str) -> bool:
    """Guess from an address whether Atlassian runs the site."""
    return (urlsplit(url).hostname or "").endswith((".atlassian.net", ".jira.com"))


def secrets_of(answers: Answers) -> tuple[str, ...]:
    """Name the environment variables that the services of *answers* need."""
    return tuple(
        f"{ENV_PREFIX}{section}__{kind}__{secret}".upper()
        for section, kind in answers.services
        for secret in secrets_in(SERVICES[section][kind])
    )


def our_example() -> Path:
    """Find the configuration that explains every key: in the package once it is installed, else beside it."""
    installed = Path(str(files("bot"))) / "config.example.toml"
    return installed if installed.is_file() else installed.parent.parent / "config.example.toml"


def write_config(answers: Answers) -> str:
    """Write the configuration as TOML; `herald init --example` explains every key that may be added."""
    sections = ["# Herald's configuration. `herald init --example` prints every key there is, with what it means.", ""]
    sections += _section("mlflow", keys={"tracking_uri": answers.mlflow})
    if answers.jira:
        keys = {"kind": "jira", **_account(answers.jira), "project": answers.project}
        sections += _section("tracker", "jira", keys=keys)
    if answers.board:
        sections += _section("tracker", "trello", keys={"kind": "trello", "board": answers.board})
    if answers.confluence:
        keys = {"kind": "confluence", **_account(answers.confluence), "space": answers.space}
        sections += _section("wiki", "confluence", keys=keys)
    if answers.chat != "none":
        sections += _section("chat", answers.chat, keys={"kind": answers.chat, **dict(_chat(answers))})
    sections += _section("pipeline", answers.pipeline, keys=dict(_pipeline(answers)))
    sections += _section("pipeline", answers.pipeline, "schedule", keys={"every": answers.every})
    if answers.release:
        key = "model" if answers.release.startswith("models:/") else "run"
        sections += _section("pipeline", answers.pipeline, "release", keys={key: answers.release})
    sections += _ON_EFFECTS if answers.metrics else []
    for metric, direction in answers.metrics.items():
        keys = {"direction": direction.value, "min_effect": "2 %"}
        sections += _section("pipeline", answers.pipeline, "metrics", metric, keys=keys)
    return "\n".join(sections).rstrip() + "\n"


def _account(account: Account) -> dict[str, str]:
    return {"url": account.url, "deployment": account.deployment, **({"email": account.email} if account.email else {})}


def _chat(answers: Answers) -> Iterator[tuple[str, str]]:
    if answers.chat == "feishu":
        yield "app_id", answers.app
    if answers.chat == "dingtalk":
        yield "app_key", answers.app
    if answers.mail is not None:
        yield "host", answers.mail.host
        yield "sender", answers.mail.sender
        if answers.mail.user:
            yield "user", answers.mail.user
        else:
            yield "security", "none"


def _pipeline(answers: Answers) -> Iterator[tuple[str, str]]:
    yield "experiment", answers.experiment
    if answers.owner:
        yield "owner", answers.owner
    yield from answers.services
    if answers.chat != "none":
        yield "channel", answers.channel or "the webhook's own"


def _section(*name: str, keys: Mapping[str, str]) -> Sequence[str]:
    return [f"[{key_path(*name)}]", *(f"{key} = {quoted(value)}" for key, value in keys.items()), ""]
