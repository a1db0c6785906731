"""Requests to a cluster, through the official client: its ways to sign in, our words for what comes back."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.errors import ExecutorAwayError, abridge
from bot.executors.asked_waits import BUSY, asked_wait, said_of_wait
from bot.executors.kubernetes.config import KubernetesSection
from bot.text.escape import storable

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_CONNECT_SECONDS, _READ_SECONDS = 5.0, 15.0  # so that whoever is to stop need not wait for long
_MOST_BYTES = 20_000_000  # of an answer
_LONGEST = 400  # characters of the cluster's words
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT = 401, 403, 404, 409
_GONE = 410
_SERVER_ERRORS = 500
_MOST_PAGES = 40  # of a list


@dataclass(frozen=True, slots=True)
class KubernetesAnswer:
    status: int
    body: Mapping[str, Any]
    at: datetime  # by the cluster's clock

    @property
    def is_well(self) -> bool:
        return self.status < 300  # noqa: PLR2004

    @property
    def said(self) -> str:
        """The cluster's own words, in a line."""
        return in_a_line(str(self.body.get("message") or self.body.get("reason") or f"HTTP {self.status}"))

    @property
    def items(self) -> list[Mapping[str, Any]]:
        """What is in a list, as far as it has the shape of an object."""
        found = self.body.get("items")
        listed = found if isinstance(found, list) else []
        return [each for each in listed if isinstance(each, Mapping) and isinstance(each.get("metadata"), Mapping)]


def without_nulls(read: Any) -> Any:
    """Return an answer without what is null in it, which to Kubernetes is the same as if it were not there."""
    if isinstance(read, dict):
        return {key: without_nulls(value) for key, value in read.items() if value is not None}
    return [without_nulls(each) for each in read if each is not None] if isinstance(read, list) else read


def in_a_line(text: str) -> str:
    return abridge(" ".join(storable(text).split()), _LONGEST)


