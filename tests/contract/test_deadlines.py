"""No server holds a request for longer than its time, nor fills the memory, whatever it sends."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from bot.errors import IntegrationError, RetryableError, RunStoreError
from bot.ports import Attachment
from bot.runtime.deadline import ending_at
from bot.services import transport
from bot.services.healthchecks.config import DeadManSection
from bot.services.healthchecks.dead_man import HttpDeadMan
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.importing import load
from bot.services.mlflow.run_store import MlflowRunStore
from tests.contract.acts import READS, WRITES, Act, jira, trello
from tests.contract.breakable import Breakable, breakable
from tests.contract.slow_servers import (
    CHUNKED,
    JSON,
    TICK,
    Script,
    flood,
    read_request,
    send,
    slow_server,
    stall,
    trickle,
)

LIMIT = timedelta(seconds=0.6)
SLACK = 1.5  # seconds that a busy machine may add
ISSUES = b'{"issues": []}'
every_adapter = pytest.mark.parametrize(
    "act",
    [
        WRITES["jira comment"],
        WRITES["jira datacenter create"],
        WRITES["trello comment"],
        WRITES["confluence label"],
        WRITES["confluence datacenter create"],
        WRITES["slack post"],
        WRITES["webhook post"],
    ],
    ids=["jira", "jira dc", "trello", "confluence", "confluence dc", "slack", "webhook"],
)


def timed(call: Callable[[], object], seconds: float = LIMIT.total_seconds()) -> RetryableError:
    """Let *call* fail, in time."""
    began = time.monotonic()
    with pytest.raises(IntegrationError) as caught:
        call()
    assert time.monotonic() - began < seconds + SLACK
    assert isinstance(caught.value, RetryableError), caught.value
    return caught.value


TRICKLES: dict[str, Script] = {
    "a status line": trickle(b"HTTP/1.1 200 OK and so on "),
    "headers": trickle(b"HTTP/1.1 200 OK\r\n", b"X-Slow: x\r\n"),
    "one header": trickle(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "promises to go on": trickle(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": trickle(JSON + b"Content-Length: 9000\r\n\r\n", b" "),
    "a body without end": trickle(JSON + b"\r\n", b" "),
    "chunks": trickle(CHUNKED, b"1\r\n \r\n"),
    "a chunk": trickle(CHUNKED + b"ffff\r\n", b" "),
    "the size of a chunk": trickle(CHUNKED, b"0"),
    "a trailer": trickle(CHUNKED + b"0\r\n", b"X-Slow: x\r\n"),
    "packed bytes": trickle(JSON + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], b"\0"),
    "nothing": stall(),
    "half the headers": stall(JSON),
    "half a body": stall(JSON + b"Content-Length: 14\r\n\r\n", b'{"iss'),
}


@pytest.mark.parametrize("script", TRICKLES.values(), ids=list(TRICKLES))
def test_an_answer_that_does_not_come_to_its_end_ends_with_the_time_of_the_request(script: Script):
    with slow_server(script) as server:
        error = timed(lambda: READS["jira find"].call(jira(server.url, timeout=LIMIT)))
        assert not error.doubtful
        assert "within 0.6 s" in str(error)


@every_adapter
@pytest.mark.parametrize("part", ["headers", "a body", "chunks"])
def test_no_service_holds_a_write_by_sending_byte_by_byte(act: Act, part: str):
    with slow_server(TRICKLES[part]) as server:
        error = timed(lambda: act.call(act.make(server.url, timeout=LIMIT)))
        assert error.doubtful
        assert server.was_asked(1)


def test_a_slow_answer_that_ends_in_time_is_taken():
    def script(connection: socket.socket) -> None:
        connection.sendall(JSON + b"Content-Length: 20\r\n\r\n")
        for byte in b'{"comments":[],"total":0}'[:20]:
            connection.sendall(bytes([byte]))

    def whole(connection: socket.socket) -> None:
        body = b'{"comments":[],"total":0}'
        connection.sendall(JSON + b"Content-Length: %d\r\n\r\n" % len(body))
        for byte in body:
            connection.sendall(bytes([byte]))
            time.sleep(0.005)

    with slow_server(whole) as server:
        assert not jira(server.url, timeout=timedelta(seconds=5)).has_comment("S-1", "mark")
    with slow_server(script) as server:
        timed(lambda: jira(server.url, timeout=LIMIT).has_comment("S-1", "mark"))


FLOODS: dict[str, Script] = {
    "a body": flood(JSON + b"Content-Length: 99999999999\r\n\r\n", b" " * 10_000),
    "a body without end": flood(JSON + b"\r\n", b" " * 10_000),
    "chunks": flood(CHUNKED, b"3e8\r\n" + b" " * 1000 + b"\r\n"),
    "promises to go on": flood(b"HTTP/1.1 100 Continue\r\nX: " + b"x" * 10_000 + b"\r\n\r\n"),
    "a trailer": flood(CHUNKED + b"0\r\n", b"X: " + b"x" * 1000 + b"\r\n"),
    "what unpacks to more": send(
        JSON + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n" + gzip.compress(b" " * 20_000_000)
    ),
}


@pytest.mark.parametrize("script", FLOODS.values(), ids=list(FLOODS))
def test_an_answer_that_is_too_large_is_not_read(script: Script, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transport, "MOST_BYTES", 1_000_000)
    with slow_server(script) as server:
        error = timed(lambda: WRITES["jira comment"].call(jira(server.url, timeout=timedelta(seconds=5))), 5)
        assert error.doubtful
        assert "larger than" in str(error)


@pytest.mark.parametrize(
    "script", [flood(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n"), flood(CHUNKED, b"0" * 10_000)], ids=["headers", "a size"]
)
def test_more_of_a_head_than_anybody_sends_is_not_read(script: Script):
    with slow_server(script) as server:
        assert timed(lambda: WRITES["jira comment"].call(jira(server.url, timeout=LIMIT))).doubtful


def test_a_server_that_does_not_take_a_file_holds_nobody():
    file = Attachment("a.png", bytes(30_000_000), "image/png")

    def script(connection: socket.socket) -> None:
        if connection.recv(100).startswith(b"GET"):
            body = b'{"id":"1","key":"S-1","fields":{"attachment":[]}}'
            connection.sendall(JSON + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            return
        for _ in range(20):  # a little at a time, so that each write goes on
            connection.recv(1000)
            time.sleep(TICK)

    with slow_server(script, reads=False) as server:
        error = timed(lambda: jira(server.url, timeout=LIMIT).attach("S-1", file))
        assert error.doubtful


@pytest.mark.parametrize("part", ["headers", "a body", "chunks", "nothing"])
def test_the_same_holds_over_tls(part: str, certificate: Path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with slow_server(TRICKLES[part], tls=context) as server:
        made = {"timeout": LIMIT, "ca_file": str(certificate)}
        assert timed(lambda: WRITES["jira comment"].call(jira(server.url, **made))).doubtful
        assert timed(lambda: WRITES["trello comment"].call(trello(server.url, **made))).doubtful


def test_a_handshake_that_does_not_come_to_its_end_ends_in_time():
    hello = b"\x16\x03\x03\x40\x00"  # a record of 16 KiB is on its way
    with slow_server(trickle(hello, b"\0"), reads=False) as server:
        timed(lambda: WRITES["jira comment"].call(jira(server.url.replace("http:", "https:"), timeout=LIMIT)))


def test_a_proxy_that_does_not_open_its_tunnel_ends_in_time(monkeypatch: pytest.MonkeyPatch):
    with slow_server(trickle(b"HTTP/1.0 200 Connection established\r\n", b"X-Slow: x\r\n")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        timed(lambda: WRITES["jira comment"].call(jira("https://jira.example", timeout=LIMIT)))
        assert proxy.asked


def test_a_kept_connection_has_the_time_of_each_request_anew():
    def script(connection: socket.socket) -> None:
        body = b'{"comments":[],"total":0}'
        whole = JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body
        for _ in range(2):
            connection.sendall(whole)
            read_request(connection)
        trickle(JSON, b"X-Slow: x\r\n")(connection)

    with slow_server(script) as server:
        tracker = jira(server.url, timeout=LIMIT)
        tracker.has_comment("S-1", "mark")
        time.sleep(LIMIT.total_seconds())
        tracker.has_comment("S-1", "mark")
        timed(lambda: tracker.has_comment("S-1", "mark"))
        assert server.was_asked(1)


def test_redirects_without_end_are_not_followed():
    with slow_server(send(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")) as server:
        timed(lambda: WRITES["jira comment"].call(jira(server.url, timeout=LIMIT)))
        assert server.was_asked(1)


def test_a_host_of_several_addresses_has_one_time_for_all_of_them(monkeypatch: pytest.MonkeyPatch):
    with contextlib.ExitStack() as opened:
        silent = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # its queue is full then, and it answers nobody
            filler = opened.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(silent.getsockname())
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", silent.getsockname())] * 8
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        error = timed(lambda: WRITES["jira comment"].call(jira("http://many.example", timeout=LIMIT)))
        assert not error.doubtful
        assert "took no connection within 0.6 s" in str(error)


def dead_man(url: str) -> HttpDeadMan:
    return HttpDeadMan(DeadManSection(url=SecretStr(url), timeout=LIMIT))


@pytest.mark.parametrize("part", ["headers", "a body", "chunks", "nothing"])
def test_the_dead_mans_switch_holds_nobody(part: str):
    with slow_server(TRICKLES[part]) as server:
        assert "cannot be reached" in str(timed(dead_man(server.url).signal))


def test_a_page_in_the_switchs_place_heard_nothing():
    page = b"<!doctype html><form>Password</form>"
    with slow_server(send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page)) as server:
        assert "a page for people" in str(timed(dead_man(server.url).signal))
    for said in (b"OK", b"", b'{"ok":true}'):
        with slow_server(send(b"HTTP/1.1 202 OK\r\nContent-Length: %d\r\n\r\n" % len(said) + said)) as server:
            dead_man(server.url).signal()


def run_store(url: str) -> MlflowRunStore:
    return MlflowRunStore(MlflowSection(tracking_uri=url))


def mlflow_fails(url: str, seconds: float = LIMIT.total_seconds()) -> str:
    began = time.monotonic()
    with pytest.raises(RunStoreError) as caught:
        run_store(url).experiments(("search",))
    assert time.monotonic() - began < seconds + SLACK
    return str(caught.value)


@pytest.fixture
def hasty_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    load("http://127.0.0.1:1")
    monkeypatch.setattr(transport, "_CALL", LIMIT.total_seconds())
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.usefixtures("hasty_mlflow")
@pytest.mark.parametrize("part", ["headers", "a body", "chunks", "nothing"])
def test_an_mlflow_that_does_not_come_to_its_end_holds_no_pipeline(part: str):
    with slow_server(TRICKLES[part]) as server:
        mlflow_fails(server.url)


@pytest.mark.usefixtures("hasty_mlflow")
def test_an_mlflow_that_says_when_to_come_back_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with slow_server(send(busy)) as server:
        mlflow_fails(server.url, 3)


@pytest.mark.usefixtures("hasty_mlflow")
@pytest.mark.parametrize("body", [b"", b"  \n", b"<!doctype html><form>Password</form>"])
def test_an_mlflow_that_says_nothing_or_shows_a_page_has_not_said_that_there_is_nothing(body: bytes):
    kind = b"text/html" if b"<" in body else b"application/json"
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    with slow_server(send(head % (kind, len(body)) + body)) as server:
        mlflow_fails(server.url)


@pytest.mark.usefixtures("hasty_mlflow")
def test_a_file_of_mlflows_has_longer_than_a_question_and_an_end_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(transport, "_TRANSFER", 2 * LIMIT.total_seconds())
    request_utils: Any = importlib.import_module("mlflow.utils.request_utils")
    with slow_server(TRICKLES["a body"]) as server:
        began = time.monotonic()
        answer = request_utils.cloud_storage_http_request("get", server.url, max_retries=0, stream=True, timeout=30)
        with pytest.raises(requests.RequestException):
            (tmp_path / "file").write_bytes(b"".join(answer.iter_content(10)))
        assert LIMIT.total_seconds() < time.monotonic() - began < 2 * LIMIT.total_seconds() + SLACK


def test_requests_of_one_delivery_share_its_time():
    with slow_server(TRICKLES["a body"]) as server:
        tracker = jira(server.url, timeout=timedelta(seconds=20))
        with ending_at(time.monotonic() + 0.3):
            assert not timed(lambda: tracker.has_comment("S-1", "mark")).doubtful
            asked = len(server.asked)
            error = timed(lambda: WRITES["jira comment"].call(tracker))
            assert not error.doubtful, "it was not even sent"
            assert "was over before this one" in str(error)
            assert len(server.asked) == asked


def test_the_time_of_one_thread_is_not_that_of_another(server: Breakable):
    server.reply = lambda _: READS["jira has_comment"].proof
    found: list[bool] = []

    def ask() -> None:
        found.append(jira(server.url).has_comment("S-1", "mark"))

    with ending_at(time.monotonic() - 1):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert found == [False]


@pytest.fixture
def server() -> Any:
    with breakable() as running:
        yield running
