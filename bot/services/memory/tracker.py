"""A tracker that keeps everything in memory: what a dry run and unit tests talk to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from bot.domain.capabilities import TextForm, TicketState
from bot.domain.rate_limits import Allowance
from bot.domain.rules import Person
from bot.errors import FullError, PermanentError
from bot.ports import Attachment, Comment, MarkedTicket, RemoteLink, Resolution, Right, Ticket, TicketDraft
from bot.services.memory.faults import Faults
from bot.text.comment_lines import Markup

_NOT_FOUND, _TOO_MUCH = 404, 413
HERALD = Person("herald", "Herald", is_app=True)
_TEXT_FORM = TextForm("Jira", dialect="wiki", folder="jira", limit=28_000)


@dataclass(slots=True)
class MemoryTicket:
    key: str
    marker: str
    draft: TicketDraft
    state: TicketState = TicketState.TODO
    said: list[Comment] = field(default_factory=list)  # by Herald and by people, oldest first
    links: dict[str, RemoteLink] = field(default_factory=dict)  # by identity
    attachments: dict[str, Attachment] = field(default_factory=dict)  # by filename
    resolution: Resolution | None = None
    assignee: Person | None = None
    extra_labels: tuple[str, ...] = ()  # that people added
    is_full: bool = False  # it takes no more comments
    changed: datetime = datetime(1970, 1, 1, tzinfo=UTC)  # last
    due: date | None = None

    @property
    def comments(self) -> list[tuple[str, str]]:
        """Return mark and body of Herald's own, oldest first."""
        return [(each.mark, each.body) for each in self.said if each.mark is not None]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([self.marker, *self.draft.labels, *self.extra_labels]))

    @property
    def is_duplicate(self) -> bool:
        return self.state is TicketState.DONE and "duplicate" in self.links


class MemoryTracker:
    """A tracker as :class:`bot.ports.Tracker`; *search_lag* is told, not acted out."""

    allowance: Allowance | None = None

    def __init__(
        self,
        *,
        text_form: TextForm = _TEXT_FORM,
        project: str = "MEM",
        search_lag: timedelta = timedelta(0),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.tickets: dict[str, MemoryTicket] = {}  # by key, oldest first
        self.moved: dict[str, str] = {}  # old keys -> those that tickets have now
        self.faults = Faults()
        self._text_form = text_form
        self._project = project
        self._search_lag = search_lag
        self._clock = clock
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

    def due(self, key: str) -> date | None:
        with self.faults.during("due"):
            ticket = self._ticket(key)
            return None if ticket.state is TicketState.DONE else ticket.due

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
            self.tickets[key] = MemoryTicket(key, marker, draft, changed=self._clock())
            if draft.assignee is not None:
                self.tickets[key].assignee = Person(draft.assignee)
            return _shown(self.tickets[key])

    def comment(self, key: str, mark: str, body: str) -> None:
        with self.faults.during("comment"):
            if self._ticket(key).is_full:
                raise FullError(f"{key} takes no more comments.", status=_TOO_MUCH)
            self._say(key, HERALD, body, mark)

    def say(self, key: str, author: Person, body: str) -> Comment:
        """Comment on a ticket, as somebody does."""
        return self._say(key, author, body, None)

    def edit(self, key: str, comment_id: str, body: str) -> None:
        """Change what somebody said."""
        ticket = self._written(key)
        ticket.said = [
            replace(each, body=body, is_edited=True) if each.comment_id == comment_id else each for each in ticket.said
        ]

    def close(self, key: str, name: str, by: Person) -> None:
        """Resolve a ticket, as somebody does."""
        ticket = self._written(key)
        ticket.state, ticket.resolution = TicketState.DONE, Resolution(name, name, by, self._clock())

    def _say(self, key: str, author: Person, body: str, mark: str | None) -> Comment:
        ticket = self._written(key)
        markup = Markup.MARKDOWN if self._text_form.dialect == "markdown" else Markup.WIKI
        made = Comment(f"{key}/{len(ticket.said) + 1}", author, self._clock(), body, markup, mark)
        ticket.said.append(made)
        return made

    def has_comment(self, key: str, mark: str) -> bool:
        with self.faults.during("has_comment"):
            return any(each == mark for each, _ in self._ticket(key).comments)

    def move(self, key: str, state: TicketState) -> None:
        with self.faults.during("move"):
            ticket = self._written(key)
            if ticket.state is not state:
                ticket.state = state
                ticket.resolution = Resolution("Done", "Done", HERALD, self._clock())

    def assign(self, key: str, account: str) -> None:
        with self.faults.during("assign"):
            self._written(key).assignee = Person(account)

    def close_duplicate(self, key: str, original: Ticket) -> None:
        with self.faults.during("close_duplicate"):
            ticket = self._written(key)
            ticket.state = TicketState.DONE
            ticket.resolution = Resolution("Duplicate", "Duplicate", HERALD, self._clock())
            ticket.links["duplicate"] = RemoteLink("duplicate", original.url, original.key)

    def link(self, key: str, link: RemoteLink) -> None:
        with self.faults.during("link"):
            self._ticket(key).links[link.identity] = link

    def attach(self, key: str, attachment: Attachment) -> None:
        with self.faults.during("attach"):
            self._ticket(key).attachments.setdefault(attachment.filename, attachment)

    def forget(self, key: str) -> None:
        """Do nothing: what is remembered is what there is."""

    def _written(self, key: str) -> MemoryTicket:
        ticket = self._ticket(key)
        ticket.changed = self._clock()
        return ticket

    def _ticket(self, key: str) -> MemoryTicket:
        key = self.moved.get(key, key)
        if key not in self.tickets:
            raise PermanentError(f"There is no ticket {key}.", status=_NOT_FOUND)
        return self.tickets[key]


def _shown(ticket: MemoryTicket) -> Ticket:
    return Ticket(ticket.key, f"memory://tracker/{ticket.key}", ticket.state)
