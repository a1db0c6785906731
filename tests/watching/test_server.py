"""A real tracking server behind an authority of the house that asks for a name and a password, or for a token."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from bot.errors import RunStoreError
from tests.conftest import postgres_do
from tests.watching.bench import BAD, GOOD, Bench

pytestmark = pytest.mark.slow
_START_SECONDS = 90
_ALLOWED = ("Basic " + base64.b64encode(b"herald:open sesame").decode(), "Bearer a-token")
SQLITE = "sqlite"
POSTGRES = pytest.param("postgresql", marks=[pytest.mark.external_service, pytest.mark.long])
_AUTHORITY = "MLFLOW_TRACKING_SERVER_CERT_PATH"


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, mlflow_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Start `mlflow server` on an empty database in SQLite or in PostgreSQL, as the test's parameter says."""
    folder = tmp_path_factory.mktemp("server")
    if request.param == "sqlite":
        (folder / "mlflow.db").write_bytes(mlflow_file.read_bytes())
        backend = f"sqlite:///{folder / 'mlflow.db'}"
    else:
        postgres, name = request.getfixturevalue("postgres_server"), f"mlflow_{uuid.uuid4().hex}"
        postgres_do(postgres, f"CREATE DATABASE {name}")
        backend = postgres.replace("/postgres?", f"/{name}?").replace("postgresql://", "postgresql+psycopg://")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", backend]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--port", str(port), "--workers", "1"]
    calm = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    address = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **calm}, start_new_session=True)
    try:
        _wait_for(address, process, folder / "log")
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=20)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    raise AssertionError(log.read_text())


@pytest.fixture
def guarded(server: str, certificate: Path) -> Iterator[str]:
    """Stand a door with a lock before the server; return its https address."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if self.headers.get("Authorization") not in _ALLOWED:
                self.reply(401, b'{"error_code": "UNAUTHENTICATED", "message": "You are not authenticated."}')
                return
            passed = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            told = httpx.request(self.command, server + self.path, content=body, headers=passed, timeout=60)
            self.reply(told.status_code, told.content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    door = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    door.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    door.socket = context.wrap_socket(door.socket, server_side=True)
    thread = threading.Thread(target=door.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{door.server_address[1]}"
    door.shutdown()
    door.server_close()
    thread.join()


@pytest.fixture
def log_in(monkeypatch: pytest.MonkeyPatch, certificate: Path) -> pytest.MonkeyPatch:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "herald")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "open sesame")
    monkeypatch.setenv(_AUTHORITY, str(certificate))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return monkeypatch


@pytest.mark.parametrize("server", [SQLITE, POSTGRES], indirect=True)
def test_a_drop_on_a_guarded_server_is_filed(bench: Bench, server: str, guarded: str, log_in: pytest.MonkeyPatch):
    people = replace(bench, uri=server)
    people.log_row([GOOD] * 5 + [BAD] * 2, bench.now() - timedelta(hours=1))
    herald = replace(bench, uri=guarded)
    herald.cycle(watch={"experiments": ["sea*"], "filter": "metrics.ndcg > 0"})
    assert len(herald.tracker.tickets) == 1
    log_in.delenv("MLFLOW_TRACKING_USERNAME")
    log_in.delenv("MLFLOW_TRACKING_PASSWORD")
    log_in.setenv("MLFLOW_TRACKING_TOKEN", "a-token")
    assert herald.cycle(watch={"experiments": ["sea*"], "filter": "metrics.ndcg > 0"}).judged == []


@pytest.mark.parametrize("server", [SQLITE], indirect=True)
@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MLFLOW_TRACKING_PASSWORD", "wrong", "does not take the user and password that are set: check"),
        (_AUTHORITY, "", "certificate.*MLFLOW_TRACKING_SERVER_CERT_PATH"),
    ],
)
def test_a_closed_door_is_told_in_a_sentence(
    bench: Bench, guarded: str, log_in: pytest.MonkeyPatch, variable: str, value: str, words: str
):
    if value:
        log_in.setenv(variable, value)
    else:
        log_in.delenv(variable)
    with pytest.raises(RunStoreError, match=words) as told:
        replace(bench, uri=guarded).cycle()
    assert "\n" not in str(told.value)
    assert "sesame" not in str(told.value)
