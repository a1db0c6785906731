"""Pages of Confluence Data Center: v1."""

from __future__ import annotations

from functools import partial
from typing import Any

from bot.ports import Attachment, Page, PageDraft
from bot.services.confluence.answers import Stored, check_file, check_written, hidden_status, page_of_title, stored
from bot.services.confluence.connection import ConfluenceConnection, quoted_path
from bot.services.confluence.pages import HISTORY_NOTE, upload
from bot.services.evidence import id_in, rows_in, text_in
from bot.services.last_seen import BRIEFLY, LastSeen


class DataCenterPages:
    """Pages of Confluence Data Center."""

    def __init__(self, link: ConfluenceConnection, space: str) -> None:
        self._link = link
        self._space = space
        self._files: LastSeen[frozenset[str]] = LastSeen(BRIEFLY)  # all names, by id of a page that we made

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
        return self._link.ask(f"show page {page_id}", "GET", f"rest/api/content/{quoted_path(page_id)}", parse)

    def read(self, page_id: str) -> Stored:
        params = {"expand": "body.storage,version"}
        path = f"rest/api/content/{quoted_path(page_id)}"
        return self._link.ask(f"show page {page_id}", "GET", path, partial(stored, page_id), params=params)

    def write(self, page: Stored, storage: str) -> None:
        body = {
            "id": page.page_id,
            "type": "page",
            "title": page.title,
            "body": {"storage": {"value": storage, "representation": "storage"}},
            "version": {"number": page.version + 1, "message": HISTORY_NOTE},
        }
        path = f"rest/api/content/{quoted_path(page.page_id)}"
        check = partial(check_written, page)
        self._link.ask(f"update the page {page.title!r}", "PUT", path, check, data=body, write=True)

    def forget(self, page_id: str) -> None:
        self._files.forget(page_id)

    def attach(self, page_id: str, attachment: Attachment) -> None:
        """Add the file, or a version to the one of that name; a page just made has none, so nobody is asked."""
        path = f"rest/api/content/{quoted_path(page_id)}/child/attachment"
        names = self._files.take(page_id)
        there = None
        if names is None or attachment.filename in names:
            there = self._file_id(page_id, attachment.filename)
        if there:
            path += f"/{quoted_path(there)}/data"
        doing = f"attach {attachment.filename} to page {page_id}"
        self._link.ask(doing, "POST", path, partial(check_file, attachment), **upload(attachment), write=True)
        if names is not None:
            self._files.keep(page_id, names | {attachment.filename})

    def _file_id(self, page_id: str, filename: str) -> str | None:
        ids = self._link.ask(
            f"list the files of page {page_id}",
            "GET",
            f"rest/api/content/{quoted_path(page_id)}/child/attachment",
            lambda answer: [id_in(each) for each in rows_in(answer, "results") if text_in(each, "title") == filename],
            params={"filename": filename},
        )
        return ids[0] if ids else None
