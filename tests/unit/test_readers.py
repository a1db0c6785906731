"""Commands that look: they change nothing of the state, free nobody's leases, and leave nothing behind."""

import ctypes
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text
from typer.testing import CliRunner

from bot.cli.main import app
from bot.errors import StateError
from bot.store import Database, claims, fires, incidents, leases, runs
from bot.store.database import VERSION_TABLE, newest_version
from bot.store.tables import metadata
from tests.memory_runs import MemoryRunStore
from tests.unit.state_samples import MINUTE, NOON, comment, incident, judged, open_ticket, owe, run_at, tell

ROOT = Path(__file__).parents[2]
DEAD = "another-machine/1/1/abcdef"  # as the previous Herald named holders of leases
READERS = {
    "status": ["status"],
    "status as JSON": ["status", "--json"],
    "digest": ["digest"],
    "digest, a dry run": ["digest", "--post", "--dry-run"],
    "outbox": ["outbox"],
    "outbox show": ["outbox", "show", "1"],
    "reconcile, a dry run": ["outbox", "reconcile", "--dry-run"],
    "run, a dry run": ["run", "search", "--dry-run"],
    "doctor": ["doctor"],
}


@pytest.fixture
def folder(state_url, tmp_path, monkeypatch) -> Path:
    """Return the folder of a configuration whose state holds something of everything, also of a Herald at work."""
    logged = MemoryRunStore()
    logged.create("search")
    for place in ("bot.app", "bot.doctor"):
        monkeypatch.setattr(f"{place}.make_run_store", lambda _: logged)
    (tmp_path / "config.toml").write_text(
        f'[store]\nurl = "{state_url}"\n\n[pipeline.search]\nexperiment = "search"\n[pipeline.search.metrics.ndcg]\n'
    )
    database = Database(state_url)
    owe(database, open_ticket(), comment("a"), tell("a"))
    with database.begin() as tx:
        runs.record(tx, judged(run_at("run1", NOON, ndcg=0.5)))
        incidents.save(tx, incident())
        fires.record(tx, "search", NOON)
        claims.claim_next(tx, DEAD, NOON, NOON + MINUTE)
        leases.take(tx, "pipeline:search", DEAD, NOON, MINUTE)
    database.close()
    return tmp_path


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows_of(url: str) -> dict[str, list]:
    database = Database(url)
    with database.begin() as tx:
        found = {table.name: list(tx.execute(select(table))) for table in metadata.sorted_tables}
    database.close()
    return found


def herald(folder: Path, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, [*words, "--config", str(folder / "config.toml")])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


@pytest.mark.parametrize("words", READERS.values(), ids=READERS)
def test_a_command_that_looks_changes_nothing(folder, state_url, words):
    code = int(words == ["doctor"])  # the fire that is recorded has been due for long
    if state_url.startswith("sqlite"):
        before = files_below(folder)
        herald(folder, *words, code=code)
        assert files_below(folder) == before
    else:
        before = rows_of(state_url)
        herald(folder, *words, code=code)
        assert rows_of(state_url) == before


@pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("words", READERS.values(), ids=READERS)
def test_a_command_that_looks_makes_no_state_where_there_is_none(folder, tmp_path, words):
    config = folder / "config.toml"
    config.write_text(config.read_text().replace(config.read_text().splitlines()[1], 'url = "sqlite:///other.db"'))
    before = files_below(folder)
    done = CliRunner().invoke(app, [*words, "--config", str(config)])
    assert files_below(folder) == before
    if words == ["outbox", "show", "1"]:
        assert str(done.exception).startswith("outbox: there is no effect 1")
    else:
        assert done.exit_code == 0, done.output
        assert "other.db: there is no" in done.output or words[0] == "run"


@pytest.mark.parametrize("words", [words for words in READERS.values() if words != ["doctor"]])
@pytest.mark.parametrize(("version", "says"), [("0001", "brings it up to that"), ("9999", "made by a newer Herald")])
def test_a_state_of_another_version_is_told_and_left_as_it_is(folder, state_url, words, version, says):
    database = Database(state_url)
    with database.begin() as tx:
        tx.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{version}'"))
    done = CliRunner().invoke(app, [*words, "--config", str(folder / "config.toml")])
    with database.begin() as tx:
        assert tx.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == version
        tx.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{newest_version()}'"))
    database.close()
    assert isinstance(done.exception, StateError)
    assert f"version {version}" in str(done.exception)
    assert says in str(done.exception)


