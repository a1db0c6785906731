"""Confluence, Cloud (v2 for pages, what is left of v1 for labels and files) and Data Center, through `atlassian`."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, quote

import requests
from atlassian import ConfluenceV2
from atlassian.confluence import ConfluenceServer

from bot.domain.rate_limits import Allowance
from bot.errors import AccountError, IntegrationError, MissingError, PermanentError, Reach, RetryableError
from bot.ports import Attachment, Page, PageDraft, Right
from bot.services.confluence.access import find_space, may, permitted, spaces_of, who
from bot.services.confluence.answers import (
    ARCHIVED,
    HIDDEN,
    LIST_PAGE,
    Stored,
    check_file,
    check_labels,
    check_written,
    confirm_shown,
    hidden_status,
    next_place,
    page_of_title,
    pages_labelled,
    same_title,
    stored,
)
from bot.services.confluence.config import ConfluenceSection
from bot.services.evidence import id_in, object_in, prove, rows_in, text_in
from bot.services.http import Wire, make_session
from bot.services.last_seen import Remembered
from bot.services.page_sections import replace_section
from bot.services.paging import each_page
from bot.services.refusals import Service, about_us, unless_gone

T = TypeVar("T")

_BAD_REQUEST = 400
_OUTDATED = {400, 409}  # how an update is refused that follows another version than the latest
_OF_THE_PLACE = {400, 404}  # how a page is refused whose parent is gone, or whose title is taken
_MESSAGE = "Herald"  # in the page's history
_ADVICE = {
    401: "Check the token (and email, on Cloud) of the wiki.",
    403: "Check that the account of the token may add and change pages in the space.",
    404: "Check url, and that the account of the token may see the space: Confluence hides what it does not permit.",
}
_NO_CHECK = {"X-Atlassian-Token": "no-check", "Accept": "application/json"}  # else a file counts as forged


class _Pages(Protocol):
    """What differs between the deployments."""

    def find(self, title: str) -> Page | None: ...

    def hidden(self, title: str) -> str | None:
        """Say where a page of that title lies that :meth:`find` does not show: `archive` or `trash`."""

    def learn_anew(self) -> bool:
        """Say whether the space has another id than we remember."""

    def create(self, draft: PageDraft) -> Page: ...

    def show(self, page_id: str) -> Page: ...

    def read(self, page_id: str) -> Stored: ...

    def write(self, page: Stored, storage: str) -> None: ...

    def attach(self, page_id: str, attachment: Attachment) -> None: ...


class ConfluenceWiki:
    """A space of Confluence as :class:`bot.ports.Wiki`."""

    def __init__(self, config: ConfluenceSection) -> None:
        self._config = config
        self._link = ConfluenceLink(config)
        self._pages: _Pages = (
            _CloudPages(self._link, config.space)
            if config.deployment == "cloud"
            else _DataCenterPages(self._link, config.space)
        )
        self._parent_id: str | None = None
        self._written: Remembered[Stored] = Remembered()  # pages as we left them, by id

    def __repr__(self) -> str:
        return f"ConfluenceWiki(space={self._config.space!r})"

    @property
    def allowance(self) -> Allowance | None:
        return self._link.allowance

    def confirm_access(self, right: Right | None = None) -> None:
        with about_us(unless_silent=True):
            if who(self._link) is None:
                raise AccountError("Confluence takes our account for nobody. Check the token of the wiki.")
        with about_us():
            space, _ = find_space(self._link, self._config)
        if space is None:
            raise _unseen(self._config.space)
        if space.is_archived:
            raise MissingError(f"space: {self._config.space} is archived; restore it in Confluence, or name another.")
        if right is None:
            return
        allowed = permitted(self._link, self._config, space)
        if may(self._config, allowed, right) is False:
            raise AccountError(
                f"Confluence does not let our account {right} in the space {self._config.space}: give it Add page and "
                f"Add attachment there, and lift restrictions.",
                reach=Reach.KIND,
            )

    def find(self, title: str) -> Page | None:
        return self._pages.find(title)

    def read(self, page_id: str) -> Page | None:
        return unless_gone(partial(self._pages.show, page_id), self.confirm_access)

    def labelled(self, label: str) -> Sequence[Page]:
        """Search by CQL, which both deployments have in v1; where the next page of it is, only the answer says."""
        cql = f'space = "{self._config.space}" AND type = page AND label = "{label}" ORDER BY created'

        counts = self._config.deployment == "datacenter"

        def fetch(place: str) -> tuple[list[Page], str | None]:
            place_and_size = {"limit": LIST_PAGE, **dict(parse_qsl(place))}
            params = {"cql": cql, "expand": "metadata.labels", **place_and_size}
            return self._link.ask(
                f"search for pages labelled {label}",
                "GET",
                "rest/api/content/search",
                lambda answer: (pages_labelled(self._link, label, answer), next_place(answer, counts=counts)),
                params=params,
            )

        return list(each_page("Confluence", fetch, ""))

    def create(self, draft: PageDraft) -> Page:
        """Create the page, or return the one that has its title: titles are unique in a space."""
        placed = replace(draft, parent_id=draft.parent_id or self._configured_parent())
        try:
            return self._create(placed)
        except PermanentError as error:
            if error.status not in _OF_THE_PLACE:
                raise
            is_elsewhere = self._pages.learn_anew()
            placed_anew = replace(draft, parent_id=self._parent_now(draft))
            if placed_anew == placed and not is_elsewhere:
                raise
        return self._create(placed_anew)

    def _create(self, draft: PageDraft) -> Page:
        try:
            return self._pages.create(draft)
        except PermanentError as error:
            # That the title is taken is said in words only, in any language.
            there = self._pages.find(draft.title) if error.status == _BAD_REQUEST else None
            if there is not None:
                return there
            hidden = self._hidden(draft.title) if error.status == _BAD_REQUEST else ""
            if not hidden:
                raise
            raise PermanentError(f"{error} {hidden}", status=error.status, fields=error.fields) from error

    def _hidden(self, title: str) -> str:
        """Say what to do about a page of that title where nobody sees it; nothing where there is none."""
        place = None
        with suppress(IntegrationError):  # what is known to be wrong counts for more
            place = self._pages.hidden(title)
        if place is None:
            return ""
        return f"A page with this title is in the {place} of space {self._config.space}: restore or rename it."

    def _parent_now(self, draft: PageDraft) -> str | None:
        """Look again for the page below which another should be made: by its title, where its id answers no more."""
        if draft.parent_id is None:
            self._parent_id = None
            return self._configured_parent()
        if draft.parent_title is not None and (there := self._pages.find(draft.parent_title)) is not None:
            return there.page_id
        if unless_gone(partial(self._pages.show, draft.parent_id), self.confirm_access) is not None:
            return draft.parent_id
        self._parent_id = None
        return self._configured_parent()

    def label(self, page_id: str, labels: Sequence[str]) -> None:
        if not labels:
            return
        body = [{"prefix": "global", "name": label} for label in dict.fromkeys(labels)]
        path = f"rest/api/content/{_path(page_id)}/label"
        check = partial(check_labels, labels)
        self._link.ask(f"label page {page_id}", "POST", path, check, data=body, write=True)

    def attach(self, page_id: str, attachment: Attachment) -> None:
        self._pages.attach(page_id, attachment)

    def replace_section(self, page_id: str, body: str) -> None:
        """Write on top of the version we wrote last, and read the page where that is not the one it has now."""
        held = self._written.take(page_id)
        storage = None if held is None else replace_section(held.storage, body)
        if held is not None and storage is not None:
            try:
                self._write(held, storage)
            except (RetryableError, PermanentError) as error:
                if error.status not in _OUTDATED:  # else nothing was written: somebody edited the page meanwhile
                    raise
            else:
                return
        page = self._pages.read(page_id)
        storage = replace_section(page.storage, body)
        if storage is not None:
            self._write(page, storage)

    def _write(self, page: Stored, storage: str) -> None:
        self._pages.write(page, storage)
        self._written.keep(page.page_id, replace(page, storage=storage, version=page.version + 1))

    def _configured_parent(self) -> str | None:
        if self._config.parent is None or self._parent_id is not None:
            return self._parent_id
        parent = self._pages.find(self._config.parent)
        if parent is None:
            hidden = self._hidden(self._config.parent)
            raise MissingError(
                f"parent: there is no page titled {self._config.parent!r} in space {self._config.space}; create it or "
                f"name another. {hidden}".rstrip()
            )
        self._parent_id = parent.page_id
        return self._parent_id


class ConfluenceLink:
    """The connection to a Confluence, which the wiki of either deployment and the doctor use."""

    def __init__(self, config: ConfluenceSection) -> None:
        self._config = config
        self.base = config.base
        if config.deployment == "cloud" and not self.base.endswith("/wiki"):
            self.base += "/wiki"
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


class _CloudPages:
    """Pages of Confluence Cloud: v2, which knows a space by its number."""

    def __init__(self, link: ConfluenceLink, space: str) -> None:
        self._link = link
        self._space = space
        self._space_id: str | None = None

    def find(self, title: str) -> Page | None:
        params = {"space-id": self._space_number(), "title": title, "status": "current"}
        parse = partial(page_of_title, self._link, title)
        return self._link.ask(f"search for the page {title!r}", "GET", "api/v2/pages", parse, params=params)

    def hidden(self, title: str) -> str | None:
        params = {"space-id": self._space_number(), "title": title, "status": list(HIDDEN)}
        parse = partial(hidden_status, self._link, title)
        return self._link.ask(f"search for the page {title!r}", "GET", "api/v2/pages", parse, params=params)

    def learn_anew(self) -> bool:
        before, self._space_id = self._space_id, None
        return self._space_number() != before

    def create(self, draft: PageDraft) -> Page:
        body = {
            "spaceId": self._space_number(),
            "status": "current",
            "title": draft.title,
            "body": {"representation": "storage", "value": draft.body},
        }
        if draft.parent_id:
            body["parentId"] = draft.parent_id
        parse = partial(self._link.page_titled, draft.title)
        return self._link.ask(f"create the page {draft.title!r}", "POST", "api/v2/pages", parse, data=body, write=True)

    def show(self, page_id: str) -> Page:
        parse = partial(self._link.page_numbered, page_id)
        return self._link.ask(f"show page {page_id}", "GET", f"api/v2/pages/{_path(page_id)}", parse)

    def read(self, page_id: str) -> Stored:
        params = {"body-format": "storage"}
        path = f"api/v2/pages/{_path(page_id)}"
        return self._link.ask(f"show page {page_id}", "GET", path, partial(stored, page_id), params=params)

    def write(self, page: Stored, storage: str) -> None:
        body = {
            "id": page.page_id,
            "status": "current",
            "title": page.title,
            "body": {"representation": "storage", "value": storage},
            "version": {"number": page.version + 1, "message": _MESSAGE},
        }
        path = f"api/v2/pages/{_path(page.page_id)}"
        check = partial(check_written, page)
        self._link.ask(f"update the page {page.title!r}", "PUT", path, check, data=body, write=True)

    def attach(self, page_id: str, attachment: Attachment) -> None:
        path = f"rest/api/content/{_path(page_id)}/child/attachment"
        doing = f"attach {attachment.filename} to page {page_id}"
        self._link.ask(doing, "PUT", path, partial(check_file, attachment), **_upload(attachment), write=True)

    def _space_number(self) -> str:
        if self._space_id is None:
            ids = self._link.ask(
                f"show the space {self._space}",
                "GET",
                "api/v2/spaces",
                lambda answer: [id_in(each) for each in spaces_of(self._space, answer)],
                params={"keys": self._space},
            )
            if not ids:
                raise _unseen(self._space)
            self._space_id = ids[0]
        return self._space_id


class _DataCenterPages:
    """Pages of Confluence Data Center."""

    def __init__(self, link: ConfluenceLink, space: str) -> None:
        self._link = link
        self._space = space
        self._files: Remembered[frozenset[str]] = Remembered()  # all names, by id of a page that we made

    def find(self, title: str) -> Page | None:
        params = {"spaceKey": self._space, "title": title, "type": "page", "status": "current"}
        parse = partial(page_of_title, self._link, title)
        return self._link.ask(f"search for the page {title!r}", "GET", "rest/api/content", parse, params=params)

    def hidden(self, title: str) -> str | None:
        params = {"spaceKey": self._space, "title": title, "type": "page", "status": "any"}
        parse = partial(hidden_status, self._link, title)
        return self._link.ask(f"search for the page {title!r}", "GET", "rest/api/content", parse, params=params)

    def learn_anew(self) -> bool:
        return False  # it is asked for by its key

    def create(self, draft: PageDraft) -> Page:
        body: dict[str, Any] = {
            "type": "page",
            "title": draft.title,
            "space": {"key": self._space},
            "body": {"storage": {"value": draft.body, "representation": "storage"}},
        }
        if draft.parent_id:
            body["ancestors"] = [{"id": draft.parent_id}]
        parse = partial(self._link.page_titled, draft.title)
        made = self._link.ask(
            f"create the page {draft.title!r}", "POST", "rest/api/content", parse, data=body, write=True
        )
        self._files.keep(made.page_id, frozenset())
        return made

    def show(self, page_id: str) -> Page:
        parse = partial(self._link.page_numbered, page_id)
        return self._link.ask(f"show page {page_id}", "GET", f"rest/api/content/{_path(page_id)}", parse)

    def read(self, page_id: str) -> Stored:
        params = {"expand": "body.storage,version"}
        path = f"rest/api/content/{_path(page_id)}"
        return self._link.ask(f"show page {page_id}", "GET", path, partial(stored, page_id), params=params)

    def write(self, page: Stored, storage: str) -> None:
        body = {
            "id": page.page_id,
            "type": "page",
            "title": page.title,
            "body": {"storage": {"value": storage, "representation": "storage"}},
            "version": {"number": page.version + 1, "message": _MESSAGE},
        }
        path = f"rest/api/content/{_path(page.page_id)}"
        check = partial(check_written, page)
        self._link.ask(f"update the page {page.title!r}", "PUT", path, check, data=body, write=True)

    def attach(self, page_id: str, attachment: Attachment) -> None:
        """Add the file, or a version to the one of that name; a page just made has none, so nobody is asked."""
        path = f"rest/api/content/{_path(page_id)}/child/attachment"
        names = self._files.take(page_id)
        there = None
        if names is None or attachment.filename in names:
            there = self._file_id(page_id, attachment.filename)
        if there:
            path += f"/{_path(there)}/data"
        doing = f"attach {attachment.filename} to page {page_id}"
        self._link.ask(doing, "POST", path, partial(check_file, attachment), **_upload(attachment), write=True)
        if names is not None:
            self._files.keep(page_id, names | {attachment.filename})

    def _file_id(self, page_id: str, filename: str) -> str | None:
        ids = self._link.ask(
            f"list the files of page {page_id}",
            "GET",
            f"rest/api/content/{_path(page_id)}/child/attachment",
            lambda answer: [id_in(each) for each in rows_in(answer, "results") if text_in(each, "title") == filename],
            params={"filename": filename},
        )
        return ids[0] if ids else None


def _unseen(space: str) -> MissingError:
    return MissingError(
        f"space: the account of the token sees no space with the key {space!r}; the key stands in the address of the "
        f"space's pages."
    )


def _upload(attachment: Attachment) -> dict[str, Any]:
    return {
        "data": {"minorEdit": "true"},
        "files": {"file": (attachment.filename, attachment.content, attachment.media_type)},
        "headers": _NO_CHECK,
    }


def _path(part: str) -> str:
    return quote(part, safe="")


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
