"""Where a fault meets a request: what is done, what is not, and what the client hears of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from bot.sandbox.faults.plans import Fault, FaultKind, Faults, retry_after_text
from bot.sandbox.faults.wrong_answers import (
    Answer,
    answer,
    empty,
    forbidden,
    login_page,
    not_found,
    other_json,
    refused_account,
    sso_redirect,
    too_many,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Iterator

    from bot.sandbox.rules import Service
    from bot.sandbox.web.site import WSGIApplication

FAULT_HEADER = "HTTP_X_SANDBOX_FAULT"

_DONE_FIRST = frozenset(
    {
        FaultKind.ERROR_AFTER,
        FaultKind.DROP_AFTER,
        FaultKind.HALF_BODY,
        FaultKind.STALL_AFTER,
        FaultKind.TRICKLE_AFTER,
        FaultKind.LOGIN_PAGE_AFTER,
        FaultKind.EMPTY_200_AFTER,
        FaultKind.OTHER_JSON_AFTER,
    }
)
_CHUNK = b" " * 65536
_BETWEEN_CHUNKS = 0.005  # seconds; without a pause a client that reads all would fill its memory in a moment


class FaultyServices:
    """Stands between the socket and the services: strikes, or lets pass, and keeps the log."""

    def __init__(self, services: dict[Service, WSGIApplication], faults: Faults) -> None:
        self._services = services
        self._faults = faults

    def __call__(self, service: Service, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        started = time.monotonic()
        heard = None
        try:
            fault = self._faults.choose(service, method, path, environ.get(FAULT_HEADER))
        except ValueError as error:
            start_response("400 BAD REQUEST", [("Content-Type", "text/plain; charset=utf-8")])
            return [f"X-Sandbox-Fault: {error}".encode()]
        try:
            if self._faults.delay:
                self._faults.stopping.wait(self._faults.delay)
            heard = self._perform(service, environ, fault)
        finally:
            code = heard.code if heard else 0
            self._faults.record(service, method, path, code, fault, time.monotonic() - started)
        start_response(heard.status, heard.headers)
        return [heard.body]

    def _perform(self, service: Service, environ: dict[str, Any], fault: Fault | None) -> Answer:
        """Answer, or raise ConnectionAbortedError, which makes the server close without a word more."""
        if fault is None:
            return self._pass_on(service, environ)
        true_answer = None
        if fault.kind in _DONE_FIRST:
            true_answer = self._pass_on(service, environ)
        else:
            _drain(environ)
        match fault.kind:
            case FaultKind.DROP_BEFORE | FaultKind.DROP_AFTER:
                raise _hung_up()
            case FaultKind.STALL_BEFORE | FaultKind.STALL_AFTER:
                self._faults.stopping.wait(fault.seconds)
                raise _hung_up()
            case FaultKind.TRICKLE_BEFORE | FaultKind.TRICKLE_AFTER:
                self._trickle(environ, true_answer or other_json(), fault.pause)
            case FaultKind.TRICKLE_HEAD:
                self._trickle(environ, other_json(), fault.pause, head=True)
            case FaultKind.ENDLESS:
                self._speak(environ, _without_end(), _BETWEEN_CHUNKS)
        return _heard(fault, service, environ["PATH_INFO"], true_answer)

    def _trickle(self, environ: dict[str, Any], told: Answer, pause: float, *, head: bool = False) -> None:
        """Send the answer past the server, a byte at a time."""
        said = [*told.headers, ("Connection", "close")]
        above = "\r\n".join([f"HTTP/1.1 {told.status}", *(f"{name}: {value}" for name, value in said), "", ""])
        slowly = above.encode("latin-1") + told.body if head else told.body
        first = [] if head else [above.encode("latin-1")]
        self._speak(environ, iter([*first, *(bytes([each]) for each in slowly)]), pause)

    def _speak(self, environ: dict[str, Any], pieces: Iterator[bytes], pause: float) -> None:
        """Write to the client's socket until it hangs up or all is said; the server then closes it."""
        line: socket.socket = environ["werkzeug.socket"]
        for piece in pieces:
            line.sendall(piece)  # BrokenPipeError, which the server knows, once the client has gone
            if self._faults.stopping.wait(pause):
                break
        raise _hung_up()

    def _pass_on(self, service: Service, environ: dict[str, Any]) -> Answer:
        caught: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Callable[[bytes], None]:
            caught[:] = [status, headers]
            return lambda _data: None

        chunks = self._services[service](environ, start)
        try:
            body = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close:
                close()
        return Answer(caught[0], caught[1], body)


def _heard(fault: Fault, service: Service, path: str, true_answer: Answer | None) -> Answer:
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            media_type, body = too_many(service)
            return answer("429 TOO MANY REQUESTS", media_type, body, **_retry_after(fault))
        case FaultKind.LOGIN_PAGE | FaultKind.LOGIN_PAGE_AFTER:
            return login_page()
        case FaultKind.EMPTY_200 | FaultKind.EMPTY_200_AFTER:
            return empty()
        case FaultKind.OTHER_JSON | FaultKind.OTHER_JSON_AFTER:
            return other_json()
        case FaultKind.SSO_REDIRECT:
            return sso_redirect()
        case FaultKind.REFUSED_ACCOUNT:
            return refused_account(service, path)
        case FaultKind.FORBIDDEN:
            return forbidden(service, path)
        case FaultKind.NOT_FOUND:
            return not_found(service, path)
        case FaultKind.HALF_BODY:
            assert true_answer is not None
            return Answer(true_answer.status, true_answer.headers, true_answer.body[: len(true_answer.body) // 2])
        case _:
            said = b"<html><body><h1>Service unavailable</h1></body></html>"
            return answer(f"{fault.status} ERROR", "text/html", said, **_retry_after(fault))


def _retry_after(fault: Fault) -> dict[str, str]:
    return {} if fault.retry_after is None else {"retry_after": retry_after_text(fault.retry_after)}


def _without_end() -> Iterator[bytes]:
    yield b'HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=UTF-8\r\nConnection: close\r\n\r\n{"values": ['
    while True:
        yield _CHUNK


def _hung_up() -> ConnectionAbortedError:
    return ConnectionAbortedError("told to drop the connection")


def _drain(environ: dict[str, Any]) -> None:
    """Read the request to its end: an unread body would reset the connection instead of closing it."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length:
        environ["wsgi.input"].read(length)
