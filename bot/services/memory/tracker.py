"""A tracker that keeps everything in memory: what a dry run and unit tests talk to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from bot.domain.rate_limits import Allowance
from bot.errors import PermanentError
from bot.ports import (
    Attachment,
    MarkedTicket,
    RemoteLink,
    Right,
    TextForm,
    Ticket,
    TicketDraft,
    TicketState,
)
from bot.services.memory.faults import Faults

_NOT_FOUND = 404
_TEXT_FORM = TextForm("Jira", dialect="wiki", folder="jira", limit=28_000)


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


class MemoryTracker:
    """A tracker as :class:`bot.ports.Tracker`; *search_lag* is told, not acted out."""

    allowance: Allowance | None = None

    def __init__(
        self, *, text_form: TextForm = _TEXT_FORM, project: str = "MEM", search_lag: timedelta = timedelta(0)
    ) -> None:
        self.tickets: dict[str, MemoryTicket] = {}  # by key, oldest first
        self.moved: dict[str, str] = {}  # old keys -> those that tickets have now
        self.faults = Faults()
        self._text_form = text_form
        self._project = project
        self._search_lag = search_lag
        self._made = 0

    @property
    def text_form(self) -> TextForm:
        return self._text_form

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

    def forget(self, key: str) -> None:
        """Do nothing: what is remembered is what there is."""

    def _ticket(self, key: str) -> MemoryTicket:
        if key not in self.tickets:
            raise PermanentError(f"There is no ticket {key}.", status=_NOT_FOUND)
        return self.tickets[key]


def _shown(ticket: MemoryTicket) -> Ticket:
    return Ticket(ticket.key, f"memory://tracker/{ticket.key}", ticket.state)
