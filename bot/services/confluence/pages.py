"""What the pages of both deployments have in common."""

from __future__ import annotations

from typing import Any, Protocol

from bot.errors import MissingError
from bot.ports import Attachment, Page, PageDraft
from bot.services.confluence.answers import Stored

HISTORY_NOTE = "Herald"  # in the page's history
_NO_CHECK = {"X-Atlassian-Token": "no-check", "Accept": "application/json"}  # else a file counts as forged


class Pages(Protocol):
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

    def forget(self, page_id: str) -> None: ...


def unseen(space: str) -> MissingError:
    return MissingError(
        f"space: the account of the token sees no space with the key {space!r}; the key stands in the address of the "
        f"space's pages."
    )


def upload(attachment: Attachment) -> dict[str, Any]:
    return {
        "data": {"minorEdit": "true"},
        "files": {"file": (attachment.filename, attachment.content, attachment.media_type)},
        "headers": _NO_CHECK,
    }
