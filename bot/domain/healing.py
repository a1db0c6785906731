"""What we believe of the services against what they hold, and what would bring both together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.effects import ObjectKey


class RepairKind(StrEnum):
    KNOW = "know"  # it is there, and we did not know
    FOLLOW = "follow"  # it was moved or renamed
    FILE_ANEW = "file_anew"  # a ticket was deleted though its incident is open
    FORGET = "forget"  # it was deleted
    CLOSE_DUPLICATE = "close_duplicate"  # a second ticket of one marker
    TELL_DUPLICATE = "tell_duplicate"  # a second message of one mark: a person may delete it


@dataclass(frozen=True, slots=True)
class Held:
    """An object as a service holds it."""

    external_id: str
    title: str
    url: str
    place: str = ""  # a message's channel
    is_over: bool = False  # a ticket that is closed


@dataclass(frozen=True, slots=True)
class Repair:
    kind: RepairKind
    key: ObjectKey
    held: Held | None = None
    known_as: str = ""  # before, for people
    original: Held | None = None  # of a duplicate


def settle_duplicates(
    key: ObjectKey, held: Sequence[Held], known: Held | None, kind: RepairKind
) -> tuple[Held, list[Repair]]:
    """Return which of several objects of one key stands, the oldest, and what becomes of the others (*kind*).

    *held* is oldest first. One that is over already is left as it is.
    """
    first, *later = held
    repairs = compare(key, first, known)
    repairs += [Repair(kind, key, each, original=first) for each in later if not each.is_over]
    return first, repairs


def compare(key: ObjectKey, held: Held, known: Held | None) -> list[Repair]:
    """Return what makes us believe what is so."""
    if known is None:
        return [Repair(RepairKind.KNOW, key, held)]
    if (known.external_id, known.title, known.url) == (held.external_id, held.title, held.url):
        return []
    return [Repair(RepairKind.FOLLOW, key, held, known.title)]


def grouped(pairs: Iterable[tuple[ObjectKey, Held]]) -> Mapping[ObjectKey, Sequence[Held]]:
    """Gather what services hold by key, in the order given."""
    groups: dict[ObjectKey, list[Held]] = {}
    for key, held in pairs:
        groups.setdefault(key, []).append(held)
    return groups
