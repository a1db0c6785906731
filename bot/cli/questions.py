"""The questions of `herald init`: what an option has answered is not asked."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import cast

import typer

from bot.config.starter import CHAT_KINDS, Account, Answers, ChatKind, MailAccount, is_cloud
from bot.domain.direction import guess_direction
from bot.domain.policy import Direction
from bot.errors import ConfigError, RunStoreError
from bot.ports import RunStore, Selection
from bot.sections import read_duration

_NAMES_SHOWN = 12
_APPS = {"feishu": "Which app of Feishu (its id, cli_...)?", "dingtalk": "Which app of DingTalk (its key, ding...)?"}
_CHANNELS = {  # of those that do not know it themselves
    "slack": "Which channel (its id, C0123456789)?",
    "feishu": "Which group (its chat id, oc_...)?",
    "dingtalk": "Which group (its openConversationId, cid...)?",
    "mail": "To whom (addresses, with commas between them)?",
}
_RUNS_READ = 20  # whose metrics are offered


@dataclass(frozen=True, slots=True)
class Given:
    """What options have answered, by their names."""

    options: Mapping[str, str | None]

    def text(self, option: str, question: str, default: str | None = None) -> str:
        """Return the option's value, or ask; an empty default makes the answer optional."""
        given = self.options[option]
        if given is not None:
            return given.strip()
        try:
            return str(typer.prompt(question, default=default, show_default=bool(default))).strip()
        except typer.Abort as abort:
            if default is not None and isinstance(abort.__context__, EOFError):  # a script, which answers by options
                return default
            raise

    def choice(self, option: str, question: str, choices: Sequence[str]) -> str:
        """Return one of *choices*, the first by default; ask again where it is none of them."""
        given = self.options[option]
        if given is not None:
            if given not in choices:
                raise ConfigError(f"--{option}: {given!r} is not one of {', '.join(choices)}")
            return given
        while True:
            answer = self.text(option, f"{question} ({', '.join(choices)})", choices[0])
            if answer in choices:
                return answer
            typer.echo(f"{answer!r} is not one of {', '.join(choices)}.")

    def duration(self, option: str, question: str, default: str) -> str:
        """Return a length of time as config writes it; ask again where it is none."""
        while True:
            answer = self.text(option, question, default)
            try:
                read_duration(answer)
            except ValueError as error:
                if self.options[option] is not None:
                    raise ConfigError(f"--{option}: {answer!r} {error}") from None
                typer.echo(f"{answer!r} {error}.")
            else:
                return answer


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """What MLflow has to choose from; nothing where it does not answer, which is said once."""

    store: RunStore | None = None
    experiments: tuple[str, ...] = ()

    @classmethod
    def read(cls, open_store: Callable[[str], RunStore], address: str) -> _Catalogue:
        try:
            store = open_store(address)
            return cls(store, tuple(sorted(each.name for each in store.experiments(("*",)))))
        except RunStoreError as error:
            typer.echo(f"MLflow cannot be asked what it has, so names are taken as you type them: {error}")
            return cls()

    def metrics(self, experiment: str) -> tuple[str, ...]:
        """Return the names of the metrics that the newest runs of an experiment have, of those that will be judged."""
        try:
            found = [] if self.store is None else self.store.experiments((glob.escape(experiment),))
            newest = [
                run for each in found[:1] if self.store for run in self.store.newest(each, _RUNS_READ, Selection())
            ]
        except RunStoreError:
            return ()
        return tuple(sorted({name for run in newest for name in run.metrics}))

    def show(self, what: str, names: Sequence[str], *, unless: str | None) -> None:
        if names and unless is None:
            more = len(names) - _NAMES_SHOWN
            typer.echo(f"{what}: {', '.join(names[:_NAMES_SHOWN])}{f' and {more} more' if more > 0 else ''}")


def _metrics(given: Given, known: Sequence[str]) -> list[str]:
    """Take the names of metrics; where one is not known they are asked for again, and then taken."""
    asked, wanted = "Which of its metrics should be judged (names, with commas between them)?", [""]
    while True:
        names = _names(given.text("metric", asked), known)
        stranger = next((name for name in names if name not in known), None)
        if stranger is None or not known or names == wanted:
            return names
        hint = f"; did you mean {meant!r}?" if (meant := _nearest(stranger, known)) else ""
        typer.echo(f"No run has a metric {stranger!r} so far{hint}")
        if given.options["metric"] is not None:
            return names
        wanted, asked = names, "Which of its metrics should be judged (the same again are taken)?"


