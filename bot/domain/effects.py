"""Effects: the changes owed to the outside world, a closed sum; long, since each is a class with a row of traits.

`docs/decisions/006-doubtful-ends.md` shows that table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from types import NoneType
from typing import ClassVar, Generic, Protocol, Self, TypeVar, get_args

from bot.domain.objects import ObjectKey, ObjectKind
from bot.domain.views import (
    AnswerView,
    ArchivePageView,
    AssigneeView,
    ChartView,
    CommentView,
    DigestView,
    FileView,
    LabelsView,
    LedgerView,
    LinkView,
    MessageView,
    PipelinePageView,
    RunPageView,
    TicketView,
    UmbrellaOverView,
    UmbrellaView,
    View,
)

V_co = TypeVar("V_co", bound=View | None, covariant=True)

_REBOUND = "+"  # in a cause: the same words once more


class Doubt(StrEnum):
    """How it is settled that a request's end is not known: by what its work is looked for before it is sent again."""

    MARKER = "its marker"
    MARK = "its mark"
    TITLE = "its exact title"
    SAME_AGAIN = "not looked for: the same again changes nothing"  # the port promises that

    @property
    def is_looked_for(self) -> bool:
        return self is not Doubt.SAME_AGAIN


@dataclass(frozen=True, slots=True)
class Traits(Generic[V_co]):
    """What holds for every effect of a kind."""

    view: type[V_co]  # what it shows
    doubt: Doubt
    creates: bool = False  # nothing later on the object can do without
    is_aside: bool = False  # what else happens to the object need not wait for it
    names_others: bool = False  # in its text: it waits a moment for those that are on their way
    is_kept_true: bool = False  # its text is written anew once what it could not show is there


@dataclass(frozen=True, slots=True)
class Change:
    """What all effects have; an id follows from what is changed and what caused it, so each is owed once."""

    kind: ClassVar[str]  # as the outbox stores it: never to be changed
    traits: ClassVar[Traits[View | None]]

    target: ObjectKey
    cause: str  # the run or fire, and the turn of the incident, that called for it
    incident_id: str | None = None
    needs: tuple[ObjectKey, ...] = ()  # must exist before this can be delivered

    @property
    def effect_id(self) -> str:
        return f"{self.kind}:{self.target}:{self.cause}"

    def rebind(self, shown: ObjectKind) -> Self:
        """Return the effect that says the same once more, now that what it could not show is there."""
        return replace(self, cause=f"{self.cause}{_REBOUND}{shown}")

    @property
    def is_rebound(self) -> bool:
        return _REBOUND in self.cause

    @property
    def root_id(self) -> str:
        """Return the id of the effect whose words these are: of one that is rebound, that which it was."""
        return replace(self, cause=self.cause.split(_REBOUND, 1)[0]).effect_id

    @property
    def lane(self) -> str:
        """Name the queue this waits in: effects of one lane are delivered in the order in which they were owed.

        What other effects on the same object need not wait for has a lane of its own, so that a ticket's comments do
        not wait for the page that a link on it shows.
        """
        return f"{self.target}/{self.kind}" if self.traits.is_aside else str(self.target)


class Shows(Protocol[V_co]):
    """An effect by what it shows."""

    @property
    def traits(self) -> Traits[V_co]: ...


@dataclass(frozen=True, slots=True)
class OpenTicket(Change):
    kind: ClassVar = "open_ticket"
    traits: ClassVar[Traits[TicketView]] = Traits(TicketView, Doubt.MARKER, creates=True, names_others=True)


@dataclass(frozen=True, slots=True)
class CommentTicket(Change):
    kind: ClassVar = "comment_ticket"
    traits: ClassVar[Traits[CommentView]] = Traits(CommentView, Doubt.MARK, names_others=True)


@dataclass(frozen=True, slots=True)
class ResolveTicket(Change):
    kind: ClassVar = "resolve_ticket"
    traits: ClassVar[Traits[None]] = Traits(NoneType, Doubt.SAME_AGAIN)


