"""What people answer to services in memory: what a dry run and unit tests read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.domain.capabilities import TicketState
from bot.domain.rules import Person
from bot.ports import Comment, Posted, Speakers, TicketReading
from bot.services.memory.chat import MemoryChat
from bot.services.memory.faults import Faults
from bot.services.memory.tracker import HERALD, MemoryTracker
from bot.text.comment_lines import Markup


@dataclass(slots=True)
class MemoryPeople:
    """Whom a service in memory knows: who can be assigned tickets, and who is in which group or role."""

    assignable: set[str] = field(default_factory=set)  # accounts
    groups: dict[str, set[str]] = field(default_factory=dict)  # accounts by name
    roles: dict[str, set[str]] = field(default_factory=dict)

    def may_speak(self, person: Person, speakers: Speakers) -> bool:
        if person.is_app or not person.account:
            return False
        if speakers.is_open:
            return person.account in self.assignable
        held = [self.groups.get(name, set()) for name in speakers.groups]
        held += [self.roles.get(name, set()) for name in speakers.roles]
        return person.account in speakers.accounts or any(person.account in each for each in held)


class MemoryTicketAnswers:
    """The tickets of a :class:`MemoryTracker` as :class:`bot.ports.TicketAnswers`."""

    def __init__(self, tracker: MemoryTracker) -> None:
        self.people = MemoryPeople()
        self.faults = Faults()
        self._tracker = tracker

    def me(self) -> Person:
        return HERALD

    def changed(self, family: str, since: datetime) -> Sequence[str]:
        with self.faults.during("changed"):
            tickets = self._tracker.tickets.values()
            ours = (each for each in tickets if family in each.labels or each.marker.startswith(f"{family}-"))
            return [each.key for each in ours if each.changed >= since]

    def read(self, key: str, since: datetime | None) -> TicketReading | None:
        with self.faults.during("read"):
            shown = self._tracker.read(key)
            if shown is None:
                return None
            ticket = self._tracker.tickets[shown.key]
            copied = ticket.links.get("duplicate")
            return TicketReading(
                ticket=shown,
                comments=tuple(each for each in ticket.said if since is None or each.created >= since),
                resolution=ticket.resolution if ticket.state is TicketState.DONE else None,
                assignee=ticket.assignee,
                labels=ticket.labels,
                duplicate_of=copied.title if copied is not None else "",
                is_full=ticket.is_full,
                changed=ticket.changed,
            )

    def may_speak(self, person: Person, speakers: Speakers) -> bool:
        with self.faults.during("may_speak"):
            return self.people.may_speak(person, speakers)


class MemoryThreadAnswers:
    """The threads of a :class:`MemoryChat` as :class:`bot.ports.ThreadAnswers`."""

    def __init__(self, chat: MemoryChat) -> None:
        self.people = MemoryPeople()
        self.faults = Faults()
        self.said: dict[tuple[str, str], list[Comment]] = {}  # by channel and id of the message, oldest first
        self._chat = chat

    def me(self) -> Person:
        return HERALD

    def say(self, posted: Posted, author: Person, body: str, at: datetime) -> Comment:
        """Answer in a thread, as somebody there does."""
        thread = self.said.setdefault((posted.channel, posted.message_id), [])
        made = Comment(f"{posted.message_id}.{len(thread) + 1}", author, at, body, Markup.MRKDWN)
        thread.append(made)
        return made

    def replies(self, posted: Posted, since: datetime | None) -> Sequence[Comment]:
        with self.faults.during("replies"):
            is_there = any(
                (each.channel, each.message_id) == (posted.channel, posted.message_id) for each in self._chat.messages
            )
            thread = self.said.get((posted.channel, posted.message_id), []) if is_there else []
            return [each for each in thread if since is None or each.created >= since]

    def may_speak(self, person: Person, speakers: Speakers) -> bool:
        with self.faults.during("may_speak"):
            return self.people.may_speak(person, speakers)
