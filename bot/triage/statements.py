"""What somebody said to Herald, as it is acted on: the commands of a comment, or how a ticket was closed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from bot.domain.commands import Said, read_commands
from bot.domain.incidents import Incident
from bot.domain.objects import ObjectKey
from bot.domain.rules import Medium, Person, RuleKind, SaidAt
from bot.ports import Comment, Resolution
from bot.text.comment_lines import said_lines


@dataclass(frozen=True, slots=True)
class Matter:
    """The incident that somebody speaks of, and where the reply goes."""

    incident: Incident
    target: ObjectKey | None  # the ticket, or the message whose thread it is; None: nowhere

    @property
    def pipeline(self) -> str:
        return self.incident.series.pipeline


@dataclass(frozen=True, slots=True)
class Statement:
    """Commands of one comment, or of one line by hand."""

    said_at: SaidAt
    author: Person
    commands: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Closing:
    """How somebody closed a ticket."""

    said_at: SaidAt
    author: Person
    name: str  # of the resolution, as people read it
    meaning: RuleKind | None  # None where config says nothing of it
    duplicate_of: str = ""  # the key of the ticket that it repeats


def is_for_nobody(comment: Comment, me: Person) -> bool:
    """Say whether a comment asks nothing of Herald, whatever it says: its own, a bot's, or one changed since."""
    is_ours = comment.mark is not None or comment.author.account == me.account
    return is_ours or comment.author.is_app or comment.is_edited


def statement_of(comment: Comment, medium: Medium, target: ObjectKey, today: date) -> Statement:
    """Read the commands of a comment, in their order."""
    said = SaidAt(medium, target.service, target.name, comment.comment_id, comment.url)
    return Statement(said, comment.author, read_commands(said_lines(comment.body, comment.markup), today))


def closing_at(target: ObjectKey, resolution: Resolution, url: str) -> SaidAt:
    """Name one closing of a ticket: it may be opened again, and closed once more in the same way."""
    moment = resolution.at.isoformat() if resolution.at is not None else ""
    return SaidAt(Medium.RESOLUTION, target.service, target.name, f"closed/{resolution.id}/{moment}", url)


def question_of(said: SaidAt) -> SaidAt:
    """Name the one question that a ticket gets which was closed in a way that config says nothing of."""
    return replace(said, said_id="closed")