def test_the_doctor_tells_of_another_version_and_brings_nothing_up_to_date(folder, state_url):
    database = Database(state_url)
    told = {}
    for version in ("0001", "9999"):
        with database.begin() as tx:
            tx.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{version}'"))
        (check,) = (
            each
            for each in json.loads(herald(folder, "doctor", "--json", code=int(version == "9999")))["checks"]
            if each["check"] == "database"
        )
        told[version] = check["ok"], check["said"]
    with database.begin() as tx:
        assert tx.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == "9999"
        tx.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{newest_version()}'"))
    database.close()
    assert told["0001"][0]
    assert "brings it up to that" in told["0001"][1]
    assert not told["9999"][0]
    assert "newer Herald" in told["9999"][1]


def test_a_state_that_is_open_for_reading_refuses_to_be_written(folder, state_url):
    database = Database(state_url, read_only=True)
    with pytest.raises(StateError, match=r"read-?only"), database.begin() as tx:
        leases.give_back(tx, "pipeline:search", DEAD)
    database.close()


def test_the_newest_version_is_the_one_that_migrating_leads_to(database):
    assert database.version() == newest_version()


# ---- the log of SQLite


def die_while_writing(path: Path, and_then: str = "") -> None:
    """Let a process die that has written to the state: what it wrote stands in the log alone."""
    code = (
        f"import os, sqlite3; c = sqlite3.connect({str(path)!r}, isolation_level=None)\n"
        "c.execute('PRAGMA journal_mode = WAL'); c.execute(\"UPDATE runs SET outcome = 'late'\")\n"
        f"{and_then}\nos._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert path.with_name("state.db-wal").stat().st_size


def outcomes(url: str) -> list[str]:
    database = Database(url, read_only=True)
    with database.begin() as tx:
        found = list(tx.scalars(select(metadata.tables["runs"].c.outcome)))
    database.close()
    return found


@pytest.fixture
def state(sqlite_url, tmp_path) -> Path:
    database = Database(sqlite_url)
    with database.begin() as tx:
        runs.record(tx, judged(run_at("run1", NOON, ndcg=0.5)))
    database.close()
    return tmp_path / "state.db"


def test_what_a_dead_herald_wrote_last_is_read_and_stays_in_the_log(state, sqlite_url):
    die_while_writing(state)
    before = state.read_bytes(), state.with_name("state.db-wal").read_bytes()
    assert outcomes(sqlite_url) == ["late"]
    assert (state.read_bytes(), state.with_name("state.db-wal").read_bytes()) == before


def test_what_a_living_herald_writes_is_read_at_once(state, sqlite_url):
    writing = sqlite3.connect(state, isolation_level=None)
    reading = Database(sqlite_url, read_only=True)
    for outcome in ("one", "two"):
        writing.execute("UPDATE runs SET outcome = ?", [outcome])
        with reading.begin() as tx:
            assert list(tx.scalars(select(metadata.tables["runs"].c.outcome))) == [outcome]
    writing.execute("BEGIN IMMEDIATE")  # and is not waited for
    assert outcomes(sqlite_url) == ["two"]
    writing.close()


def test_a_state_that_is_written_to_while_nobody_should_have_been_at_work_is_read_again_rather_than_believed(
    state, sqlite_url
):
    reading = Database(sqlite_url, read_only=True)
    with pytest.raises(StateError, match="written to while it was read; ask again"), reading.begin():
        sqlite3.connect(state).execute("PRAGMA user_version = 7").connection.close()
    assert outcomes(sqlite_url) == ["ok"]


def without_the_power_to_override() -> None:
    """Let this process be held to the permissions of files, though it be root's."""
    drop, override = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    ctypes.CDLL(None).prctl(drop, override, 0, 0, 0)


def read_where_nothing_may_be_written(folder: Path, url: str) -> str:
    """Read the outcomes as another process does in a folder that it may not write to."""
    folder.chmod(0o500)
    try:
        code = (
            f"import os, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            f"assert not os.access({str(folder)!r}, os.W_OK)\n"
            f"from test_readers import outcomes; print(outcomes({url!r}))"
        )
        hold: Callable[[], None] | None = without_the_power_to_override if os.geteuid() == 0 else None
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, preexec_fn=hold, check=False
        )
    finally:
        folder.chmod(0o700)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("left", ["nothing", "log and index", "log"])
def test_a_state_is_read_in_a_folder_that_may_not_be_written(state, sqlite_url, left):
    if left != "nothing":
        die_while_writing(state)
    if left == "log":
        state.with_name("state.db-shm").unlink()
    before = {path.name for path in state.parent.iterdir()}
    assert read_where_nothing_may_be_written(state.parent, sqlite_url) == (
        "['ok']" if left == "nothing" else "['late']"
    )
    assert {path.name for path in state.parent.iterdir()} == before
