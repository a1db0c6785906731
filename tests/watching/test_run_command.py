"""`herald run` as a cron job sees it: its exit code says whether everything of that pipeline has been told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from bot.cli.main import app
from bot.domain.blindness import Look
from bot.errors import NoStoreError
from bot.sandbox import Fault, FaultKind, RunningSandbox, Service, serve
from bot.store import Database, looks
from bot.store.tables import outbox
from tests.unit.state_samples import open_ticket, owe, owed_kinds
from tests.watching.bench import BAD, GOOD, NAME, Bench

ISSUES = {"service": Service.JIRA_CLOUD, "method": "POST", "path": r"/issue$"}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[RunningSandbox]:
    with serve(tmp_path / "sandbox.db") as running:
        yield running


@pytest.fixture
def folder(bench: Bench, sandbox: RunningSandbox, sqlite_url: str, tmp_path: Path, monkeypatch) -> Path:
    """Let a fall be there to be told, and a Jira to tell it to."""
    bench.log_row([GOOD] * 5 + [BAD] * 2, bench.now() - timedelta(hours=1))
    monkeypatch.setenv("HERALD_TRACKER__JIRA__TOKEN", sandbox.api_token)
    (tmp_path / "config.toml").write_text(
        f"""
[store]
url = "{sqlite_url}"
[mlflow]
tracking_uri = "{bench.uri}"
[tracker.jira]
url = "{sandbox.jira_cloud_url}"
email = "{sandbox.email}"
project = "{sandbox.project_key}"
search_lag = "1s"
[pipeline.{NAME}]
experiment = "search"
tracker = "jira"
[pipeline.{NAME}.metrics.ndcg]
"""
    )
    return tmp_path


def run(folder: Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["run", NAME, "--config", str(folder / "config.toml")])
    return done.exit_code, done.output


def test_what_a_service_took_at_the_second_time_was_told(folder: Path, sandbox: RunningSandbox):
    sandbox.faults.add(Fault(FaultKind.ERROR_BEFORE, **ISSUES))
    code, said = run(folder)
    assert (code, "not delivered" in said) == (0, False), said


def test_what_another_pipeline_owes_and_breaks_is_not_this_ones_failure(folder: Path, sqlite_url: str):
    database = Database(sqlite_url)
    owe(database, open_ticket())
    with database.begin() as tx:
        tx.execute(update(outbox).values(view='[{"of": "another version"}]'))
    database.close()
    code, said = run(folder)
    assert (code, "not delivered" in said) == (0, False), said


def test_what_stays_untold_is_one_whatever_a_second_run_finds(folder: Path, sandbox: RunningSandbox):
    sandbox.faults.add(Fault(FaultKind.ERROR_BEFORE, **ISSUES, status=400, times=0))
    code, said = run(folder)
    assert code == 1
    assert "it stays in the outbox" in said
    assert run(folder)[0] == 1, "the comment, or whatever waits behind the ticket, is still owed"


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_who_tries_a_broken_template_hears_of_it(folder: Path, more: tuple[str, ...]):
    (folder / "own" / "en").mkdir(parents=True)
    (folder / "own" / "en" / "ticket_title.txt.j2").write_text("{{ [0] * 10**9 }}")
    config = folder / "config.toml"
    config.write_text(f'templates = "own"\n{config.read_text()}')
    done = CliRunner().invoke(app, ["run", NAME, "--config", str(config), *more])
    assert done.exit_code == 0, done.output
    assert done.stderr.count("a template of yours is broken") == 1
    assert "ticket_title.txt.j2" in done.stderr


def test_who_cannot_look_tells_what_is_owed_and_that_it_has_lasted(folder: Path, sandbox: RunningSandbox, sqlite_url):
    database = Database(sqlite_url)
    owe(database, open_ticket())
    with database.begin() as tx:
        looks.save(tx, Look(NAME, None, datetime.now(UTC) - timedelta(hours=25), "away"))
    config = folder / "config.toml"
    config.write_text(
        config.read_text().replace('[mlflow]\ntracking_uri = "sqlite:///', '[mlflow]\ntracking_uri = "sqlite:///gone')
    )
    done = CliRunner().invoke(app, ["run", NAME, "--config", str(config)])
    assert isinstance(done.exception, NoStoreError), done.output
    assert str(done.exception).startswith("mlflow.tracking_uri: ")
    assert "no new run to judge" not in done.stdout
    assert f"blind {NAME}: {sandbox.project_key}-" in done.stdout
    assert owed_kinds(database) == []
    database.close()


def test_what_cannot_be_judged_is_said_by_whoever_runs_it(folder: Path):
    config = folder / "config.toml"
    config.write_text(config.read_text().replace(".metrics.ndcg]", ".metrics.ndgc]"))
    code, first = run(folder)
    assert (code, "from now on each new run is news" in first) == (0, False), first
    assert "None of them has a metric that the configuration names" in first
    code, second = run(folder)
    assert (code, "no new run to judge" in second) == (0, True), second
    for said in (first, second):
        assert f"cannot judge: {NAME}: ndgc: no run has ever had it" in said