def _experiment(given: Given, known: Sequence[str]) -> str:
    """Take the name of an experiment, which may have spaces and commas within."""
    asked, wanted = "Which experiment should be watched?", ""
    while True:
        answer = given.text("experiment", asked)
        if answer in known or not known or answer == wanted:
            return answer
        hint = f"; did you mean {meant!r}?" if (meant := _nearest(answer, known)) else ""
        typer.echo(f"MLflow has no experiment {answer!r} so far{hint}")
        if given.options["experiment"] is not None:
            return answer
        wanted, asked = answer, "Which experiment should be watched (the same again is taken)?"


def _nearest(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that may have been meant, whatever its case."""
    by_lower = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def _names(answer: str, known: Sequence[str]) -> list[str]:
    """Part names at commas, or where there is none at spaces; a known one may have spaces within."""
    if answer in known:
        return [answer]
    parts = answer.split(",") if "," in answer else answer.split()
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _direction(given: Given, metric: str) -> Direction:
    """Take the direction that an option gives all metrics, or ask, showing what the name suggests."""
    guess = guess_direction(metric)
    ways = (guess.value, *(each.value for each in Direction if each is not guess))
    return Direction(given.choice("direction", f"Which way is {metric} better", ways))


def ask(given: Given, open_store: Callable[[str], RunStore]) -> Answers:
    """Ask what has to be known for a first configuration, showing what MLflow has where it answers."""
    mlflow = given.text("mlflow", "Where is MLflow?", "http://127.0.0.1:5000")
    is_known = given.options["experiment"] is not None and given.options["metric"] is not None
    catalogue = _Catalogue() if is_known else _Catalogue.read(open_store, mlflow)
    catalogue.show("Its experiments", catalogue.experiments, unless=given.options["experiment"])
    experiment = _experiment(given, catalogue.experiments)
    found = catalogue.metrics(experiment)
    catalogue.show("What its newest runs have logged", found, unless=given.options["metric"])
    directions = {name: _direction(given, name) for name in _metrics(given, found)}
    every = given.duration("every", "How often should Herald look for new runs (10m, 1h, 1d)?", "1h")
    release = given.text(
        "release",
        "Which released model should runs be held against too (models:/NAME@ALIAS, a run's id, or nothing)?",
        "",
    )
    owner = given.text("owner", "Who owns it, as people should read it?", "")
    tracker = given.choice("tracker", "Where should tickets go", ("jira", "trello", "none"))
    jira = _account(given, "jira-url", "Where is Jira?", None) if tracker == "jira" else None
    project = given.text("project", "Which project of it (its key)?") if jira else ""
    board = given.text("board", "Which board (the letters after /b/ in its address)?") if tracker == "trello" else ""
    confluence, space = None, ""
    if given.choice("wiki", "Where should reports go", ("confluence", "none")) == "confluence":
        confluence = _account(given, "confluence-url", "Where is Confluence?", jira)
        space = given.text("space", "Which space of it (its key)?")
    chat = given.choice("chat", "Where should messages go", CHAT_KINDS)
    app = given.text("app", _APPS[chat]) if chat in _APPS else ""
    mail = _mail(given) if chat == "mail" else None
    channel = given.text("channel", _CHANNELS[chat]) if chat in _CHANNELS else ""
    return Answers(
        mlflow=mlflow,
        experiment=experiment,
        metrics=directions,
        every=every,
        release=f"models:/{release}" if "@" in release and not release.startswith("models:/") else release,
        owner=owner,
        jira=jira,
        project=project,
        board=board,
        confluence=confluence,
        space=space,
        chat=cast("ChatKind", chat),
        channel=channel,
        app=app,
        mail=mail,
    )


def _mail(given: Given) -> MailAccount:
    host = given.text("smtp-host", "Which server sends the letters (smtp.example.com)?")
    sender = given.text("sender", "From whom do they come (Herald <herald@example.com>)?")
    return MailAccount(
        host, sender, given.text("smtp-user", "As which user (nothing: a relay that asks for none)?", "")
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