class KubernetesConnection:
    """A cluster as config names it; the client is made at the first request, and made anew once it was refused."""

    def __init__(self, section: KubernetesSection) -> None:
        self._section = section
        self._client: ApiClient | None = None
        self._making = threading.Lock()

    def ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> KubernetesAnswer:
        """Send a request and return what Kubernetes answered, a refusal too.

        Raises:
            ExecutorAwayError: where it did not answer, refused who asks, or what answered is no Kubernetes.
        """
        status, headers, data = self._send(method, path, query, body, _MOST_BYTES)
        try:
            read = without_nulls(json.loads(data))
        except (ValueError, RecursionError):
            read = None
        if read is None and status in BUSY:  # it says so in plain text before it looks at anything
            wait = asked_wait(headers)
            raise ExecutorAwayError(f"{self.place} is busy (HTTP {status}){said_of_wait(wait)}", retry_after=wait)
        if not isinstance(read, dict) or "kind" not in read:
            raise ExecutorAwayError(f"what answers at {self.place} is no Kubernetes (HTTP {status})")
        return self._answer(status, headers, read)

    def all_of(self, path: str, query: Mapping[str, str] | None = None) -> list[Mapping[str, Any]]:
        """Return everything of a list, page by page; nothing where Herald may not see it.

        A page may come too late for the server, which says 410: then the list is asked for anew, from its beginning.

        Raises:
            ExecutorAwayError: where the cluster cannot be asked.
        """
        found: list[Mapping[str, Any]] = []
        goes_on = ""
        for _ in range(_MOST_PAGES):
            page = {**(query or {}), "limit": "500", **({"continue": goes_on} if goes_on else {})}
            answer = self.ask("GET", path, page)
            if answer.status == _GONE and goes_on:
                found, goes_on = [], ""
                continue
            found += answer.items
            goes_on = str((answer.body.get("metadata") or {}).get("continue") or "") if answer.is_well else ""
            if not goes_on:
                break
        return found

    def text(self, path: str, query: Mapping[str, str], limit: int) -> bytes:
        """Return the beginning of a text, at most *limit* bytes; nothing where it is refused."""
        status, headers, data = self._send("GET", path, query, None, limit)
        if status < 300:  # noqa: PLR2004
            return data
        self._answer(status, headers, {})
        return b""

    def _answer(self, status: int, headers: Mapping[str, str], body: Mapping[str, Any]) -> KubernetesAnswer:
        answer = KubernetesAnswer(status, body, _moment(headers.get("date", "")))
        if status == UNAUTHORIZED:
            self._client = None  # a token is read anew
            raise ExecutorAwayError(f"{self.place} refuses who asks: {answer.said}: give it a token that it takes")
        if status in BUSY or status >= _SERVER_ERRORS:
            wait = asked_wait(headers) if status in BUSY else None
            said = f"{self.place} does not answer well (HTTP {status}){said_of_wait(wait)}: {answer.said}"
            raise ExecutorAwayError(said, retry_after=wait)
        return answer

    def _send(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None, limit: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            from kubernetes.client.exceptions import ApiException
        except ModuleNotFoundError as error:
            said = f"{self.place} cannot be asked without its client ({error}): install Herald's extra [kubernetes]"
            raise ExecutorAwayError(said) from None
        from urllib3.exceptions import HTTPError

        try:
            client = self._signed_in()
            _, url, headers, sent, _ = client.param_serialize(
                method=method,
                resource_path=path,
                query_params=[*(query or {}).items()],
                header_params={"Accept": "application/json, */*", "Content-Type": "application/json"},
                body=body,
                auth_settings=["BearerToken"],
            )
            found = client.call_api(
                method, url, header_params=headers, body=sent, _request_timeout=(_CONNECT_SECONDS, _READ_SECONDS)
            )
            try:
                data = found.response.read(limit, decode_content=True)
            finally:
                found.response.close()
        except ValueError:  # its words may hold a token that it could not send
            self._client = None
            said = "what it is to send cannot be sent: check its token, and that of its kubeconfig: one line of ASCII"
            raise ExecutorAwayError(f"{self.place} cannot be asked: {said}") from None
        except (ApiException, HTTPError, OSError) as error:
            reason = error.reason if isinstance(error, ApiException) else error
            raise ExecutorAwayError(f"{self.place} cannot be reached: {_why(reason)}") from None
        return found.status, {key.lower(): value for key, value in found.headers.items()}, data

    @property
    def place(self) -> str:
        """Name the cluster as config does."""
        section = self._section
        if section.url is not None:
            return f"Kubernetes at {str(section.url).rstrip('/')}"
        if section.context:
            return f"Kubernetes of the context {section.context!r}"
        return "Kubernetes"

    def _signed_in(self) -> ApiClient:
        """Return the client; what Herald is given to sign in with may be anything, and is not repeated."""
        from kubernetes.config import ConfigException
        from yaml import YAMLError

        try:
            return self._made()
        except (ConfigException, YAMLError) as error:
            raise ExecutorAwayError(f"cannot sign in to {self.place}: {in_a_line(str(error))}") from None
        except OSError as error:
            said = (
                f"{error.filename}: {error.strerror}" if error.filename else error.strerror or "a file cannot be read"
            )
            raise ExecutorAwayError(f"cannot sign in to {self.place}: {said}: check ca_file and kubeconfig") from None
        except (ValueError, TypeError, AttributeError, LookupError):
            said = "its kubeconfig is none that can be read: check its shape, and that what is in base64 is whole"
            raise ExecutorAwayError(f"cannot sign in to {self.place}: {said}") from None

    def _made(self) -> ApiClient:
        with self._making:
            if self._client is None:
                self._client = _make_client(self._section)
            return self._client


def _make_client(section: KubernetesSection) -> ApiClient:
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import load_incluster_config, load_kube_config

    configuration = Configuration()
    if section.url is not None:
        configuration.host = str(section.url).rstrip("/")
        token = section.token.get_secret_value()
        if token:
            configuration.api_key, configuration.api_key_prefix = {"authorization": f"Bearer {token}"}, {}
        if section.ca_file:
            Path(section.ca_file).expanduser().open("rb").close()
            configuration.ssl_ca_cert = str(Path(section.ca_file).expanduser())
    elif not section.kubeconfig and not section.context and "KUBERNETES_SERVICE_HOST" in os.environ:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        place = str(Path(section.kubeconfig).expanduser()) if section.kubeconfig else None
        load_kube_config(  # type: ignore[no-untyped-call]
            place, section.context or None, client_configuration=configuration, persist_config=False
        )
    configuration.retries = False  # asking again is the business of whoever waits for the job
    return ApiClient(configuration)


def _moment(text: str) -> datetime:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return datetime.now(UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _why(error: object) -> str:
    """Say why a cluster cannot be reached, without the addresses of objects in memory."""
    reason = getattr(error, "reason", None) or error
    return in_a_line(str(reason).rpartition(">: ")[2] or str(reason))
