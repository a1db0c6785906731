"""Commands that people write into a ticket or a thread: what each one asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Fixed:
    """`fixed`: it is repaired; the next runs will show it."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """`expected REASON`: this level is the new baseline."""

    reason: str


@dataclass(frozen=True, slots=True)
class CallNoise:
    """`noise 30d REASON`: the bar of what fell rises for so long."""

    lasts: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class Mute:
    """`mute 14d REASON`: nothing is said for so long."""

    lasts: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class Accept:
    """`accept until 2027-01-31 REASON`: it is known, and quiet to the end of that day."""

    until: date
    reason: str


@dataclass(frozen=True, slots=True)
class Rerun:
    """`rerun`: the pipeline's job once more, with another seed."""


@dataclass(frozen=True, slots=True)
class AssignMe:
    """`assign me`."""


@dataclass(frozen=True, slots=True)
class AskWhy:
    """`why`: the numbers behind the verdict."""


@dataclass(frozen=True, slots=True)
class ShowRules:
    """`rules`: what is quiet here."""


@dataclass(frozen=True, slots=True)
class Undo:
    """`undo N`: take rule N back."""

    number: int


@dataclass(frozen=True, slots=True)
class Help:
    """`help`."""


Command = Fixed | Expected | CallNoise | Mute | Accept | Rerun | AssignMe | AskWhy | ShowRules | Undo | Help


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that begins as a command and is none."""

    line: str
    nearest: str = ""  # the usage of the command that it comes nearest to; empty where it comes near none


Said = Command | Unreadable
