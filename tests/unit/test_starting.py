"""While Herald is starting, which takes seconds, what comes due is recorded, and nothing else is begun."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.config.models import Config
from bot.serve.duties import Duties
from bot.serve.loop import Server
from tests.unit.simulation import World, configured, due_times_of, make_server
from tests.unit.state_samples import MINUTE, NOON

PATIENCE = 20
OFTEN = {"often": {"schedule": {"every": "5m"}, "job": {"command": ["train"]}}}


@dataclass
class Imports:
    """Imports that take as long as the test wants, or fail."""

    may_end: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None

    def __call__(self, config: Config) -> None:
        del config
        self.may_end.wait(PATIENCE)
        if self.failure is not None:
            raise self.failure


def wait_until(what: Any) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


@contextmanager
def begun(server: Server) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield thread
    finally:
        server.orders.ask_to_stop()
        server.load.may_end.set()  # type: ignore[attr-defined]
        thread.join(PATIENCE)


@pytest.fixture
def world(tmp_path):
    return World(NOON, tmp_path)


@pytest.fixture
def server(world, sqlite_database):
    make_server(world, sqlite_database, configured(OFTEN)).round()  # which makes the pipeline known
    world.advance(6 * MINUTE)
    made = make_server(world, sqlite_database, configured(OFTEN))
    made.load = Imports()
    return made


def test_what_comes_due_while_herald_starts_is_recorded_and_its_job_starts_once_all_is_there(
    server, world, sqlite_database
):
    with begun(server):
        wait_until(lambda: due_times_of(sqlite_database, "often"))
        assert server.duties.leading.epoch is not None
        assert ["is starting" in said for said in server.lacks()] == [True]
        world.advance(5 * MINUTE)
        wait_until(lambda: server.last_round)
        assert (server.ails(), world.starts) == ((), {})
        server.load.may_end.set()
        wait_until(lambda: world.starts)
        assert list(server.lacks()) == []
    assert len(due_times_of(sqlite_database, "often")) >= 1


def test_who_is_asked_to_stop_while_starting_waits_for_no_import(server):
    with begun(server) as serving:
        wait_until(lambda: server.loading.is_under_way)
        server.orders.ask_to_stop()
        serving.join(PATIENCE / 2)
        assert not serving.is_alive()


@pytest.mark.parametrize("late", [False, True])
def test_who_is_asked_to_stop_before_anything_was_begun_begins_nothing(server, sqlite_database, monkeypatch, late):
    began, begin = [], server.duties.begin
    monkeypatch.setattr(Duties, "begin", lambda _, now: (began.append(now), begin(now), server.orders.ask_to_stop()))
    if not late:
        server.orders.ask_to_stop()
    assert server.run()
    assert (len(began), due_times_of(sqlite_database, "often")) == (late, [])


_TOLD_WHILE_IT_IMPORTS = """
import os, signal, sys
class Told:
    def find_spec(self, name, *_):
        if name == "bot.app":
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Told())
from bot.cli.main import main; main()
"""


def test_a_process_that_is_asked_to_stop_while_it_imports_ends_at_once_and_leaves_nothing(tmp_path):
    (tmp_path / "config.toml").write_text('store.url = "sqlite:///state.db"\n')
    command = [sys.executable, "-c", _TOLD_WHILE_IT_IMPORTS, "serve", "-c", str(tmp_path / "config.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "stopped before anything was begun" in done.stderr) == (0, True), done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["config.toml"]


def test_a_configuration_that_is_to_be_read_anew_while_herald_starts_is_read_once_it_has(server):
    read: list[str] = []
    server.reconfigured = lambda old: read.append("") or old  # type: ignore[func-returns-value]
    with begun(server):
        wait_until(lambda: server.loading.is_under_way)
        server.orders.ask_to_reload()
        before = server.last_round
        wait_until(lambda: server.last_round > before)
        assert not read
        server.load.may_end.set()
        wait_until(lambda: read)


def test_what_cannot_be_imported_ends_the_service(server):
    server.load.failure = ImportError("no such library")
    server.load.may_end.set()
    with pytest.raises(ImportError, match="no such library"):
        server.run()
