"""The connection to a Confluence of either deployment, through `atlassian`."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from atlassian import ConfluenceV2
from atlassian.confluence import ConfluenceServer

from bot.domain.rate_limits import Allowance
from bot.ports import Page
from bot.services.confluence.answers import ARCHIVED, confirm_shown, same_title
from bot.services.confluence.config import ConfluenceSection
from bot.services.evidence import id_in, object_in, prove, text_in
from bot.services.http import Wire, make_session
from bot.services.refusals import Service

T = TypeVar("T")

_ADVICE = {
    401: "Check the token (and email, on Cloud) of the wiki.",
    403: "Check that the account of the token may add and change pages in the space.",
    404: "Check url, and that the account of the token may see the space: Confluence hides what it does not permit.",
}


class ConfluenceConnection:
    """The connection to a Confluence, which the wiki of either deployment and the doctor use."""

    def __init__(self, config: ConfluenceSection) -> None:
        self._config = config
        self.base = config.api
        self.wire = Wire(
            Service("Confluence", config.base, config.timeout.total_seconds(), advice=_ADVICE, secrets=(config.token,))
        )
        self._client: Any = None
        self._lock = threading.Lock()

    @property
    def allowance(self) -> Allowance | None:
        return self.wire.allowance

    def ask(
        self, doing: str, method: str, path: str, parse: Callable[[Any], T], *, write: bool = False, **arguments: Any
    ) -> T:
        return self.wire.ask(doing, partial(self.request, method, path, **arguments), parse, write=write)

    def page(self, answer: Any, links: Mapping[str, Any] | None = None) -> Page:
        """Read a page out of an answer; *links* are those of the list it came in."""
        own = object_in(answer, "_links")
        base = own.get("base") or (links or {}).get("base") or self.base
        return Page(id_in(answer), text_in(answer, "title"), base.rstrip("/") + text_in(own, "webui"))

    def page_titled(self, title: str, answer: Any) -> Page:
        """Read the page that was just made under that title."""
        page = self.page(answer)
        prove(same_title(page.title, title), f"shows a page titled {page.title!r}")
        return page

    def page_numbered(self, page_id: str, answer: Any) -> Page:
        """Read the page that was asked for by its id."""
        page = self.page(answer)
        prove(page.page_id == page_id, f"shows the page {page.page_id}")
        confirm_shown(answer, but=frozenset({ARCHIVED}))
        return page

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        response: requests.Response = self._connected().request(method, path, advanced_mode=True, **arguments)
        return response

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = _make_client(self._config, self.base)
            return self._client


def _make_client(config: ConfluenceSection, base: str) -> Any:
    """Build the client at the first request, without a request of its own."""
    token = config.token.get_secret_value()
    account = {"username": config.email, "password": token} if config.email else {"token": token}
    arguments = {
        **account,
        "session": make_session(config.ca_file),
        "backoff_and_retry": False,
        "retry_with_header": False,  # by itself it would sleep and repeat a write after a 429
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it warns of what it can no longer do, at every start
        make: Any = ConfluenceV2 if config.deployment == "cloud" else ConfluenceServer
        client = make(base, cloud=config.deployment == "cloud", **arguments)
    client.timeout = config.timeout.total_seconds()  # its own argument takes whole seconds only
    return client


def quoted_path(part: str) -> str:
    return quote(part, safe="")
