"""What a request came to: an answer, or the one of our errors that says what the caller may do next.

Every adapter sends through :class:`Wire`, so that a timeout, a refusal and a broken answer mean the same whichever
service they came from. Nothing here repeats a request.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from bot.domain.rate_limits import Allowance
from bot.errors import AccountError, IntegrationError, PermanentError, Reach, RetryableError
from bot.services.evidence import UnprovenError, json_in
from bot.services.refusals import Answer, Service, is_page, is_shut_out, points_elsewhere, readable, refusal_of
from bot.services.transport import MOST_BYTES, LimitedAdapter, OutOfTimeError, TooLargeError

T = TypeVar("T")

_SHORTEST_WAIT = 1.0  # seconds; gateways that say 0 would be hammered
_LONGEST_WAIT = 300.0  # seconds; what asks for more is looked at again after this
_EPOCHAL = 1e9  # seconds; a larger number is a date
_ASKS_WHO = "407"  # in the words of a proxy that makes no tunnel for us
_ALLOWANCES = (  # what is left, when it is renewed, and the unit of an interval in seconds
    ("X-RateLimit-Remaining", "X-RateLimit-Reset", 1.0),  # Cloud
    ("X-RateLimit-Remaining", "X-RateLimit-Interval-Seconds", 1.0),  # Data Center
    ("X-Rate-Limit-Api-Token-Remaining", "X-Rate-Limit-Api-Token-Interval-Ms", 0.001),  # Trello
)


def make_session(ca_file: str | None) -> requests.Session:
    """Build a session that follows no redirect, so that nothing of ours reaches a host that config does not name.

    A caller passes `verify=session.verify` along, or the environment's REQUESTS_CA_BUNDLE would outrank *ca_file*.
    """
    session = requests.Session()
    session.max_redirects = 0
    session.verify = ca_file or True
    limit_time_and_size(session)
    session.auth = _as_it_is
    session.headers["Cache-Control"] = "no-cache"
    return session


def in_utf8(body: Mapping[str, Any]) -> bytes:
    """Write JSON whose every character is itself: in escapes, Chinese would take twice the room that services count."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


JSON_IN_UTF8 = {"Content-Type": "application/json; charset=utf-8"}


def limit_time_and_size(session: requests.Session) -> None:
    """Let what requests calls a timeout be the time for all of a request, and let no answer be too large."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, LimitedAdapter())


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stand where an account would, or requests takes one from ~/.netrc and puts it over the header that is ours."""
    return request


