"""A server that answers, breaks off, stalls or lies as a test tells it, and keeps what it was sent."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_WRITES = {"POST", "PUT", "PATCH", "DELETE"}


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # without the query
    query: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What is sent back: *raw* bytes and then the end of the connection, or nothing until the server stops."""

    raw: bytes = b""
    stall: bool = False


def answer(status: int, body: Any = None, **headers: str) -> Reply:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else b""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(content)}", "Connection: close"]
    if body is not None:
        kind = "text/html" if isinstance(body, str) else "application/json"
        lines.append(f"Content-Type: {kind}; charset=utf-8")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return Reply("\r\n".join([*lines, "", ""]).encode() + content)


DROP = Reply()
HALF = Reply(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"ok": true, "id"')
STALL = Reply(stall=True)


@dataclass
class Breakable:
    url: str
    reply: Callable[[Request], Reply] = field(default=lambda _: DROP)
    requests: list[Request] = field(default_factory=list)

    @property
    def writes(self) -> list[Request]:
        return [each for each in self.requests if each.method in _WRITES]


@contextmanager
def breakable() -> Iterator[Breakable]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = Breakable(f"http://127.0.0.1:{listener.getsockname()[1]}")
    stopped = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            request = _read(connection)
            if request is None:
                return
            server.requests.append(request)
            reply = server.reply(request)
            if reply.stall:
                stopped.wait()
            elif reply.raw:
                connection.sendall(reply.raw)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        stopped.set()
        listener.close()


def _read(connection: socket.socket) -> Request | None:
    stream = connection.makefile("rb")
    first = stream.readline().decode("latin-1").split()
    if not first:
        return None
    headers: dict[str, str] = {}
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    path, _, query = first[1].partition("?")
    return Request(first[0], path, query, headers, stream.read(int(headers.get("content-length", 0))))
