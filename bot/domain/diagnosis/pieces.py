"""What a change is made of: commits in a row, or parts of the data, and what was rerun with the first few of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.domain.recipes import Recipe
from bot.domain.rerun_troubles import RerunTrouble


@dataclass(frozen=True, slots=True)
class ChangedPiece:
    """One of the changes that a component is made of, each of which contains those before it."""

    name: str  # the commit, or the part of the data
    recipe: Recipe  # how a job is set with it and those before, and without those after
    title: str = ""  # what a commit says of itself
    author: str = ""
    made_at: datetime | None = None
    is_gone: bool = False  # a part that the data had, and have no more


class Unlisted(StrEnum):
    """Why the pieces of a component cannot be told."""

    NO_LIST = "no_list"  # git does not know the commits, or not any more
    NOT_IN_A_ROW = "not_in_a_row"  # the one commit does not lead to the other
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Pieces:
    """What a component is made of; none where that cannot be told."""

    component: int
    all: tuple[ChangedPiece, ...] = ()  # oldest first
    unlisted: Unlisted | None = None


@dataclass(frozen=True, slots=True)
class DonePieces:
    """A rerun with the first few pieces that is over; without a value it failed, and says nothing."""

    count: int
    value: float | None
    trouble: RerunTrouble | None = None  # why it has none
