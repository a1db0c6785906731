"""A deadline for the whole of a request, and a bound on the size of its answer, kept by the socket itself.

`requests` and urllib3 take their timeout for each single read, so that a server which sends a byte a second holds them
for as long as it likes, in its headers as in its body. Here every read and write of a socket has no more time than what
is left of the request's.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family, create_connection
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

from bot.runtime.deadline import seconds_left
from bot.runtime.request_counts import NO_ANSWER, requests_made

MOST_BYTES = 32 * 1024**2  # of an answer, packed or not; the largest board of cards has less
_MOST_ROWS = 256 * 1024**2  # bytes of a page of runs with all their metrics
_CALL, _TRANSFER = 60.0, 600.0  # seconds for a question with its repetitions, and for a file
_OK = 200
_QUESTION = re.compile(r"/api/\d+\.\d+/mlflow/")  # whoever takes a file may say nothing
_USUAL_SECONDS = 30.0  # where a caller names none


class OutOfTimeError(TimeoutError):
    """There was no time left to ask."""


class TooLargeError(OSError):
    """The answer is larger than what is taken."""


@dataclass(slots=True)
class Limit:
    """What one request may still take."""

    until: float = float("inf")  # as time.monotonic() tells it
    bytes_left: float = float("inf")

    def seconds(self) -> float:
        """Return how long it may still take; raises TimeoutError where that is over."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for the request is over")
        return left

    def took(self, size: int) -> None:
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise TooLargeError("the answer is too large")


_NONE = Limit()
_HTML = ("html", "/version")  # ends of addresses: pages that were logged, and what MLflow sends its version as
_current: ContextVar[Limit] = ContextVar("limit", default=_NONE)  # of the request that is being made


class _Socket(socket.socket):
    """A socket whose every operation keeps to the limit of the request at hand."""

    limit: Limit = _NONE
    patience: float | None = None  # for a single operation, as settimeout sets it

    def settimeout(self, value: float | None, /) -> None:
        self.patience = value
        super().settimeout(value)

    def recv(self, *arguments: Any) -> bytes:
        self._hurry()
        got = super().recv(*arguments)
        self.limit.took(len(got))
        return got

    def recv_into(self, *arguments: Any) -> int:
        self._hurry()
        size = super().recv_into(*arguments)
        self.limit.took(size)
        return size

    def send(self, *arguments: Any) -> int:
        self._hurry()
        return super().send(*arguments)

    def sendall(self, *arguments: Any) -> None:
        self._hurry()  # of a plain socket, whose timeout is for all of it; one of TLS sends piece by piece
        return super().sendall(*arguments)

    def _hurry(self) -> None:
        if self.limit.until != _NONE.until:
            left = self.limit.seconds()
            super().settimeout(left if self.patience is None else min(left, self.patience))


class _TlsSocket(_Socket, ssl.SSLSocket):
    """The same over TLS; Python keeps to one timeout for a whole handshake by itself."""


