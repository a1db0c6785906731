"""Where people are listened to: the tickets of a tracker, the threads of a chat, with what config says of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bot.config.models import Config
from bot.connections import to_chat, to_tracker
from bot.ports import Speakers, ThreadAnswers, TicketAnswers
from bot.services.answers_section import AnswersSection

_EVERY = timedelta(minutes=2)  # threads, where no ticket is listened to


@dataclass(frozen=True, slots=True)
class TicketListener:
    """One tracker whose tickets are read for answers."""

    service: str  # as config calls it
    answers: TicketAnswers
    config: AnswersSection

    @property
    def speakers(self) -> Speakers:
        return self.config.people.speakers


@dataclass(frozen=True, slots=True)
class ThreadListener:
    """One chat whose threads are read for answers."""

    service: str
    answers: ThreadAnswers
    speakers: Speakers


@dataclass(frozen=True, slots=True)
class Listeners:
    tickets: tuple[TicketListener, ...] = ()
    threads: tuple[ThreadListener, ...] = ()

    @property
    def every(self) -> timedelta:
        """How often they are read: as often as the one is that config wants read most often."""
        return min((each.config.every for each in self.tickets), default=_EVERY)

    @property
    def all_of_them(self) -> tuple[TicketListener | ThreadListener, ...]:
        return (*self.tickets, *self.threads)


def make_listeners(config: Config) -> Listeners:
    """Build what reads the answers in every service that config wants read."""
    tickets, threads = [], []
    for name, tracker in config.tracker.items():
        of_tickets = to_tracker(tracker).listening
        if of_tickets is not None:
            tickets.append(TicketListener(name, of_tickets.make(), of_tickets.config))
    for name, chat in config.chat.items():
        of_threads = to_chat(chat).listening
        if of_threads is not None:
            threads.append(ThreadListener(name, of_threads.make(), of_threads.speakers))
    return Listeners(tuple(tickets), tuple(threads))
