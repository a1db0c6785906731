"""Requests to a Ray cluster, each sent once, and what becomes of those that are not answered."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import requests

from bot.errors import ExecutorAwayError
from bot.executors.asked_waits import BUSY, asked_wait, said_of_wait
from bot.executors.ray.answers import refusal_in
from bot.executors.ray.config import RaySection

_MOST_BYTES = 20_000_000  # of an answer that is no log
_AT_ONCE = 65_536
_JOBS = "/api/jobs/"
_LONGEST = 200  # characters of what is no answer of Ray's


class UnknownJobError(Exception):
    """Ray has no job of that name."""


class NotDoneError(Exception):
    """Ray refused it, or broke down over it; its words, and whether it says that the request was wrong."""

    def __init__(self, said: str, *, is_wrong: bool) -> None:
        super().__init__(said)
        self.is_wrong = is_wrong


class RayConnection:
    """Asks the dashboard of one cluster.

    Its methods raise ExecutorAwayError where no answer of Ray's comes back, or who asks is refused.
    """

    def __init__(self, section: RaySection) -> None:
        self._section = section
        self._session = requests.Session()
        self._session.max_redirects = 0
        self._session.verify = section.ca_file or True
        self._session.auth = _as_it_is
        if token := section.token.get_secret_value():
            self._session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return the JSON object that answers it.

        Raises:
            UnknownJobError: where Ray has no such job.
            NotDoneError: where it did not do it.
        """
        with self._send(method, path, body) as answer:
            text = b"".join(self._chunks(answer, _MOST_BYTES)).decode("utf-8", "replace")
        if _says_unknown(answer, text, path):
            raise UnknownJobError(path)
        if answer.status_code == HTTPStatus.BAD_REQUEST or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            is_wrong = answer.status_code == HTTPStatus.BAD_REQUEST
            raise NotDoneError(refusal_in(text), is_wrong=is_wrong or "status code 400" in text)
        with contextlib.suppress(ValueError, RecursionError):
            read = json.loads(text)
            if answer.status_code == HTTPStatus.OK and isinstance(read, dict):
                return read
        raise self._away(f"answers {answer.status_code}, and not as Ray does: {' '.join(text.split())[:_LONGEST]!r}")

    @contextmanager
    def stream(self, path: str) -> Iterator[Iterator[bytes]]:
        """Open an answer that may be long.

        Raises:
            UnknownJobError: where Ray has no such job.
        """
        with self._send("GET", path, None) as answer:
            if answer.status_code == HTTPStatus.NOT_FOUND:
                text = b"".join(self._chunks(answer, _MOST_BYTES)).decode("utf-8", "replace")
                if _says_unknown(answer, text, path):
                    raise UnknownJobError(path)
            if answer.status_code != HTTPStatus.OK:
                raise self._away(f"gives no log: it answers {answer.status_code}")
            yield self._chunks(answer, None)

    @contextmanager
    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> Iterator[requests.Response]:
        try:
            with self._session.request(
                method,
                self._section.base + path,
                json=body,
                timeout=self._section.timeout.total_seconds(),
                verify=self._session.verify,
                allow_redirects=False,
                stream=True,
            ) as answer:
                if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                    raise self._away(f"refuses who asks ({answer.status_code}): check its token")
                if answer.status_code in BUSY:
                    wait = asked_wait({name.lower(): value for name, value in answer.headers.items()})
                    raise self._away(f"is busy (HTTP {answer.status_code}){said_of_wait(wait)}", wait)
                yield answer
        except requests.RequestException as error:
            raise self._away(_what_broke(error, self._section)) from None  # its words may hold the address of a proxy
        except OSError:  # of the file, before anything is sent
            raise self._away(f"cannot be asked: ca_file {self._section.ca_file} cannot be read") from None

    def _chunks(self, answer: requests.Response, limit: int | None) -> Iterator[bytes]:
        until = time.monotonic() + self._section.timeout.total_seconds()
        size = 0
        for chunk in answer.iter_content(_AT_ONCE):
            size += len(chunk)
            if time.monotonic() > until:
                raise self._away(f"did not answer whole within {self._section.timeout.total_seconds():g} s")
            if limit is not None and size > limit:
                raise self._away(f"gives an answer of more than {limit:,} bytes")
            yield chunk

    def _away(self, said: str, wait: float | None = None) -> ExecutorAwayError:
        return ExecutorAwayError(f"Ray at {self._section.base} {said}", retry_after=wait)


def _says_unknown(answer: requests.Response, text: str, path: str) -> bool:
    """Say whether Ray itself says that it has no such job: a proxy's page, or a word on another job, is not that."""
    name = path.removeprefix(_JOBS).partition("/")[0]
    return (
        answer.status_code == HTTPStatus.NOT_FOUND
        and path.startswith(_JOBS)
        and answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/plain"
        and text.strip() == f"Job {name} does not exist"
    )


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stand where an account would, or requests takes one from ~/.netrc and puts it over the header that is ours."""
    return request


def _what_broke(error: requests.RequestException, section: RaySection) -> str:
    match error:
        case requests.exceptions.SSLError():
            return "has a certificate that is not trusted; where it is a private authority's, set ca_file"
        case requests.TooManyRedirects():
            return "sends us elsewhere, where Herald does not go: check its url"
        case requests.Timeout():
            return f"did not answer within {section.timeout.total_seconds():g} s"
        case requests.exceptions.ChunkedEncodingError() | requests.exceptions.ContentDecodingError():
            return "broke off before its answer was whole"
        case requests.ConnectionError():
            return "takes no connection, or broke it off"
        case _:
            return "cannot be asked: check its url"
