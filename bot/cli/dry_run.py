"""A dry run: everything is judged, composed and told on a copy of the state, to services that only remember."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from bot.app import Surroundings, make_herald, make_reader
from bot.config.models import Config
from bot.delivery.services import Services
from bot.domain.capabilities import TicketState
from bot.domain.judged_run import JudgedRun
from bot.domain.objects import ObjectKind
from bot.ports import PageDraft, TicketDraft
from bot.services.memory.chat import MemoryChat, MemoryMessage
from bot.services.memory.tracker import MemoryTicket, MemoryTracker
from bot.services.memory.wiki import MemoryPage, MemoryWiki
from bot.store import Database, objects
from bot.store.backup import copy_rows
from bot.store.objects import KnownObject
from bot.store.tables import outbox as owed


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that would have been sent."""

    what: str
    target: str
    text: str


@dataclass(frozen=True, slots=True)
class DryRun:
    judged: tuple[JudgedRun, ...]
    sent: tuple[Said, ...]
    has_services: bool = True  # that could be told anything


def run_dry(config: Config, folder: Path, name: str, around: Surroundings | None = None) -> DryRun:
    """Judge the pipeline's new runs and return what would be told; no job starts and nothing of the state changes."""
    remembering = _RememberingServices(
        {key: MemoryTracker(project="NEW", text_form=section.text_form) for key, section in config.tracker.items()},
        {key: MemoryWiki() for key in config.wiki},
        {key: MemoryChat(section.capabilities, section.text_form) for key, section in config.chat.items()},
    )
    services = Services(remembering.trackers, remembering.wikis, remembering.chats)
    with tempfile.TemporaryDirectory() as scratch:
        database = Database(f"sqlite:///{scratch}/state.db")
        database.migrate()
        real = make_reader(config, folder, around=around, services=services)
        with real.database.begin() as reading, database.begin() as writing:
            copy_rows(reading, writing)
            writing.execute(update(owed).values(owner=None, leased_until=None))
        with database.begin() as tx:
            remembering.set(objects.all_objects(tx))
        herald = make_herald(config, folder, around=around, services=services, database=database)
        report = herald.cycle(name).judge_only()
        herald.dispatcher.drain(timedelta(seconds=1))
        database.close()
        real.database.close()
    has_services = bool(config.tracker or config.wiki or config.chat)
    return DryRun(tuple(report.judged), tuple(remembering.heard()), has_services)


@dataclass(slots=True)
class _RememberingServices:
    """The services of a dry run, with stand-ins for what the real ones hold already."""

    trackers: dict[str, MemoryTracker]
    wikis: dict[str, MemoryWiki]
    chats: dict[str, MemoryChat]
    _there: set[str] = field(default_factory=set)  # external ids that the real services hold

    def set(self, known: Sequence[KnownObject]) -> None:
        """Put stand-ins for known objects on the remembering."""
        for each in known:
            service, external_id = each.key.service, each.bound.external_id
            self._there.add(external_id)
            if each.key.kind is ObjectKind.TICKET and service in self.trackers:
                ticket = MemoryTicket(external_id, each.key.name, TicketDraft(external_id, ""))
                self.trackers[service].tickets[external_id] = ticket
            elif each.key.kind is ObjectKind.PAGE and service in self.wikis:
                page = MemoryPage(external_id, PageDraft(each.bound.title, ""), "")
                self.wikis[service].pages[external_id] = page
            elif each.key.kind is ObjectKind.MESSAGE and service in self.chats:
                message = MemoryMessage(external_id, each.place, "", "", datetime.now(UTC))
                self.chats[service].messages.append(message)

    def heard(self) -> Iterator[Said]:
        """Yield what was said to the services, tickets first."""
        for name, tracker in self.trackers.items():
            for ticket in tracker.tickets.values():
                yield from self._about_ticket(name, ticket)
        for name, wiki in self.wikis.items():
            for page in wiki.pages.values():
                if page.storage:
                    verb = "change page" if page.page_id in self._there else "publish page"
                    yield Said(verb, f"{name}: {page.draft.title}", page.storage)
        for name, chat in self.chats.items():
            for message in chat.messages:
                if message.text:
                    verb = "edit message" if message.message_id in self._there else "post message"
                    yield Said(verb, f"{name}: {message.channel}", message.text)

    def _about_ticket(self, name: str, ticket: MemoryTicket) -> Iterator[Said]:
        if ticket.key not in self._there:
            shown = replace(ticket.draft, labels=ticket.labels)
            yield Said("open ticket", f"{name}: {shown.title}", f"labels: {' '.join(shown.labels)}\n\n{shown.body}")
        for _, body in ticket.comments:
            yield Said("comment", f"{name}: {ticket.draft.title}", body)
        if ticket.state is TicketState.DONE:
            yield Said("resolve ticket", f"{name}: {ticket.draft.title}", "")