class _Limited(HTTPConnection):
    """What connections share, with TLS and without."""

    limit: Limit = _NONE

    def connect(self) -> None:
        self._keep_to_limit()
        super().connect()

    def request(self, *arguments: Any, **named: Any) -> None:
        self._keep_to_limit()
        super().request(*arguments, **named)

    def _keep_to_limit(self) -> None:
        """Keep to the limit of the request at hand."""
        self.limit = _current.get()
        if isinstance(self.sock, _Socket):
            self.sock.limit = self.limit

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that answers; each gets its share of the time.

        urllib3 has no public way to make a socket of our own kind, nor to the name with the dot that may end it.
        """
        try:
            host = self._dns_host.strip("[]")
            found = socket.getaddrinfo(host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        failure: OSError = OSError("it has no address")
        for number, (*_, address) in enumerate(found):
            try:
                return self._limited(address, len(found) - number)
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out.") from failure
        raise NewConnectionError(self, f"Failed to establish a new connection: {failure}") from failure

    def _limited(self, address: Any, shares: int) -> _Socket:
        seconds = self.timeout if isinstance(self.timeout, int | float) else None
        if self.limit.until != _NONE.until:
            left = self.limit.seconds() / shares
            seconds = left if seconds is None else min(left, seconds)
        plain = create_connection(address[:2], seconds, self.source_address, self.socket_options)
        limited = _Socket(plain.family, plain.type, plain.proto, fileno=plain.detach())
        limited.limit = self.limit
        limited.settimeout(self.limit.seconds() if self.limit.until != _NONE.until else seconds)
        return limited


class _TlsConnection(_Limited, HTTPSConnection):
    def connect(self) -> None:
        if self.ssl_context is None:  # what urllib3 would make itself
            self.ssl_context = create_urllib3_context(
                ssl_minimum_version=self.ssl_minimum_version,
                ssl_maximum_version=self.ssl_maximum_version,
                cert_reqs=resolve_cert_reqs(self.cert_reqs),
            )
        self.ssl_context.sslsocket_class = _TlsSocket
        super().connect()
        self._keep_to_limit()


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Limited


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _PlainPool, "https": _TlsPool}


class LimitedAdapter(HTTPAdapter):
    """Carries the requests of a session; what a caller gives as `timeout` is the time for all of a request."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **named)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def limit_for(
        self,
        request: requests.PreparedRequest,  # noqa: ARG002 - for those that differ
        timeout: Any,
        *,
        stream: bool,  # noqa: ARG002
    ) -> Limit:
        """Return what a request may take, apart from the time that is left for all around it."""
        seconds = timeout if isinstance(timeout, int | float) else _USUAL_SECONDS
        return Limit(time.monotonic() + seconds, MOST_BYTES)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - as requests has it
        timeout: Any = None,
        verify: Any = True,  # noqa: FBT002
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        limit = self.limit_for(request, timeout, stream=stream)
        most, left = limit.bytes_left, seconds_left()
        if left <= 0:
            raise OutOfTimeError("there is no time left for this request")
        limit.until = min(limit.until, time.monotonic() + left)
        token, status = _current.set(limit), NO_ANSWER
        try:
            response = super().send(request, stream=True, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
            status = str(response.status_code)
        finally:
            _current.reset(token)
            requests_made.note(request.url or "", status)
        if not stream:
            _bound(response, most)
        return response


class TransferAdapter(LimitedAdapter):
    """Carries what MLflow's client asks: a file, in or out, has longer than a question and may be of any size.

    An answer without a word, and a page in a file's place, are no answers; that client takes them for nothing there.
    The last answer after all repetitions is handed over: who asked is told what was answered, not that nothing was.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.max_retries = self.max_retries.new(raise_on_status=False)

    def limit_for(self, request: requests.PreparedRequest, timeout: Any, *, stream: bool) -> Limit:
        del timeout  # for a single read, and kept to as such
        if stream or hasattr(request.body, "read"):
            return Limit(time.monotonic() + _TRANSFER)
        return Limit(time.monotonic() + _CALL, _MOST_ROWS)

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        response = super().build_response(req, resp)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        is_asked_for = urlsplit(req.url or "").path.endswith(_HTML)
        if response.status_code == _OK and kind == "text/html" and not is_asked_for:
            response.close()
            raise requests.ConnectionError("a page for people is in the place of what was asked for")
        return response

    def send(self, request: requests.PreparedRequest, stream: bool = False, *more: Any, **named: Any) -> Any:  # noqa: FBT001, FBT002
        response = super().send(request, stream, *more, **named)
        is_question = _QUESTION.search(request.url or "") is not None
        if not stream and is_question and response.status_code == _OK and not response.content.strip():
            raise requests.ConnectionError("the answer is empty where something is due")
        return response


def limited(base: type[HTTPAdapter]) -> type[HTTPAdapter]:
    """Return an adapter like *base* that keeps to a time and a size."""
    return type(f"Limited{base.__name__}", (TransferAdapter, base), {})


def _bound(response: requests.Response, most: float) -> None:
    """Let no more be read of an answer, which may unpack to more than was sent."""
    bounded_one = weakref.ref(response)  # if it held itself, its connection would be closed whenever that is noticed

    def bounded(chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:  # noqa: FBT001, FBT002
        answer: Any = bounded_one()
        size = 0
        for piece in requests.Response.iter_content(answer, chunk_size, decode_unicode):  # type: ignore[call-overload]
            size += len(piece)
            if size > most:
                answer.close()
                raise TooLargeError("the answer is too large")
            yield piece

    response.iter_content = bounded  # type: ignore[method-assign]