@dataclass(frozen=True, slots=True)
class ReopenTicket(Change):
    kind: ClassVar = "reopen_ticket"
    traits: ClassVar[Traits[None]] = Traits(NoneType, Doubt.SAME_AGAIN)


@dataclass(frozen=True, slots=True)
class AssignTicket(Change):
    """Gives the ticket to somebody who asked for it, and to nobody else."""

    kind: ClassVar = "assign_ticket"
    traits: ClassVar[Traits[AssigneeView]] = Traits(AssigneeView, Doubt.SAME_AGAIN)


@dataclass(frozen=True, slots=True)
class AnswerComment(Change):
    """A reply to what somebody said on the ticket, or to how it was closed."""

    kind: ClassVar = "answer_comment"
    traits: ClassVar[Traits[AnswerView]] = Traits(AnswerView, Doubt.MARK)


@dataclass(frozen=True, slots=True)
class LinkTicket(Change):
    kind: ClassVar = "link_ticket"
    traits: ClassVar[Traits[LinkView]] = Traits(LinkView, Doubt.SAME_AGAIN, is_aside=True)


@dataclass(frozen=True, slots=True)
class OpenUmbrella(Change):
    """The ticket above those of many incidents that came up together."""

    kind: ClassVar = "open_umbrella"
    traits: ClassVar[Traits[UmbrellaView]] = Traits(UmbrellaView, Doubt.MARKER, creates=True, names_others=True)


@dataclass(frozen=True, slots=True)
class CommentUmbrella(Change):
    """What is said there once all below it is over."""

    kind: ClassVar = "comment_umbrella"
    traits: ClassVar[Traits[UmbrellaOverView]] = Traits(UmbrellaOverView, Doubt.MARK)


@dataclass(frozen=True, slots=True)
class AttachToTicket(Change):
    kind: ClassVar = "attach_to_ticket"
    traits: ClassVar[Traits[ChartView]] = Traits(ChartView, Doubt.SAME_AGAIN, is_aside=True)


@dataclass(frozen=True, slots=True)
class AttachExamples(Change):
    """The list of the examples that lost most, on the ticket."""

    kind: ClassVar = "attach_examples"
    traits: ClassVar[Traits[FileView]] = Traits(FileView, Doubt.SAME_AGAIN, is_aside=True)


@dataclass(frozen=True, slots=True)
class AttachText(Change):
    """The whole text of a ticket that was cut."""

    kind: ClassVar = "attach_text"
    traits: ClassVar[Traits[TicketView]] = Traits(TicketView, Doubt.SAME_AGAIN, is_aside=True)


@dataclass(frozen=True, slots=True)
class AttachComment(Change):
    """The whole text of a comment that was cut."""

    kind: ClassVar = "attach_comment"
    traits: ClassVar[Traits[CommentView]] = Traits(CommentView, Doubt.SAME_AGAIN, is_aside=True)


@dataclass(frozen=True, slots=True)
class PublishArchive(Change):
    """The page of a year, below which its runs' pages are."""

    kind: ClassVar = "publish_archive"
    traits: ClassVar[Traits[ArchivePageView]] = Traits(ArchivePageView, Doubt.TITLE, creates=True)


@dataclass(frozen=True, slots=True)
class PublishPage(Change):
    kind: ClassVar = "publish_page"
    traits: ClassVar[Traits[RunPageView]] = Traits(RunPageView, Doubt.TITLE, creates=True, names_others=True)


@dataclass(frozen=True, slots=True)
class LabelPage(Change):
    kind: ClassVar = "label_page"
    traits: ClassVar[Traits[LabelsView]] = Traits(LabelsView, Doubt.SAME_AGAIN, is_aside=True)


