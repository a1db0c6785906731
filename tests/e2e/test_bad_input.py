"""What people get wrong is told in a sentence or two, with an exit code, by every command; nobody meets a traceback."""

from __future__ import annotations

import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import typer

from bot.cli import main

GOOD = """
[store]
url = "sqlite:///herald.db"
[mlflow]
tracking_uri = "sqlite:///mlflow.db"
[pipeline.p]
experiment = "e"
[pipeline.p.metrics.m]
"""
READS_CONFIG = {
    "run": ("run", "p"),
    "dry run": ("run", "p", "--dry-run"),
    "serve": ("serve",),
    "status": ("status",),
    "digest": ("digest",),
    "pages": ("pages", "site"),
    "outbox": ("outbox",),
    "outbox show": ("outbox", "show", "1"),
    "outbox retry": ("outbox", "retry", "1"),
    "outbox cancel": ("outbox", "cancel", "1"),
    "outbox reconcile": ("outbox", "reconcile"),
    "chat test": ("chat", "test"),
    "doctor": ("doctor",),
    "backup": ("backup", "state.backup"),
    "restore": ("restore", "state.backup"),
    "replay": ("replay",),
    "precision": ("precision",),
    "triage": ("triage",),
    "triage read": ("triage", "read"),
    "triage say": ("triage", "say", "0123", "why"),
    "triage undo": ("triage", "undo", "1"),
    "diagnose": ("diagnose", "0123"),
    "preview": ("preview", "--from", "0123"),
}
BROKEN = {
    "no file": (None, "config.toml: there is no such file; `herald init` writes one"),
    "no TOML": ("[pipeline\n", "config.toml: is not TOML"),
    "unknown key": (GOOD + "min_efect = 1\n", "pipeline.p.metrics.m.min_efect: is not a key of the configuration"),
    "no secret": (GOOD + '[chat.team]\nkind = "slack"\n', "chat.team.token: is missing; set HERALD_CHAT__TEAM__TOKEN"),
}
NOWHERE = GOOD.replace("sqlite:///herald.db", "sqlite:////no/such/folder/herald.db")


