"""Servers that take a request and then answer as slowly, or as long, as a test wants."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Script = Callable[[socket.socket], None]

TICK = 0.05  # seconds between what a trickle sends
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass
class Slow:
    url: str
    asked: list[float] = field(default_factory=list)  # when, as time.monotonic() tells it

    def was_asked(self, times: int, within: float = 10) -> bool:
        """Whether so many connections came: on a busy machine they may be taken after their client gave up."""
        end = time.monotonic() + within
        while len(self.asked) < times and time.monotonic() < end:
            time.sleep(0.01)
        return len(self.asked) == times


@contextmanager
def slow_server(script: Script, *, tls: ssl.SSLContext | None = None, reads: bool = True) -> Iterator[Slow]:
    """Serve *script* to each connection once its request has come; without *reads*, as soon as it stands."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Slow(f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}")

    threads: list[threading.Thread] = []
    open_ones: list[socket.socket] = []

    def serve(accepted: socket.socket) -> None:
        with accepted, contextlib.suppress(OSError):
            connection = tls.wrap_socket(accepted, server_side=True) if tls else accepted
            open_ones.append(connection)
            with connection:
                server.asked.append(time.monotonic())
                if reads:
                    read_request(connection)
                script(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(10)
            threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
            threads[-1].start()

    threads.append(threading.Thread(target=accept, daemon=True))
    threads[0].start()
    try:
        yield server
    finally:
        for each in (listener, *open_ones):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in threads:
            thread.join(5)


def read_request(connection: socket.socket) -> None:
    stream = connection.makefile("rb")
    length = 0
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    stream.read(length)


def trickle(*parts: bytes) -> Script:
    """Send the last of *parts* byte by byte, and again and again; the others at once."""

    def script(connection: socket.socket) -> None:
        for part in parts[:-1]:
            connection.sendall(part)
        for byte in itertools.cycle(parts[-1]):
            connection.sendall(bytes([byte]))
            time.sleep(TICK)

    return script


def flood(*parts: bytes) -> Script:
    """Send the last of *parts* again and again, as fast as it is taken."""

    def script(connection: socket.socket) -> None:
        for part in parts[:-1]:
            connection.sendall(part)
        while True:
            connection.sendall(parts[-1])

    return script


def stall(*parts: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
        while connection.recv(100):
            pass

    return script


def send(*parts: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return script
