"""Pages of Confluence Cloud: v2, and what is left of v1 for files."""

from __future__ import annotations

from functools import partial

from bot.ports import Attachment, Page, PageDraft
from bot.services.confluence.access import spaces_of
from bot.services.confluence.answers import (
    HIDDEN,
    Stored,
    check_file,
    check_written,
    hidden_status,
    page_of_title,
    stored,
)
from bot.services.confluence.connection import ConfluenceConnection, quoted_path
from bot.services.confluence.pages import HISTORY_NOTE, unseen, upload
from bot.services.evidence import id_in


class CloudPages:
    """Pages of Confluence Cloud: v2, which knows a space by its number."""

    def __init__(self, link: ConfluenceConnection, space: str) -> None:
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
        return self._link.ask(f"show page {page_id}", "GET", f"api/v2/pages/{quoted_path(page_id)}", parse)

    def read(self, page_id: str) -> Stored:
        params = {"body-format": "storage"}
        path = f"api/v2/pages/{quoted_path(page_id)}"
        return self._link.ask(f"show page {page_id}", "GET", path, partial(stored, page_id), params=params)

    def write(self, page: Stored, storage: str) -> None:
        body = {
            "id": page.page_id,
            "status": "current",
            "title": page.title,
            "body": {"representation": "storage", "value": storage},
            "version": {"number": page.version + 1, "message": HISTORY_NOTE},
        }
        path = f"api/v2/pages/{quoted_path(page.page_id)}"
        check = partial(check_written, page)
        self._link.ask(f"update the page {page.title!r}", "PUT", path, check, data=body, write=True)

    def attach(self, page_id: str, attachment: Attachment) -> None:
        path = f"rest/api/content/{quoted_path(page_id)}/child/attachment"
        doing = f"attach {attachment.filename} to page {page_id}"
        self._link.ask(doing, "PUT", path, partial(check_file, attachment), **upload(attachment), write=True)

    def forget(self, page_id: str) -> None:
        """Do nothing: nothing is remembered of a page, since a file replaces the one of its name."""

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
                raise unseen(self._space)
            self._space_id = ids[0]
        return self._space_id