class Ended:
    """How a command ended, and what it said."""

    def __init__(self, code: object, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def refuses(self, words: str) -> None:
        """Expect a few whole sentences on standard error that hold *words*, and nothing of our insides."""
        assert self.code not in {0, None}
        assert words in " ".join(self.err.split()), self.err
        assert "Traceback" not in self.out + self.err
        assert not re.search(r"\w+Error\b|\bNone\b|<class", self.err), self.err
        assert len(self.err.splitlines()) <= 6


@pytest.fixture
def herald(tmp_path, monkeypatch, capsys) -> Iterator[object]:
    """Call the command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def herald(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["herald", *words])
        code: object = None
        try:
            main.main()
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    yield herald
    structlog.reset_defaults()


def write(text: str) -> None:
    Path("config.toml").write_text(text, encoding="utf-8")


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    for name, command in getattr(group, "commands", {}).items():
        yield " ".join((*path, name))
        yield from commands(command, (*path, name))


def test_every_command_is_tried_here():
    tried = {*READS_CONFIG, "chat", "judge", "init", "sandbox", "demo"} - {"dry run"}
    assert set(commands(typer.main.get_command(main.app))) == tried


@pytest.mark.parametrize("problem", BROKEN)
@pytest.mark.parametrize("command", READS_CONFIG)
def test_a_configuration_that_cannot_be_used_is_told(herald, command, problem):
    text, words = BROKEN[problem]
    if (command, problem) == ("replay", "no secret"):  # it asks no service
        words = "mlflow.tracking_uri: sqlite:///mlflow.db: there is no such file"
    if (command, problem) == ("preview", "no secret"):  # nor does this
        words = "'0123' is no incident and no ticket that Herald filed"
    if text is not None:
        write(text)
    herald(*READS_CONFIG[command]).refuses(words)


@pytest.mark.parametrize(
    "command", [name for name in READS_CONFIG if name not in {"chat test", "doctor", "replay", "restore"}]
)
def test_a_state_that_cannot_be_opened_is_told(herald, command):
    write(NOWHERE)
    herald(*READS_CONFIG[command]).refuses("the state cannot be used: unable to open database file")


@pytest.mark.parametrize("command", READS_CONFIG)
def test_a_secrets_folder_that_is_not_there_is_told(herald, command):
    write(GOOD)
    herald(*READS_CONFIG[command], "--secrets-dir", "none").refuses("none")


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_an_unknown_pipeline_is_told_with_the_known_ones(herald, more):
    write(GOOD)
    herald("run", "q", *more).refuses("pipeline 'q' is not configured; configured are: p")


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_an_mlflow_that_cannot_be_reached_is_told(herald, monkeypatch, more):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # each would wait
    write(GOOD.replace("sqlite:///mlflow.db", "http://127.0.0.1:1"))
    herald("run", "p", *more).refuses("mlflow.tracking_uri: http://127.0.0.1:1 cannot be used: nothing answers there")


@pytest.mark.parametrize("verb", ["show", "retry", "cancel"])
def test_an_effect_that_is_not_there_is_told(herald, verb):
    write(GOOD)
    herald("outbox", verb, "99").refuses("99")
    herald("outbox", verb, "all").refuses("'number': Input should be a valid integer")


def test_a_digest_without_a_place_or_with_a_strange_length_of_time_is_told(herald):
    write(GOOD)
    herald("digest", "--post").refuses("digest: is missing in the configuration")
    herald("digest", "--since", "yesterday").refuses("--since: 'yesterday' should be a number with its unit")


def test_a_backup_is_not_written_over_nor_into_nowhere(herald):
    write(GOOD)
    Path("there").write_text("mine", encoding="utf-8")
    herald("backup", "there").refuses("there")
    assert Path("there").read_text(encoding="utf-8") == "mine"
    herald("backup", "no/such/folder").refuses("no/such/folder")


def test_what_is_no_backup_is_not_restored(herald):
    write(GOOD)
    Path("text").write_text("mine", encoding="utf-8")
    for file in ("none", "text", "."):
        herald("restore", file, "--replace").refuses(file)


@pytest.mark.parametrize(("name", "text"), [("none.jsonl", None), ("a.jsonl", "{"), ("b.jsonl", '{"id": "a"}')])
def test_numbers_that_cannot_be_read_are_told_with_their_file(herald, name, text):
    if text is not None:
        Path(name).write_text(text, encoding="utf-8")
    herald("judge", name).refuses(name)
    Path("c.csv").write_text("time,b\n1,x\n", encoding="utf-8")
    herald("judge", "c.csv", "--format", "csv").refuses("c.csv")
    herald("judge", ".").refuses(".")


def test_a_configuration_that_init_could_not_write_is_told(herald):
    write(GOOD)
    herald("init").refuses("config.toml: is there already; --force replaces it")
    answers = (
        "--mlflow",
        "http://127.0.0.1:1",
        "--experiment",
        "e",
        "--metric",
        "m",
        "--direction",
        "up",
        "--owner",
        "me",
        "--every",
        "1h",
        "--release",
        "",
    )
    herald("init", "--force", *answers, "--tracker", "asana").refuses("--tracker: 'asana' is not one of")
    none = ("--tracker", "none", "--wiki", "none", "--chat", "none")
    herald("init", "--config", "no/such/folder/config.toml", *answers, *none).refuses("no/such/folder/config.toml")


def test_a_sandbox_without_a_port_or_a_file_is_told(herald):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        herald("sandbox", "--port", port).refuses(port)
    herald("sandbox", "--port", "70000").refuses("should be less than or equal to 65535")
    herald("sandbox", "--database", "no/such/folder/box.db").refuses("no/such/folder/box.db")


def test_a_demo_in_a_file_is_told(herald):
    Path("there").write_text("mine", encoding="utf-8")
    herald("demo", "--no-wait", "--workspace", "there").refuses("there")


@pytest.mark.parametrize("words", [("nothing",), ("run",), ("status", "--jsn"), ("judge", "a", "--preset", "loud")])
def test_a_command_line_that_means_nothing_is_told(herald, words):
    ended = herald(*words)
    assert ended.code == 2
    assert "Usage: herald" in ended.err
    assert "Traceback" not in ended.err


def test_a_serve_that_never_began_leaves_signals_as_they_were(herald):
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    waking = signal.set_wakeup_fd(-1)
    herald("serve", "--config", "none.toml")
    assert signal.set_wakeup_fd(waking) == -1
    assert [signal.getsignal(number) for number in numbers] == handlers
