"""What each effect shows of the run that called for it."""

from __future__ import annotations

from typing import assert_never

from bot.domain.effects import (
    AnswerComment,
    AnswerInThread,
    AssignTicket,
    AttachComment,
    AttachExamples,
    AttachExamplesToPage,
    AttachText,
    AttachToPage,
    AttachToTicket,
    CommentTicket,
    CommentUmbrella,
    Effect,
    LabelPage,
    LinkTicket,
    MessageEffect,
    OpenTicket,
    OpenUmbrella,
    PageEffect,
    PostDigest,
    PublishArchive,
    PublishDigest,
    PublishPage,
    ReopenTicket,
    ReplyInThread,
    ResolveTicket,
    ShareChart,
    TellChannel,
    TicketEffect,
    UpdateLedger,
    UpdateSection,
)
from bot.domain.incidents import Step
from bot.domain.notifications import EARLIER, HISTORY
from bot.domain.tasks import ticket_of
from bot.domain.views import LabelsView, LinkView, View
from bot.judging.views.chart import chart_view, charts_of_all
from bot.judging.views.examples import examples_file
from bot.judging.views.incident import labels, links
from bot.judging.views.message import message_view
from bot.judging.views.occasion import Occasion
from bot.judging.views.page import archive_page_view, pipeline_page_view, run_page_view
from bot.judging.views.ticket import comment_view, result_view, ticket_view


def view_of(effect: Effect, on: Occasion) -> View | None:
    """Return what the effect shows; None for what shows nothing, or what no single run says."""
    if isinstance(effect, TicketEffect):
        return _on_ticket(effect, on)
    if isinstance(effect, PageEffect):
        return _on_page(effect, on)
    if isinstance(effect, MessageEffect):
        return _in_channel(effect, on.for_channel)
    assert_never(effect)


def _on_ticket(effect: TicketEffect, on: Occasion) -> View | None:
    match effect:
        case OpenTicket():
            return ticket_view(on, _part_of(effect, on))
        case CommentTicket() if ticket_of(effect.target) is not None:
            return result_view(on, effect)
        case CommentTicket():
            return comment_view(on, _part_of(effect, on), effect)
        case AttachToTicket():
            return chart_view(on, _part_of(effect, on))
        case AttachExamples():
            return examples_file(on, _part_of(effect, on))
        case LinkTicket():
            is_earlier = effect.cause.endswith(EARLIER)
            earlier = on.places.earlier_ticket(_part_of(effect, on).incident)
            return LinkView(links(earlier=earlier) if is_earlier else links(report=on.page))
        case ResolveTicket() | ReopenTicket() | AssignTicket() | AnswerComment() | AttachText() | AttachComment():
            return None
        case OpenUmbrella() | CommentUmbrella():  # of many runs
            return None
        case _:
            assert_never(effect)


def _on_page(effect: PageEffect, on: Occasion) -> View | None:
    match effect:
        case PublishArchive():
            return archive_page_view(on)
        case PublishPage():
            return run_page_view(on)
        case LabelPage():
            return LabelsView(labels(on))
        case AttachToPage():
            return charts_of_all(on) if effect.cause.endswith(HISTORY) else chart_view(on)
        case AttachExamplesToPage():
            return examples_file(on)
        case UpdateSection():
            return pipeline_page_view(on)
        case PublishDigest() | UpdateLedger():
            return None
        case _:
            assert_never(effect)


def _in_channel(effect: MessageEffect, on: Occasion) -> View | None:
    match effect:
        case TellChannel():
            return message_view(on, _step_of(effect, on))
        case ReplyInThread():
            return comment_view(on, _step_of(effect, on), effect)
        case ShareChart():
            return chart_view(on, _step_of(effect, on))
        case PostDigest() | AnswerInThread():
            return None
        case _:
            assert_never(effect)


def _step_of(effect: Effect, on: Occasion) -> Step:
    return next(step for step in on.steps if step.incident.incident_id == effect.incident_id)


def _part_of(effect: Effect, on: Occasion) -> Step:
    """Return the step as whoever has the effect's ticket hears of it."""
    parts = (part for step in on.steps for part in step.split())
    return next(part for part in parts if on.places.ticket(part.incident) == effect.target)
