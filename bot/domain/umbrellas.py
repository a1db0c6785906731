"""One ticket over many: where a cycle files more incidents than people can read one by one, what lists and links them.

Each incident keeps its own ticket, with its own comments and its own end; the ticket above them is over when they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.domain.effects import CommentUmbrella, Effect, LinkTicket, OpenUmbrella, ResolveTicket
from bot.domain.objects import Marker, ObjectKey, ObjectKind


@dataclass(frozen=True, slots=True)
class Filed:
    """An incident that a cycle filed and that still stands at its end, with its tickets: one an owner."""

    incident_id: str
    tickets: tuple[ObjectKey, ...]


@dataclass(frozen=True, slots=True)
class Umbrella:
    """A ticket over those of several incidents."""

    key: ObjectKey
    below: tuple[Filed, ...]

    @property
    def tickets(self) -> tuple[ObjectKey, ...]:
        return tuple(ticket for each in self.below for ticket in each.tickets)


def gather(filed: Sequence[Filed], above: int, instance: str, pipeline: str) -> Umbrella | None:
    """Put what one cycle filed, the earliest first, under one ticket; None unless it is more than *above*; 0: never.

    The marker follows from the first incident, so that it comes out the same when the same is decided once more.
    """
    told = {each.incident_id: each for each in filed if each.tickets}
    if not above or len(told) <= above:
        return None
    first = next(iter(told.values()))
    text = "\x1f".join(("umbrella", pipeline, first.incident_id))
    marker = Marker(instance, hashlib.sha256(text.encode()).hexdigest()[:12])
    return Umbrella(ObjectKey(first.tickets[0].service, ObjectKind.TICKET, str(marker)), tuple(told.values()))


def open_umbrella(umbrella: Umbrella) -> Iterator[Effect]:
    """Yield what makes the ticket, and links it with those below it both ways."""
    key = umbrella.key
    yield OpenUmbrella(key, "opened")
    for each in umbrella.below:
        for ticket in each.tickets:
            yield LinkTicket(key, f"below/{ticket.name}", needs=(key, ticket))
            yield LinkTicket(ticket, f"umbrella/{key.name}", each.incident_id, needs=(ticket, key))


def close_umbrella(key: ObjectKey, *, resolves: bool) -> Iterator[Effect]:
    """Yield what says that all below it is over; closing it is left to people where Herald *resolves* nothing."""
    yield CommentUmbrella(key, "over")
    if resolves:
        yield ResolveTicket(key, "over")
