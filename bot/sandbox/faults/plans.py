"""What goes wrong between a client and a service, told by header, by call, or drawn from a seed."""

from __future__ import annotations

import random
import re
import threading
from collections import deque
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bot.sandbox.rules import Rulebook, Service

if TYPE_CHECKING:
    from collections.abc import Callable

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
    TRICKLE_BEFORE = "trickle_before"  # nothing was done; an answer whose body comes byte by byte
    TRICKLE_AFTER = "trickle_after"  # the true answer, its body byte by byte
    TRICKLE_HEAD = "trickle_head"  # nothing was done; byte by byte from the status line on
    LOGIN_PAGE = "login_page"  # 200 with a page that asks who you are, nothing was done
    LOGIN_PAGE_AFTER = "login_page_after"  # the same, and yet it was done
    EMPTY_200 = "empty_200"  # 200 without a body, nothing was done
    EMPTY_200_AFTER = "empty_200_after"
    OTHER_JSON = "other_json"  # 200 with JSON of something else, nothing was done
    OTHER_JSON_AFTER = "other_json_after"
    ENDLESS = "endless"  # 200 and a body without end, nothing was done
    SSO_REDIRECT = "sso_redirect"  # 302 to another host's login
    REFUSED_ACCOUNT = "refused_account"  # the credentials hold no longer, in each service's own words
    FORBIDDEN = "forbidden"  # 403, whatever is asked
    NOT_FOUND = "not_found"  # 404, whatever is asked: what some say to an account that may see nothing


BREAKS = (
    FaultKind.RATE_LIMITED,
    FaultKind.ERROR_BEFORE,
    FaultKind.ERROR_AFTER,
    FaultKind.DROP_BEFORE,
    FaultKind.DROP_AFTER,
    FaultKind.HALF_BODY,
    FaultKind.STALL_BEFORE,
    FaultKind.STALL_AFTER,
)
TRICKLES = (FaultKind.TRICKLE_BEFORE, FaultKind.TRICKLE_AFTER, FaultKind.TRICKLE_HEAD)
NO_ANSWERS = (  # success by its status, and nothing else
    FaultKind.LOGIN_PAGE,
    FaultKind.LOGIN_PAGE_AFTER,
    FaultKind.EMPTY_200,
    FaultKind.EMPTY_200_AFTER,
    FaultKind.OTHER_JSON,
    FaultKind.OTHER_JSON_AFTER,
)
REFUSALS = (FaultKind.SSO_REDIRECT, FaultKind.REFUSED_ACCOUNT, FaultKind.FORBIDDEN)


@dataclass(frozen=True, slots=True)
class Fault:
    """Strikes requests that match, after letting *skip* of them pass, *times* times (0: for ever).

    With *lasts* it is an episode: it ends by itself that many seconds after it was set.
    """

    kind: FaultKind
    service: Service | None = None
    method: str | None = None
    path: str | None = None  # a regular expression, searched in the path behind the service's prefix
    times: int = 1
    skip: int = 0
    status: int = 503  # of the two errors
    retry_after: str | None = None  # "1", "0", "3600", or "date:30" for an HTTP date 30 s ahead
    seconds: float = 30.0  # how long a stall lasts
    pause: float = 1.0  # seconds between two bytes of a trickle
    lasts: float | None = None  # seconds

    def matches(self, service: Service, method: str, path: str) -> bool:
        return (
            self.service in (None, service)
            and self.method in (None, method)
            and (self.path is None or re.search(self.path, path) is not None)
        )


def episode(kind: FaultKind, service: Service | None, seconds: float, **more: Any) -> Fault:
    """Build a fault that strikes all that matches for so long."""
    return Fault(kind, service, times=0, lasts=seconds, **more)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Strikes a share of all requests; the n-th request of a service always meets the same fate."""

    seed: int
    rate: float  # 0..1
    kinds: tuple[FaultKind, ...] = BREAKS
    services: tuple[Service, ...] = tuple(Service)
    methods: tuple[str, ...] = ("POST", "PUT")
    retry_after: str | None = "1"
    seconds: float = 1.0
    pause: float = 1.0

    def draw(self, service: Service, method: str, number: int) -> Fault | None:
        fate = random.Random(f"{self.seed}:{service}:{number}")  # noqa: S311 - repeatable, not secret
        if service not in self.services or method not in self.methods or fate.random() >= self.rate:
            return None
        return Fault(fate.choice(self.kinds), retry_after=self.retry_after, seconds=self.seconds, pause=self.pause)


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
            self._faults.append(_Armed(fault, self._clock()))

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
            self._faults = [armed for armed in self._faults if not armed.is_over(self._clock())]
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
    """A fault, until when it holds, and how often it has been met."""

    def __init__(self, fault: Fault, now: float) -> None:
        self.fault = fault
        self._until = None if fault.lasts is None else now + fault.lasts
        self._met = 0

    def is_over(self, now: float) -> bool:
        return self._until is not None and now >= self._until

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
    if values.get("lasts") is not None:
        values = {"times": 0, **values}  # an episode strikes all that comes
    readers: dict[str, Callable[[Any], Any]] = {
        "kind": FaultKind,
        "service": Service,
        "times": int,
        "skip": int,
        "status": int,
        "seconds": float,
        "pause": float,
        "lasts": float,
    }
    return Fault(**{name: readers.get(name, str)(value) for name, value in values.items() if value is not None})


def retry_after_text(given: str) -> str:
    """Write a Retry-After header: a number as it is, `date:30` as the HTTP date in 30 seconds."""
    if not given.startswith("date:"):
        return given
    moment = datetime.now(UTC) + timedelta(seconds=float(given.removeprefix("date:")))
    return format_datetime(moment.replace(microsecond=0), usegmt=True)
