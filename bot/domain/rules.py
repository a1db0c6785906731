"""Rules: what people answered, each with its author, reason, scope and end; nothing is quiet without one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.domain.incidents import Kind, SeriesKey


class RuleKind(StrEnum):
    """What a person's answer changes, whether it came as a resolution, a command or by hand."""

    FIXED = "fixed"  # the next runs are watched: they confirm it, or the ticket is opened again
    EXPECTED = "expected"  # the level from a run on is the new baseline
    NOISE = "noise"  # the bar of a metric, or of a slice, rises until the rule lapses
    MUTE = "mute"  # nothing is said until the rule lapses
    ACCEPTED = "accepted"  # it is known, and quiet until a date
    DUPLICATE = "duplicate"  # it is another incident's problem


class Medium(StrEnum):
    """By which way an answer came."""

    RESOLUTION = "resolution"  # of the ticket; on Trello the list or a label
    COMMENT = "comment"  # on the ticket
    THREAD = "thread"  # of the message
    HAND = "hand"  # on the command line


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who answers, as the service knows them."""

    account: str  # the id by which the service tells people apart
    name: str = ""  # as people know them
    is_app: bool = False  # a bot or an app, as far as the service says

    def __str__(self) -> str:
        return self.name or self.account


@dataclass(frozen=True, slots=True)
class SaidAt:
    """Where an answer stands."""

    medium: Medium
    service: str = ""  # as config calls it; empty for the command line
    place: str = ""  # the ticket's key, or the message's channel and id
    said_id: str = ""  # of the comment; of a resolution the id of the change, or of what it was changed to
    url: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule is about: findings of one series."""

    series: SeriesKey
    keys: tuple[str, ...] = ()  # of findings: metrics, and slices of them; empty: whatever the incident is of
    incident_id: str = ""  # from whose ticket it came
    problem: Kind = Kind.REGRESSED  # of that incident


@dataclass(frozen=True, slots=True)
class Bar:
    """How far something had fallen that was called noise."""

    key: str  # of findings
    size: float  # in the metric's unit
    level: float | None = None  # that it fell from


@dataclass(frozen=True, slots=True)
class Rule:
    """One answer that holds: from when it was given until it lapses or somebody takes it back."""

    number: int  # by which people take it back; unique in one Herald's state, and never given again
    kind: RuleKind
    scope: Scope
    author: Person
    said_at: SaidAt
    made_at: datetime
    reason: str = ""
    from_run: str = ""  # the first of the runs that the answer was about: with EXPECTED the new level begins
    to_run: str = ""  # the last of them
    bars: tuple[Bar, ...] = ()  # NOISE
    joins: str = ""  # DUPLICATE: the id of the other incident, or the key of the other ticket where it is none of ours
    repeats: str = ""  # DUPLICATE: the key of the other ticket, as it was called then
    until: datetime | None = None  # when it lapses; None: not by itself
    undone_at: datetime | None = None
    undone_by: Person | None = None

    def holds_at(self, moment: datetime) -> bool:
        """Say whether it was in force: given by then, not lapsed and not taken back."""
        ends = [each for each in (self.until, self.undone_at) if each is not None]
        return self.made_at <= moment and all(moment < end for end in ends)

    def is_about(self, series: SeriesKey, key: str) -> bool:
        """Say whether a finding of that key in that series falls under it."""
        return self.scope.series == series and (not self.scope.keys or key in self.scope.keys)


def in_force(rules: Iterable[Rule], moment: datetime) -> tuple[Rule, ...]:
    """Return the rules that hold at a moment, in the order of their numbers."""
    return tuple(sorted((each for each in rules if each.holds_at(moment)), key=lambda each: each.number))