@dataclass(frozen=True, slots=True)
class AttachToPage(Change):
    kind: ClassVar = "attach_to_page"
    traits: ClassVar[Traits[ChartView]] = Traits(ChartView, Doubt.SAME_AGAIN, is_aside=True)


@dataclass(frozen=True, slots=True)
class AttachExamplesToPage(Change):
    """The list of the examples that lost most, on the run's page."""

    kind: ClassVar = "attach_examples_to_page"
    traits: ClassVar[Traits[FileView]] = Traits(FileView, Doubt.SAME_AGAIN, is_aside=True)


@dataclass(frozen=True, slots=True)
class UpdateSection(Change):
    kind: ClassVar = "update_section"
    traits: ClassVar[Traits[PipelinePageView]] = Traits(PipelinePageView, Doubt.SAME_AGAIN, is_kept_true=True)


@dataclass(frozen=True, slots=True)
class UpdateLedger(Change):
    """The page that says what Herald is quiet about."""

    kind: ClassVar = "update_ledger"
    traits: ClassVar[Traits[LedgerView]] = Traits(LedgerView, Doubt.SAME_AGAIN)


@dataclass(frozen=True, slots=True)
class TellChannel(Change):
    kind: ClassVar = "tell_channel"
    traits: ClassVar[Traits[MessageView]] = Traits(MessageView, Doubt.MARK, names_others=True, is_kept_true=True)


@dataclass(frozen=True, slots=True)
class ReplyInThread(Change):
    kind: ClassVar = "reply_in_thread"
    traits: ClassVar[Traits[CommentView]] = Traits(CommentView, Doubt.MARK, is_aside=True, names_others=True)


@dataclass(frozen=True, slots=True)
class AnswerInThread(Change):
    """A reply to what somebody said in the message's thread."""

    kind: ClassVar = "answer_in_thread"
    traits: ClassVar[Traits[AnswerView]] = Traits(AnswerView, Doubt.MARK, is_aside=True)


@dataclass(frozen=True, slots=True)
class ShareChart(Change):
    """A chart in a message's thread."""

    kind: ClassVar = "share_chart"
    traits: ClassVar[Traits[ChartView]] = Traits(ChartView, Doubt.SAME_AGAIN, is_aside=True)


@dataclass(frozen=True, slots=True)
class PostDigest(Change):
    kind: ClassVar = "post_digest"
    traits: ClassVar[Traits[DigestView]] = Traits(DigestView, Doubt.MARK, names_others=True, is_kept_true=True)


@dataclass(frozen=True, slots=True)
class PublishDigest(Change):
    kind: ClassVar = "publish_digest"
    traits: ClassVar[Traits[DigestView]] = Traits(DigestView, Doubt.TITLE, names_others=True)


TicketEffect = (
    OpenTicket
    | CommentTicket
    | ResolveTicket
    | ReopenTicket
    | AssignTicket
    | AnswerComment
    | LinkTicket
    | OpenUmbrella
    | CommentUmbrella
    | AttachToTicket
    | AttachExamples
    | AttachText
    | AttachComment
)
PageEffect = (
    PublishArchive
    | PublishPage
    | LabelPage
    | AttachToPage
    | AttachExamplesToPage
    | UpdateSection
    | UpdateLedger
    | PublishDigest
)
MessageEffect = TellChannel | ReplyInThread | AnswerInThread | ShareChart | PostDigest
Effect = TicketEffect | PageEffect | MessageEffect

EFFECTS: tuple[type[Effect], ...] = get_args(Effect)
BY_KIND = {each.kind: each for each in EFFECTS}
ASIDE = tuple(each.kind for each in EFFECTS if each.traits.is_aside)
KEPT_TRUE = tuple(each.kind for each in EFFECTS if each.traits.is_kept_true)
CREATING = tuple(each.kind for each in EFFECTS if each.traits.creates)
DIGESTS = (PostDigest.kind, PublishDigest.kind)
SECTIONS = (UpdateSection.kind, UpdateLedger.kind)  # of pages that are kept up to date
