"""Confluence, Cloud (v2 for pages, what is left of v1 for labels and files) and Data Center, through `atlassian`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qsl

from bot.domain.rate_limits import Allowance
from bot.errors import AccountError, IntegrationError, MissingError, PermanentError, Reach, RetryableError
from bot.ports import Attachment, Page, PageDraft, Right
from bot.services.confluence.access import find_space, may, permitted, who
from bot.services.confluence.answers import (
    LIST_PAGE,
    Stored,
    check_labels,
    next_place,
    pages_labelled,
)
from bot.services.confluence.cloud_pages import CloudPages
from bot.services.confluence.config import ConfluenceSection
from bot.services.confluence.connection import ConfluenceConnection, quoted_path
from bot.services.confluence.data_center_pages import DataCenterPages
from bot.services.confluence.pages import Pages, unseen
from bot.services.last_seen import LastSeen
from bot.services.page_sections import replace_section
from bot.services.paging import each_page
from bot.services.refusals import about_us, unless_gone

_BAD_REQUEST = 400
_OUTDATED = {400, 409}  # how an update is refused that follows another version than the latest
_OF_THE_PLACE = {400, 404}  # how a page is refused whose parent is gone, or whose title is taken


class ConfluenceWiki:
    """A space of Confluence as :class:`bot.ports.Wiki`."""

    def __init__(self, config: ConfluenceSection) -> None:
        self._config = config
        self._link = ConfluenceConnection(config)
        self._pages: Pages = (
            CloudPages(self._link, config.space)
            if config.deployment == "cloud"
            else DataCenterPages(self._link, config.space)
        )
        self._parent_id: str | None = None
        self._written: LastSeen[Stored] = LastSeen()  # pages as we left them, by id

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
            raise unseen(self._config.space)
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
        path = f"rest/api/content/{quoted_path(page_id)}/label"
        check = partial(check_labels, labels)
        self._link.ask(f"label page {page_id}", "POST", path, check, data=body, write=True)

    def forget(self, page_id: str) -> None:
        self._written.forget(page_id)
        self._pages.forget(page_id)

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
