"""A wiki that keeps everything in memory: what a dry run and unit tests talk to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.domain.rate_limits import Allowance
from bot.errors import PermanentError
from bot.ports import Attachment, Page, PageDraft, Right
from bot.services.memory.faults import Faults
from bot.services.page_sections import check_storage, replace_section

_NOT_FOUND = 404


@dataclass(slots=True)
class MemoryPage:
    page_id: str
    draft: PageDraft
    storage: str
    version: int = 1
    labels: list[str] = field(default_factory=list)
    attachments: dict[str, Attachment] = field(default_factory=dict)  # by filename


class MemoryWiki:
    """A space as :class:`bot.ports.Wiki`."""

    allowance: Allowance | None = None

    def __init__(self) -> None:
        self.pages: dict[str, MemoryPage] = {}  # by id, oldest first
        self.faults = Faults()

    def confirm_access(self, right: Right | None = None) -> None:
        with self.faults.during("confirm_access"):
            del right

    def find(self, title: str) -> Page | None:
        with self.faults.during("find"):
            return self._titled(title)

    def create(self, draft: PageDraft) -> Page:
        with self.faults.during("create"):
            there = self._titled(draft.title)
            if there is not None:
                return there
            check_storage(draft.body)
            page_id = str(len(self.pages) + 1)
            self.pages[page_id] = MemoryPage(page_id, draft, draft.body)
            return _page(self.pages[page_id])

    def read(self, page_id: str) -> Page | None:
        with self.faults.during("read"):
            return _page(self.pages[page_id]) if page_id in self.pages else None

    def labelled(self, label: str) -> Sequence[Page]:
        with self.faults.during("labelled"):
            return [_page(page) for page in self.pages.values() if label in page.labels]

    def label(self, page_id: str, labels: Sequence[str]) -> None:
        with self.faults.during("label"):
            page = self._page(page_id)
            page.labels = list(dict.fromkeys([*page.labels, *labels]))

    def attach(self, page_id: str, attachment: Attachment) -> None:
        with self.faults.during("attach"):
            self._page(page_id).attachments[attachment.filename] = attachment

    def forget(self, page_id: str) -> None:
        """Do nothing: what is remembered is what there is."""

    def replace_section(self, page_id: str, body: str) -> None:
        with self.faults.during("replace_section"):
            page = self._page(page_id)
            storage = replace_section(page.storage, body)
            if storage is not None:
                page.storage = storage
                page.version += 1

    def _titled(self, title: str) -> Page | None:
        return next((_page(each) for each in self.pages.values() if each.draft.title == title), None)

    def _page(self, page_id: str) -> MemoryPage:
        if page_id not in self.pages:
            raise PermanentError(f"There is no page {page_id}.", status=_NOT_FOUND)
        return self.pages[page_id]


def _page(page: MemoryPage) -> Page:
    return Page(page.page_id, page.draft.title, f"memory://wiki/{page.page_id}")