class Wire:
    """Sends requests to one service, each once."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._allowance: tuple[Allowance, float] | None = None  # and when it was told, as time.monotonic() says

    @property
    def allowance(self) -> Allowance | None:
        """Tell how many requests the service said it will still take; None where it does not say, or that is over."""
        if self._allowance is None:
            return None
        told, at = self._allowance
        left = told.resets_in - (time.monotonic() - at)
        return replace(told, resets_in=left) if left > 0 else None

    def ask(self, doing: str, send: Callable[[], Answer], parse: Callable[[Any], T], *, write: bool = False) -> T:
        """Send one request and let *parse* read the JSON of its answer, which has to prove that it was carried out.

        *doing* completes the sentence `Jira did not ...`. Raises RetryableError, doubtful only where *write* is set and
        the service may have carried the request out, or PermanentError.
        """
        return self.read(doing, send, lambda answer: parse(json_in(answer)), write=write)

    def read(self, doing: str, send: Callable[[], Answer], parse: Callable[[Answer], T], *, write: bool = False) -> T:
        """Send one request, as :meth:`ask` does, and parse its answer, headers and all."""
        answer = self._send(doing, send, write=write)
        try:
            return parse(answer)
        except UnprovenError as unproven:
            why = str(unproven)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            why = "cannot be understood"
        # Raised here, so that the answer's text does not trail behind as context.
        said = readable(answer.content) or "nothing"
        message = self._service.mask(
            f"{self._service.name} did not {doing} as far as its answer shows: it {why} ({said})."
        )
        if is_page(answer):  # who asks us to log in does not take our account
            raise AccountError(message, reach=Reach.KIND, doubtful=write, status=answer.status_code)
        raise RetryableError(message, doubtful=write)

    def _send(self, doing: str, send: Callable[[], Answer], *, write: bool) -> Answer:
        failure: IntegrationError
        try:
            response = send()
        except (requests.RequestException, ValueError, OSError) as error:
            # Raised outside, without the exception behind it: that one's text may hold a secret address or header.
            failure = self._broken(doing, error, write=write)
        else:
            told = allowance_of(response.headers)
            if told is not None:
                self._allowance = told, time.monotonic()
            if _is_fine(response):
                return response
            failure = refusal_of(self._service, doing, response, write=write, wait=retry_after(response.headers))
        raise failure

    def _broken(self, doing: str, error: Exception, *, write: bool) -> IntegrationError:
        if isinstance(error, requests.TooManyRedirects) and error.response is not None:
            return refusal_of(self._service, doing, error.response, write=write)
        name = self._service.name
        what = _what_broke(error, self._service)
        if what is None:
            return PermanentError(
                f"{name} was not asked to {doing}: the request cannot be built; look at its url, token and ca_file."
            )
        as_known = " as far as we know" if what.was_sent else ""  # what was not sent was not done
        message = f"{name} did not {doing}{as_known}: {what.words}."
        if any(isinstance(cause, _PROXY_ERRORS) and _ASKS_WHO in str(cause) for cause in _causes(error)):
            return AccountError(f"{message} It asks who we are (407): check HTTPS_PROXY.", reach=Reach.KIND, status=407)
        return RetryableError(message, doubtful=write and what.was_sent)


@dataclass(frozen=True, slots=True)
class _Break:
    words: str
    was_sent: bool


_PROXY_ERRORS = (urllib3.exceptions.ProxyError, requests.exceptions.ProxyError)
_BREAKS: tuple[tuple[tuple[type[BaseException], ...], str, bool], ...] = (  # the first that fits; bool: as was_sent
    ((OutOfTimeError,), "the time for all requests of one delivery was over before this one", False),
    ((TooLargeError,), f"its answer is larger than {MOST_BYTES // 1024**2} MiB", True),
    (
        _PROXY_ERRORS,
        "the proxy on the way to {host} lets nothing through",
        False,
    ),
    (
        (ssl.SSLCertVerificationError,),
        "the certificate of {host} is not trusted; where it is a private authority's, set ca_file",
        False,
    ),
    ((urllib3.exceptions.NameResolutionError, socket.gaierror), "there is no host named {host}", False),
    ((urllib3.exceptions.NewConnectionError,), "{host} takes no connections", False),
    (
        (urllib3.exceptions.ConnectTimeoutError, requests.ConnectTimeout),
        "{host} took no connection within {seconds} s",
        False,
    ),
    (
        (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError),
        "no answer within {seconds} s",
        True,
    ),
    (
        (
            ConnectionError,
            requests.ConnectionError,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ),
        "the connection broke off before its answer was whole",
        True,
    ),
)


def _what_broke(error: Exception, service: Service) -> _Break | None:
    """Tell how the exchange broke off, and whether the service may have got the request; None: it was never one."""
    host = urlsplit(service.base).hostname or service.base
    causes = list(_causes(error))
    for kinds, words, was_sent in _BREAKS:
        if any(isinstance(cause, kinds) for cause in causes):
            return _Break(words.format(host=host, seconds=f"{service.timeout:g}"), was_sent)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk the exceptions that requests and urllib3 wrap in each other's arguments."""
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [*cause.args, getattr(cause, "reason", None), getattr(cause, "original_error", None), cause.__cause__]
        waiting += [each for each in inner if isinstance(each, BaseException)]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds a service asks us to wait, from 1 to 300; None where it does not say."""
    said = headers.get("Retry-After", "").strip()
    if not said:
        return None
    try:
        seconds = float(said)
    except ValueError:
        until, now = _date(said), _date(headers.get("Date", "")) or datetime.now(UTC)
        if until is None:
            return None
        seconds = (until - now).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(seconds, _SHORTEST_WAIT), _LONGEST_WAIT)


def allowance_of(headers: Mapping[str, str]) -> Allowance | None:
    """Read how many more requests a service takes, as Jira, Confluence and Trello tell it; None where it does not."""
    for left, reset, unit in _ALLOWANCES:
        if left in headers and reset in headers:
            resets_in = _seconds_until(headers[reset], unit)
            with contextlib.suppress(ValueError):
                return None if resets_in is None else Allowance(int(headers[left]), min(resets_in, _LONGEST_WAIT))
    return None


def _seconds_until(said: str, unit: float) -> float | None:
    """Read an interval, a second of the epoch, or a moment such as 2026-11-24T10:15:00Z."""
    now = datetime.now(UTC)
    try:
        number = float(said)
    except ValueError:
        pass
    else:
        return number * unit if number * unit < _EPOCHAL else number - now.timestamp()
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()


def _date(said: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_fine(response: Answer) -> bool:
    return response.status_code < 400 and not points_elsewhere(response) and not is_shut_out(response)  # noqa: PLR2004
