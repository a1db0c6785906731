"""Tracker, wiki and chat that keep everything in memory: what a dry run and unit tests talk to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bot.domain.rate_limits import Allowance
from bot.errors import GoneError, IntegrationError, PermanentError
from bot.ports import (
    Attachment,
    MarkedMessage,
    MarkedTicket,
    Page,
    PageDraft,
    Posted,
    Promise,
    RemoteLink,
    Right,
    Ticket,
    TicketDraft,
    TicketState,
)
from bot.services.block_kit import parse_document
from bot.services.page_sections import check_storage, replace_section

_NOT_FOUND = 404


@dataclass(slots=True)
class MemoryTicket:
    key: str
    marker: str
    draft: TicketDraft
    state: TicketState = TicketState.TODO
    comments: list[tuple[str, str]] = field(default_factory=list)  # mark and body, oldest first
    links: dict[str, RemoteLink] = field(default_factory=dict)  # by identity
    attachments: dict[str, Attachment] = field(default_factory=dict)  # by filename

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([self.marker, *self.draft.labels]))

    @property
    def is_duplicate(self) -> bool:
        return self.state is TicketState.DONE and "duplicate" in self.links


@dataclass(slots=True)
class MemoryPage:
    page_id: str
    draft: PageDraft
    storage: str
    version: int = 1
    labels: list[str] = field(default_factory=list)
    attachments: dict[str, Attachment] = field(default_factory=dict)  # by filename


@dataclass(slots=True)
class MemoryMessage:
    message_id: str
    channel: str
    mark: str
    text: str
    posted_at: datetime
    edits: list[str] = field(default_factory=list)  # earlier texts, oldest first
    replies: list[tuple[str, str]] = field(default_factory=list)  # mark and text, oldest first
    files: dict[str, bytes] = field(default_factory=dict)


class Faults:
    """Failures still to come, by the name of a method; each comes once."""

    def __init__(self) -> None:
        self._next: dict[str, list[tuple[IntegrationError, bool]]] = {}
        self.calls: Counter[str] = Counter()  # how often each method was called

    def fail_next(self, method: str, error: IntegrationError, *, committed: bool = False) -> None:
        """Let the next call of *method* raise *error*, after carrying it out where *committed* is set."""
        self._next.setdefault(method, []).append((error, committed))

    def clear(self, method: str) -> None:
        """Take back what was still to come of *method*."""
        self._next.pop(method, None)

    @contextmanager
    def during(self, method: str) -> Iterator[None]:
        self.calls[method] += 1
        waiting = self._next.get(method)
        error, committed = waiting.pop(0) if waiting else (None, False)
        if error is not None and not committed:
            raise error
        yield
        if error is not None:
            raise error


class MemoryTracker:
    """A tracker as :class:`bot.ports.Tracker`; *search_lag* is told, not acted out."""

    allowance: Allowance | None = None

    def __init__(self, *, markup: str = "jira", project: str = "MEM", search_lag: timedelta = timedelta(0)) -> None:
        self.tickets: dict[str, MemoryTicket] = {}  # by key, oldest first
        self.moved: dict[str, str] = {}  # old keys -> those that tickets have now
        self.faults = Faults()
        self._markup = markup
        self._project = project
        self._search_lag = search_lag
        self._made = 0

    @property
    def markup(self) -> str:
        return self._markup

    @property
    def search_lag(self) -> timedelta:
        return self._search_lag

    def confirm_access(self, right: Right | None = None) -> None:
        with self.faults.during("confirm_access"):
            del right

    def find(self, marker: str) -> Ticket | None:
        with self.faults.during("find"):
            found = [each for each in self.tickets.values() if each.marker == marker and not each.is_duplicate]
            found.sort(key=lambda each: each.state is TicketState.DONE)
            return _shown(found[0]) if found else None

    def is_duplicate(self, key: str) -> bool:
        with self.faults.during("is_duplicate"):
            return self._ticket(key).is_duplicate

    def read(self, key: str) -> Ticket | None:
        with self.faults.during("read"):
            key = self.moved.get(key, key)
            return _shown(self.tickets[key]) if key in self.tickets else None

    def marked(self, family: str) -> Sequence[MarkedTicket]:
        with self.faults.during("marked"):
            ours = (each for each in self.tickets.values() if each.marker.startswith(f"{family}-"))
            return [MarkedTicket(each.marker, _shown(each)) for each in ours]

    def create(self, marker: str, draft: TicketDraft) -> Ticket:
        with self.faults.during("create"):
            self._made += 1  # a number is given once, whatever becomes of the ticket
            key = f"{self._project}-{self._made}"
            self.tickets[key] = MemoryTicket(key, marker, draft)
            return _shown(self.tickets[key])

    def comment(self, key: str, mark: str, body: str) -> None:
        with self.faults.during("comment"):
            self._ticket(key).comments.append((mark, body))

    def has_comment(self, key: str, mark: str) -> bool:
        with self.faults.during("has_comment"):
            return any(each == mark for each, _ in self._ticket(key).comments)

    def move(self, key: str, state: TicketState) -> None:
        with self.faults.during("move"):
            self._ticket(key).state = state

    def close_duplicate(self, key: str, original: Ticket) -> None:
        with self.faults.during("close_duplicate"):
            ticket = self._ticket(key)
            ticket.state = TicketState.DONE
            ticket.links["duplicate"] = RemoteLink("duplicate", original.url, original.key)

    def link(self, key: str, link: RemoteLink) -> None:
        with self.faults.during("link"):
            self._ticket(key).links[link.identity] = link

    def attach(self, key: str, attachment: Attachment) -> None:
        with self.faults.during("attach"):
            self._ticket(key).attachments.setdefault(attachment.filename, attachment)

    def _ticket(self, key: str) -> MemoryTicket:
        if key not in self.tickets:
            raise PermanentError(f"There is no ticket {key}.", status=_NOT_FOUND)
        return self.tickets[key]


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


class MemoryChat:
    """Channels as :class:`bot.ports.Chat`; one that cannot edit behaves as a webhook."""

    allowance: Allowance | None = None

    def __init__(
        self,
        *,
        can_edit: bool = True,
        promise: Promise = Promise.AT_MOST_ONCE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.messages: list[MemoryMessage] = []  # oldest first
        self.faults = Faults()
        self._can_edit = can_edit
        self._promise = Promise.ONCE if can_edit else promise
        self._clock = clock

    @property
    def can_edit(self) -> bool:
        return self._can_edit

    @property
    def promise(self) -> Promise:
        return self._promise

    def post(self, channel: str, mark: str, text: str) -> Posted:
        with self.faults.during("post"):
            parse_document(text)
            message = MemoryMessage(str(len(self.messages) + 1), channel, mark, text, self._clock())
            self.messages.append(message)
            return _posted(message)

    def edit(self, posted: Posted, mark: str, text: str) -> None:
        with self.faults.during("edit"):
            if not self._can_edit:
                raise PermanentError("A webhook cannot edit what it posted.")
            parse_document(text)
            message = self._message(posted)
            message.edits.append(message.text)
            message.text, message.mark = text, mark

    def has_moved(self, channel: str, posted: Posted) -> bool:
        return channel != posted.channel

    def confirm_access(self, right: Right | None = None) -> None:
        with self.faults.during("confirm_access"):
            del right

    def find(self, channel: str, mark: str, since: datetime) -> Posted | None:
        with self.faults.during("find"):
            if not self._can_edit:
                return None
            fitting = (m for m in self.messages if (m.channel, m.mark) == (channel, mark) and m.posted_at >= since)
            return next((_posted(message) for message in fitting), None)

    def reply(self, posted: Posted, mark: str, text: str) -> None:
        with self.faults.during("reply"):
            parse_document(text)
            self._threaded(posted).replies.append((mark, text))

    def has_reply(self, posted: Posted, mark: str) -> bool:
        with self.faults.during("has_reply"):
            return self._can_edit and any(mark == held for held, _ in self._message(posted).replies)

    def share(self, posted: Posted, attachment: Attachment) -> None:
        with self.faults.during("share"):
            self._threaded(posted).files.setdefault(attachment.filename, attachment.content)

    def marked(self, channel: str, since: datetime) -> Sequence[MarkedMessage]:
        with self.faults.during("marked"):
            ours = (m for m in self.messages if self._can_edit and m.channel == channel and m.posted_at >= since)
            return [MarkedMessage(message.mark, _posted(message)) for message in ours]

    def _threaded(self, posted: Posted) -> MemoryMessage:
        if not self._can_edit:
            raise PermanentError("A webhook has no threads.")
        return self._message(posted)

    def _message(self, posted: Posted) -> MemoryMessage:
        for message in self.messages:
            if (message.channel, message.message_id) == (posted.channel, posted.message_id):
                return message
        raise GoneError(f"There is no message {posted.message_id} in {posted.channel}.", status=_NOT_FOUND)


def _shown(ticket: MemoryTicket) -> Ticket:
    return Ticket(ticket.key, f"memory://tracker/{ticket.key}", ticket.state)


def _page(page: MemoryPage) -> Page:
    return Page(page.page_id, page.draft.title, f"memory://wiki/{page.page_id}")


def _posted(message: MemoryMessage) -> Posted:
    return Posted(message.channel, message.message_id, f"memory://chat/{message.channel}/{message.message_id}")
