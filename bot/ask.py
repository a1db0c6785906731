"""The questions of `herald init`: what an option has answered is not asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import typer

from bot.errors import ConfigError
from bot.first_config import Account, Answers, is_cloud


@dataclass(frozen=True, slots=True)
class Given:
    """What options have answered, by their names."""

    options: Mapping[str, str | None]

    def text(self, option: str, question: str, default: str | None = None) -> str:
        """Return the option's value, or ask; an empty default makes the answer optional."""
        given = self.options[option]
        if given is not None:
            return given.strip()
        return str(typer.prompt(question, default=default, show_default=bool(default))).strip()

    def choice(self, option: str, question: str, choices: Sequence[str]) -> str:
        """Return one of *choices*, the first by default; ask again where it is none of them."""
        given = self.options[option]
        if given is not None:
            if given not in choices:
                raise ConfigError(f"--{option}: {given!r} is not one of {list(choices)}")
            return given
        while True:
            answer = self.text(option, f"{question} ({', '.join(choices)})", choices[0])
            if answer in choices:
                return answer
            typer.echo(f"{answer!r} is not one of {', '.join(choices)}.")


def ask(given: Given) -> Answers:
    """Ask what has to be known for a first configuration."""
    mlflow = given.text("mlflow", "Where is MLflow?", "http://127.0.0.1:5000")
    experiment = given.text("experiment", "Which experiment should be watched?")
    metrics = given.text("metric", "Which of its metrics should be judged (names, with spaces between them)?")
    direction = given.choice("direction", "Which way is better", ("up", "down"))
    owner = given.text("owner", "Who owns it, as people should read it?", "")
    tracker = given.choice("tracker", "Where should tickets go", ("jira", "trello", "none"))
    jira = _account(given, "jira-url", "Where is Jira?", None) if tracker == "jira" else None
    project = given.text("project", "Which project of it (its key)?") if jira else ""
    board = given.text("board", "Which board (the letters after /b/ in its address)?") if tracker == "trello" else ""
    confluence, space = None, ""
    if given.choice("wiki", "Where should reports go", ("confluence", "none")) == "confluence":
        confluence = _account(given, "confluence-url", "Where is Confluence?", jira)
        space = given.text("space", "Which space of it (its key)?")
    chat = given.choice("chat", "Where should messages go", ("slack", "webhook", "none"))
    channel = given.text("channel", "Which channel (its id, C0123456789)?") if chat == "slack" else ""
    return Answers(
        mlflow=mlflow,
        experiment=experiment,
        metrics=tuple(dict.fromkeys(metrics.replace(",", " ").split())),
        direction=cast("Literal['up', 'down']", direction),
        owner=owner,
        jira=jira,
        project=project,
        board=board,
        confluence=confluence,
        space=space,
        chat=cast("Literal['slack', 'webhook', 'none']", chat),
        channel=channel,
    )


def _account(given: Given, option: str, question: str, known: Account | None) -> Account:
    """Ask for an address, and on Atlassian's cloud for the account, which Jira and Confluence there share."""
    default = known.url if known and is_cloud(known.url) else None
    url = given.text(option, question, default).rstrip("/")
    if not is_cloud(url) and given.options["email"] is None:
        return Account(url)
    if known is not None and known.email:
        return Account(url, known.email)
    return Account(url, given.text("email", "Which account (e-mail) does the API token belong to?"))
