"""Listens for readers on a thread of its own, beside whatever else the process does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from bot.errors import ConfigError
from bot.runtime.clock import pause
from bot.runtime.log import get_logger

_KEEP_ALIVE, _FOR_REQUESTS, _MOMENT = 10, 3, 0.002  # seconds
_MOST_AT_ONCE = 400  # connections; more are told to come again, and so is whoever asks for health
_LONGEST_HEAD = 32_000  # bytes of a request line with its headers
_PORTS, _BACKLOG = 65_535, 128

log = get_logger(__name__)


def read_place(text: str) -> tuple[str, int]:
    """Read `127.0.0.1:8080` or `[::1]:8080`; raises ConfigError that says what would be right."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or int(port) > _PORTS:
        raise ConfigError(f"--http {text}: should be HOST:PORT, such as 127.0.0.1:8080")
    return host.strip("[]"), int(port)


@contextmanager
def serving(app: ASGIApp, place: str) -> Iterator[str]:
    """Answer requests at *place* until the block ends; yields the address.

    Raises ConfigError where that cannot be listened on. Whoever is still waiting for an answer then has a few seconds.
    """
    host, port = read_place(place)
    listener = listen(host, port, place)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_FOR_REQUESTS,
        limit_concurrency=_MOST_AT_ONCE,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        http="h11",
        ws="none",
    )
    config.load()  # here: it imports
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="pages", daemon=True)
    thread.start()
    while not server.started and thread.is_alive():  # or what the caller imports next would keep it waiting
        pause(_MOMENT)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}"
    log.info("pages", address=address)
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join(_FOR_REQUESTS + 1)
        listener.close()


def listen(host: str, port: int, place: str) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Without its protocol asyncio takes it for none of TCP, and leaves what is sent to wait 40 ms for its like.
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"--http {place}: cannot be listened on: {error.strerror or error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(f"--http {place}: cannot be listened on: {error.strerror or error}") from None
    return listener
