"""`herald serve` with much owed to a slow service: the dead man's switch hears of it, and a stop waits for little."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bot.domain.effects import TellChannel
from bot.domain.objects import ObjectKey, ObjectKind
from bot.store import Database, outbox
from tests.unit.state_samples import message_view

ROOT = Path(__file__).parents[2]
OWED = 2000
PATIENCE = 60
_STOP = 3  # seconds, instead of thirty

pytestmark = pytest.mark.slow


@dataclass
class SlowService:
    """A webhook that takes its time, or never answers, and a dead man's switch that does not."""

    heard: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.2
    open_again: threading.Event = field(default_factory=threading.Event)
    url: str = ""


@pytest.fixture
def service() -> Iterator[SlowService]:
    made = SlowService()

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer("switch")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            made.open_again.wait(made.seconds)
            self.answer("hook")

        def answer(self, what: str) -> None:
            made.heard[what] += 1
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield made
    made.open_again.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def owing(sqlite_url: str, tmp_path: Path) -> Path:
    """Owe many messages, each to a channel of its own; return the state's file."""
    database = Database(sqlite_url)
    now = datetime.now(UTC)
    with database.begin() as tx:
        for number in range(OWED):
            target = ObjectKey("hook", ObjectKind.MESSAGE, f"C{number} test-{number}")
            view = replace(message_view(), mark=f"mark-{number}", links={})
            outbox.owe(tx, "p", [(TellChannel(target, "opened"), view)], now)
    database.close()
    return tmp_path / "state.db"


@pytest.fixture
def serving(service: SlowService, owing: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    (tmp_path / "config.toml").write_text(
        f"""
[store]
url = "sqlite:///{owing}"
[mlflow]
tracking_uri = "sqlite:///{tmp_path}/mlflow.db"
[chat.hook]
kind = "webhook"
timeout = "50s"
[dead_man]
every = "1s"
"""
    )
    begun: list[subprocess.Popen[bytes]] = []

    def serve(before: str = "") -> subprocess.Popen[bytes]:
        secrets = {"HERALD_CHAT__HOOK__WEBHOOK_URL": f"{service.url}/hook", "HERALD_DEAD_MAN__URL": f"{service.url}/on"}
        code = f"{before}\nfrom bot.cli.main import main; main()"
        with (tmp_path / "log").open("ab") as log:
            command = [sys.executable, "-c", code, "serve", "--config", str(tmp_path / "config.toml")]
            begun.append(subprocess.Popen(command, cwd=ROOT, env={**os.environ, **secrets}, stderr=log))
        return begun[-1]

    yield serve
    for process in begun:
        process.kill()
        process.wait()


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> float:
    """Ask the process to stop; return how many seconds it took."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    return time.monotonic() - began


def states(state: Path) -> Counter[str]:
    with sqlite3.connect(state) as reading:
        return Counter(dict(reading.execute("SELECT state, count(*) FROM outbox GROUP BY state").fetchall()))


def test_while_much_is_owed_the_switch_is_signalled_and_a_stop_leaves_the_rest_owed(serving, service, owing):
    herald = serving()
    wait_for(lambda: service.heard["hook"] > 0)
    before = service.heard["switch"]
    wait_for(lambda: service.heard["switch"] >= before + 3)
    assert stop(herald) < 15
    found = states(owing)
    assert found["delivered"] == service.heard["hook"], "what was under way was finished"
    assert found["pending"] == OWED - service.heard["hook"] > 0
    with sqlite3.connect(owing) as reading:
        assert reading.execute("SELECT count(*) FROM outbox WHERE owner IS NOT NULL").fetchone() == (0,)


def test_what_hangs_does_not_keep_a_process_that_was_asked_to_stop(serving, service, owing):
    service.seconds = 50
    herald = serving(f"import bot.serve.shutdown; bot.serve.shutdown.STOP_SECONDS = {_STOP}")
    wait_for(lambda: service.heard["switch"] > 1)
    time.sleep(0.5)
    assert stop(herald) < _STOP + 5
    assert states(owing)["pending"] == OWED
    with sqlite3.connect(owing) as reading:
        doubtful = reading.execute("SELECT count(*) FROM outbox WHERE sent_at IS NOT NULL").fetchone()
    assert doubtful[0] > 0, "the next Herald looks for them, or says that it cannot"


_STUCK = """
import sqlite3, sys, signal
from bot.serve.shutdown import end_within, leave_at_once
signal.signal(signal.SIGTERM, lambda *_: None)
end_within(1, [signal.SIGTERM], leave_at_once)
holder = sqlite3.connect(sys.argv[1], isolation_level=None)
holder.execute("BEGIN EXCLUSIVE")
print("waiting", flush=True)
sqlite3.connect(sys.argv[1], timeout=50).execute("CREATE TABLE t (x)")
"""


def test_a_main_thread_that_waits_for_a_database_ends_with_its_process(tmp_path):
    command = [sys.executable, "-c", _STUCK, str(tmp_path / "locked.db")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        time.sleep(0.3)
        assert stop(process) < 10
