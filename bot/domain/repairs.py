"""What we believe of the services against what they hold, and what would bring both together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bot.domain.objects import ObjectKey


class RepairKind(StrEnum):
    KNOW = "know"  # it is there, and we did not know
    FOLLOW = "follow"  # it was moved or renamed
    FILE_ANEW = "file_anew"  # a ticket was deleted though its incident is open
    FORGET = "forget"  # it was deleted
    TURN_TO = "turn_to"  # it stands, and not the one that we knew
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
    is_duplicate: bool = False  # and closed as one that repeats another


@dataclass(frozen=True, slots=True)
class Repair:
    kind: RepairKind
    key: ObjectKey
    held: Held | None = None
    known_as: str = ""  # before, for people
    original: Held | None = None  # of a duplicate


def standing_of(held: Sequence[Held], known: Held | None, *, is_live: bool = True) -> Held | None:
    """Return which of several objects of one key stands; None where all were closed as repeating another.

    *held* is oldest first. While what they are about goes on (*is_live*) the oldest that is open stands. Where people
    closed all of them, the one that we know stays, or the oldest is taken: it is theirs, and none is filed anew beside
    it. Once it is over, the oldest stands, closed or not.
    """
    real = [each for each in held if not each.is_duplicate]
    opened = [each for each in real if not each.is_over] if is_live else []
    ids = {each.external_id for each in real}
    if not opened and known is not None and known.external_id in ids:
        return next(each for each in real if each.external_id == known.external_id)
    return next(iter(opened or real), None)


def settle_duplicates(
    key: ObjectKey, held: Sequence[Held], known: Held | None, kind: RepairKind, *, is_live: bool = True
) -> tuple[Held | None, list[Repair]]:
    """Return which of several objects of one key stands, and what becomes of the others (*kind*).

    *held* is oldest first. One that is over already is left as it is.
    """
    stands = standing_of(held, known, is_live=is_live)
    if stands is None:
        return None, []
    repairs = compare(key, stands, known)
    if known is not None and known.external_id in {each.external_id for each in held if each is not stands}:
        repairs = [replace(each, kind=RepairKind.TURN_TO) for each in repairs]
    repairs += [Repair(kind, key, each, original=stands) for each in held if each is not stands and not each.is_over]
    return stands, repairs


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
