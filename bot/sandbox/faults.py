"""What goes wrong between a client and a service, told by header, by call, or drawn from a seed."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import deque
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bot.sandbox.rules import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.sandbox.rules import Rulebook

    WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]

FAULT_HEADER = "HTTP_X_SANDBOX_FAULT"


_KEPT_REQUESTS = 100_000  # in the log: a stand-in may run for weeks


class FaultKind(StrEnum):
    RATE_LIMITED = "rate_limited"
    ERROR_BEFORE = "error_before"  # 5xx, nothing was done
    ERROR_AFTER = "error_after"  # 5xx, and yet it was done
    DROP_BEFORE = "drop_before"  # the connection closes without an answer, nothing was done
    DROP_AFTER = "drop_after"  # the same, and yet it was done
    HALF_BODY = "half_body"  # the answer breaks off in the middle
    STALL_BEFORE = "stall_before"  # silence, then nothing was done
    STALL_AFTER = "stall_after"  # done at once, then silence


@dataclass(frozen=True, slots=True)
class Fault:
    """Strikes requests that match, after letting *skip* of them pass, *times* times (0: for ever)."""

    kind: FaultKind
    service: Service | None = None
    method: str | None = None
    path: str | None = None  # a regular expression, searched in the path behind the service's prefix
    times: int = 1
    skip: int = 0
    status: int = 503  # of the two errors
    retry_after: str | None = None  # "1", "0", "3600", or "date:30" for an HTTP date 30 s ahead
    seconds: float = 30.0  # how long a stall lasts

    def matches(self, service: Service, method: str, path: str) -> bool:
        return (
            self.service in (None, service)
            and self.method in (None, method)
            and (self.path is None or re.search(self.path, path) is not None)
        )


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Strikes a share of all requests; the n-th request of a service always meets the same fate."""

    seed: int
    rate: float  # 0..1
    kinds: tuple[FaultKind, ...] = tuple(FaultKind)
    services: tuple[Service, ...] = tuple(Service)
    methods: tuple[str, ...] = ("POST", "PUT")
    retry_after: str | None = "1"
    seconds: float = 1.0

    def draw(self, service: Service, method: str, number: int) -> Fault | None:
        fate = random.Random(f"{self.seed}:{service}:{number}")  # noqa: S311 - repeatable, not secret
        if service not in self.services or method not in self.methods or fate.random() >= self.rate:
            return None
        return Fault(fate.choice(self.kinds), retry_after=self.retry_after, seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Lets *limit* requests of a kind through in *per_seconds*, and answers 429 to the rest."""

    service: Service
    path: str  # a regular expression
    limit: int
    per_seconds: float
    method: str | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What one request was and came to."""

    number: int
    at: float  # seconds since the epoch
    service: str
    method: str
    path: str
    status: int  # 0: the connection was dropped
    fault: FaultKind | None
    seconds: float


class Faults:
    """All faults in force and the log of all requests; one lock for both."""

    def __init__(self, clock: Callable[[], float], rulebook: Rulebook) -> None:
        self._clock = clock
        self._rulebook = rulebook
        self._trello_times: list[float] = []
        self._lock = threading.Lock()
        self._faults: list[_Armed] = []
        self._plan: FaultPlan | None = None
        self._seen: dict[Service, int] = {}
        self._limits: list[tuple[RateLimit, list[float]]] = []
        self._log: deque[RequestRecord] = deque(maxlen=_KEPT_REQUESTS)
        self._number = 0
        self.delay = 0.0  # seconds that every request takes longer
        self.stopping = threading.Event()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(_Armed(fault))

    def follow(self, plan: FaultPlan | None) -> None:
        with self._lock:
            self._plan = plan
            self._seen = {}

    def limit(self, limit: RateLimit) -> None:
        with self._lock:
            self._limits.append((limit, []))

    def clear(self) -> None:
        with self._lock:
            self._faults = []
            self._plan = None
            self._limits = []

    def requests(self, service: Service | None = None) -> list[RequestRecord]:
        with self._lock:
            return [one for one in self._log if service in (None, one.service)]

    def forget_requests(self) -> None:
        with self._lock:
            self._log.clear()

    def choose(self, service: Service, method: str, path: str, told: str | None) -> Fault | None:
        """Decide what happens to this request; a header wins over calls, calls over limits and the plan."""
        with self._lock:
            number = self._seen[service] = self._seen.get(service, 0) + 1
            if told:
                return parse_fault(told)
            for armed in self._faults:
                if armed.strikes(service, method, path):
                    return armed.fault
            if self._is_over_a_limit(service, method, path):
                return Fault(FaultKind.RATE_LIMITED, retry_after="1")
            return self._plan.draw(service, method, number) if self._plan else None

    def _is_over_a_limit(self, service: Service, method: str, path: str) -> bool:
        now = self._clock()
        for limit, times in [*self._limits, *self._standing_limits()]:
            if limit.service != service or limit.method not in (None, method) or not re.search(limit.path, path):
                continue
            times[:] = [at for at in times if at > now - limit.per_seconds]
            if len(times) >= limit.limit:
                return True
            times.append(now)
        return False

    def _standing_limits(self) -> list[tuple[RateLimit, list[float]]]:
        """Return the limit that Trello sets to a token, where the rules ask for it."""
        allowed = self._rulebook.trello.requests_per_10s
        return [(RateLimit(Service.TRELLO, "^/1/", allowed, 10.0), self._trello_times)] if allowed else []

    def record(self, service: str, method: str, path: str, status: int, fault: Fault | None, seconds: float) -> None:
        with self._lock:
            self._number += 1
            kind = fault.kind if fault else None
            self._log.append(
                RequestRecord(self._number, self._clock(), service, method, path, status, kind, round(seconds, 4))
            )


class _Armed:
    """A fault and how often it has been met."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._met = 0

    def strikes(self, service: Service, method: str, path: str) -> bool:
        if not self.fault.matches(service, method, path):
            return False
        self._met += 1
        struck = self._met - self.fault.skip
        return struck > 0 and (self.fault.times == 0 or struck <= self.fault.times)


def parse_fault(text: str) -> Fault:
    """Read `kind; name=value; ...` from a header; raise ValueError where it makes no sense."""
    kind, *options = (part.strip() for part in text.split(";"))
    values: dict[str, Any] = {"kind": kind}
    for option in options:
        name, _, value = option.partition("=")
        values[name.strip()] = value.strip()
    return make_fault(values)


def make_fault(values: dict[str, Any]) -> Fault:
    """Build a fault from words and numbers; raise ValueError naming what is wrong."""
    known = {one.name for one in fields(Fault)}
    for name in values:
        if name not in known:
            raise ValueError(f"{name}: a fault has no such part; there are {', '.join(sorted(known))}")
    if "kind" not in values:
        raise ValueError(f"kind: missing; one of {', '.join(FaultKind)}")
    readers: dict[str, Callable[[Any], Any]] = {
        "kind": FaultKind,
        "service": Service,
        "times": int,
        "skip": int,
        "status": int,
        "seconds": float,
    }
    return Fault(**{name: readers.get(name, str)(value) for name, value in values.items() if value is not None})


def retry_after_text(given: str) -> str:
    """Write a Retry-After header: a number as it is, `date:30` as the HTTP date in 30 seconds."""
    if not given.startswith("date:"):
        return given
    moment = datetime.now(UTC) + timedelta(seconds=float(given.removeprefix("date:")))
    return format_datetime(moment.replace(microsecond=0), usegmt=True)


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def code(self) -> int:
        return int(self.status.split(" ", 1)[0])


class FaultyServices:
    """Stands between the socket and the services: strikes, or lets pass, and keeps the log."""

    def __init__(
        self,
        services: dict[Service, WSGIApplication],
        faults: Faults,
        too_many: Callable[[Service], tuple[str, bytes]],
    ) -> None:
        self._services = services
        self._faults = faults
        self._too_many = too_many

    def __call__(self, service: Service, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        started = time.monotonic()
        answer = None
        try:
            fault = self._faults.choose(service, method, path, environ.get(FAULT_HEADER))
        except ValueError as error:
            start_response("400 BAD REQUEST", [("Content-Type", "text/plain; charset=utf-8")])
            return [f"X-Sandbox-Fault: {error}".encode()]
        try:
            if self._faults.delay:
                self._faults.stopping.wait(self._faults.delay)
            answer = self._perform(service, environ, fault)
        finally:
            code = answer.code if answer else 0
            self._faults.record(service, method, path, code, fault, time.monotonic() - started)
        start_response(answer.status, answer.headers)
        if fault and fault.kind is FaultKind.HALF_BODY:
            return [answer.body[: len(answer.body) // 2]]
        return [answer.body]

    def _perform(self, service: Service, environ: dict[str, Any], fault: Fault | None) -> Answer:
        """Answer, or raise ConnectionAbortedError, which makes the server close without a word."""
        match fault and fault.kind:
            case FaultKind.RATE_LIMITED:
                assert fault is not None
                _drain(environ)
                return self._rate_limited(service, fault)
            case FaultKind.ERROR_BEFORE:
                assert fault is not None
                _drain(environ)
                return _error(fault)
            case FaultKind.ERROR_AFTER:
                assert fault is not None
                self._pass_on(service, environ)
                return _error(fault)
            case FaultKind.DROP_BEFORE | FaultKind.STALL_BEFORE:
                _drain(environ)
                return self._hang_up(fault)
            case FaultKind.DROP_AFTER | FaultKind.STALL_AFTER:
                self._pass_on(service, environ)
                return self._hang_up(fault)
            case _:
                return self._pass_on(service, environ)

    def _hang_up(self, fault: Fault | None) -> Answer:
        if fault and fault.kind in (FaultKind.STALL_BEFORE, FaultKind.STALL_AFTER):
            self._faults.stopping.wait(fault.seconds)
        raise ConnectionAbortedError("told to drop the connection")

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

    def _rate_limited(self, service: Service, fault: Fault) -> Answer:
        media_type, body = self._too_many(service)
        headers = [("Content-Type", media_type), ("Content-Length", str(len(body)))]
        if fault.retry_after is not None:
            headers.append(("Retry-After", retry_after_text(fault.retry_after)))
        return Answer("429 TOO MANY REQUESTS", headers, body)


def _error(fault: Fault) -> Answer:
    body = b"<html><body><h1>Service unavailable</h1></body></html>"
    headers = [("Content-Type", "text/html"), ("Content-Length", str(len(body)))]
    if fault.retry_after is not None:
        headers.append(("Retry-After", retry_after_text(fault.retry_after)))
    return Answer(f"{fault.status} ERROR", headers, body)


def _drain(environ: dict[str, Any]) -> None:
    """Read the request to its end: an unread body would reset the connection instead of closing it."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length:
        environ["wsgi.input"].read(length)
