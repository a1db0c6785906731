"""The digest: which lines it has room for, in a fixed order of sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

LINES = 15  # of a whole digest, its headline and the names of its sections included


class DigestHeading(StrEnum):
    """The sections, in their order."""

    NEEDS_YOU = "needs_you"
    BETTER = "better"
    WATCHING = "watching"
    NEXT = "next"


_NEWS = (DigestHeading.NEEDS_YOU, DigestHeading.BETTER, DigestHeading.WATCHING)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chosen(Generic[T]):
    section: DigestHeading
    lines: tuple[T, ...]
    left_out: int = 0


def is_quiet(found: Mapping[DigestHeading, Sequence[T]]) -> bool:
    """Say whether there is nothing but what comes next."""
    return not any(found.get(section) for section in _NEWS)


def choose_lines(found: Mapping[DigestHeading, Sequence[T]], most: int = LINES) -> tuple[Chosen[T], ...]:
    """Choose as many lines as there is room for, the first of each section first.

    Each section that has any gets a line in turn, so that none crowds out another; that something was left out takes a
    line too.
    """
    sections = [section for section in DigestHeading if found.get(section)]
    room = most - 1 - len(sections)
    taken = dict.fromkeys(sections, 0)
    while room > 0 and (open_ones := [s for s in sections if taken[s] < len(found[s])]):
        for section in open_ones[:room]:
            taken[section] += 1
        room -= len(open_ones[:room])
    return tuple(_cut(section, found[section], taken[section]) for section in sections)


def _cut(section: DigestHeading, lines: Sequence[T], room: int) -> Chosen[T]:
    """Give up the last line for the word that there are more."""
    if room >= len(lines):
        return Chosen(section, tuple(lines))
    kept = max(room - 1, 0)
    return Chosen(section, tuple(lines[:kept]), len(lines) - kept)
