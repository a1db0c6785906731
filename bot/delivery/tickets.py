"""How effects on tickets are carried out, and found again after a doubtful end."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from bot.delivery.attachments import chart_file, csv_file, text_file
from bot.delivery.attempt import Attempt, Done
from bot.delivery.refused_fields import refused_in, without
from bot.domain.capabilities import TicketState
from bot.domain.effects import (
    AnswerComment,
    AssignTicket,
    AttachComment,
    AttachExamples,
    AttachText,
    AttachToTicket,
    CommentTicket,
    CommentUmbrella,
    LinkTicket,
    OpenTicket,
    OpenUmbrella,
    ReopenTicket,
    ResolveTicket,
    TicketEffect,
)
from bot.domain.objects import Bound, family_of
from bot.domain.views import (
    AnswerView,
    CommentView,
    LinkView,
    TicketView,
    UmbrellaOverView,
    UmbrellaView,
    Unset,
)
from bot.errors import FieldsRefusedError, FullError
from bot.ports import RemoteLink, Ticket, TicketDraft
from bot.render.renderer import CommentText, TicketText
from bot.runtime.log import get_logger

log = get_logger(__name__)


def perform(attempt: Attempt, effect: TicketEffect) -> Done:
    """Carry the effect out; raises RetryableError or PermanentError."""
    match effect:
        case OpenTicket():
            return _open(attempt, attempt.shown_by(effect))
        case CommentTicket():
            return _comment(attempt, attempt.shown_by(effect))
        case OpenUmbrella() | CommentUmbrella():
            return _perform_above(attempt, effect)
        case ResolveTicket():
            attempt.tracker.move(attempt.external_id, TicketState.DONE)
        case ReopenTicket():
            _reopen(attempt)
        case AssignTicket():
            attempt.tracker.assign(attempt.external_id, attempt.shown_by(effect).account)
        case AnswerComment():
            _answer(attempt, attempt.shown_by(effect))
        case LinkTicket():
            _link(attempt, attempt.shown_by(effect))
        case AttachToTicket() | AttachExamples() | AttachText() | AttachComment():
            _attach(attempt, effect)
        case _:
            assert_never(effect)
    return Done()


def _attach(attempt: Attempt, effect: AttachToTicket | AttachExamples | AttachText | AttachComment) -> None:
    """Attach what the effect shows as a file."""
    match effect:
        case AttachToTicket():
            attempt.tracker.attach(attempt.external_id, chart_file(attempt.shown_by(effect)))
        case AttachExamples():
            attempt.tracker.attach(attempt.external_id, csv_file(attempt.shown_by(effect)))
        case AttachText():
            _attach_whole(attempt, attempt.shown_by(effect))
        case AttachComment():
            _attach_whole(attempt, attempt.shown_by(effect))
        case _:
            assert_never(effect)


def _perform_above(attempt: Attempt, effect: OpenUmbrella | CommentUmbrella) -> Done:
    """Carry out what concerns a ticket above others."""
    match effect:
        case OpenUmbrella():
            return _open_umbrella(attempt, attempt.shown_by(effect))
        case CommentUmbrella():
            _say_over(attempt, attempt.shown_by(effect))
            return Done()
        case _:
            assert_never(effect)


def find(attempt: Attempt, effect: TicketEffect) -> Done | None:
    """Look for what an earlier request may have made; None: it is not there, or the same again changes nothing."""
    match effect:
        case OpenTicket():
            return _find_ticket(attempt, attempt.shown_by(effect))
        case CommentTicket():
            return _find_comment(attempt, attempt.shown_by(effect))
        case OpenUmbrella():
            ticket = attempt.tracker.find(attempt.target.name)
            return None if ticket is None else _bound(attempt, ticket)
        case CommentUmbrella():
            mark = attempt.shown_by(effect).mark
            return Done() if attempt.tracker.has_comment(attempt.external_id, mark) else None
        case AnswerComment():
            mark = attempt.shown_by(effect).mark
            return Done() if attempt.tracker.has_comment(attempt.external_id, mark) else None
        case ResolveTicket() | ReopenTicket() | AssignTicket() | LinkTicket():
            return None
        case AttachToTicket() | AttachExamples() | AttachText() | AttachComment():
            return None
        case _:
            assert_never(effect)


def _link(attempt: Attempt, view: LinkView) -> None:
    for each in map(attempt.objects.get, view.links.values()):
        if each is not None:  # an earlier ticket may be gone
            link = RemoteLink(f"herald={each.key.name}", each.bound.url, each.bound.title)
            attempt.tracker.link(attempt.external_id, link)


def _open(attempt: Attempt, view: TicketView) -> Done:
    if attempt.known is not None:  # found again by its marker after the state was lost
        return Done(attempt.known)
    text, fields = _ticket_text(attempt, view), attempt.fields
    assignee = fields.assignee if view.assignee is None else view.assignee or None
    return _opened(attempt, _create(attempt, text, assignee), view, text)


def _open_umbrella(attempt: Attempt, view: UmbrellaView) -> Done:
    """Open the ticket above others; where its list was cut, links on it lead to those that it does not name."""
    if attempt.known is not None:  # found again by its marker after the state was lost
        return Done(attempt.known)
    text = attempt.renderer.render_umbrella(attempt.tracker.text_form, view, attempt.bind(view.links))
    return _bound(attempt, _create(attempt, text, attempt.fields.assignee))


def _find_ticket(attempt: Attempt, view: TicketView) -> Done | None:
    ticket = attempt.tracker.find(attempt.target.name)
    return None if ticket is None else _opened(attempt, ticket, view, _ticket_text(attempt, view))


def _create(attempt: Attempt, text: TicketText, assignee: str | None) -> Ticket:
    """Create the ticket, without those fields that its tracker refuses: such a refusal made nothing."""
    fields, family = attempt.fields, family_of(attempt.target.name)
    labels = (family, *fields.labels)
    draft = TicketDraft(text.title, text.body, labels, fields.priority, assignee, fields.components)
    whole, unset = draft, tuple[Unset, ...]()
    while True:
        try:
            return attempt.tracker.create(attempt.target.name, draft)
        except FieldsRefusedError as error:
            slimmer = without(draft, error.fields, family)
            if slimmer is None or attempt.fields.required & error.fields.keys():
                raise
            unset += refused_in(error)
        said = attempt.renderer.render_unset(attempt.tracker.text_form, unset)
        draft = replace(slimmer, body=f"{whole.body}\n\n{said}")


def _opened(attempt: Attempt, ticket: Ticket, view: TicketView, text: TicketText) -> Done:
    """Bind the ticket; where its text was cut, the whole of it is owed as a file."""
    owes = ((_beside(attempt, AttachText), view),) if text.cut else ()
    return replace(_bound(attempt, ticket), owes=owes)


def _bound(attempt: Attempt, ticket: Ticket) -> Done:
    return Done(attempt.made(Bound(ticket.name or ticket.key, ticket.url, ticket.key)))


def _reopen(attempt: Attempt) -> None:
    """Let a ticket that is done be to do again; one that people have taken up meanwhile stays where it is."""
    ticket = attempt.tracker.read(attempt.external_id)
    if ticket is not None and ticket.state is TicketState.DONE:
        attempt.tracker.move(attempt.external_id, TicketState.TODO)


def _answer(attempt: Attempt, view: AnswerView) -> None:
    text = attempt.renderer.render_answer(attempt.tracker.text_form, view, attempt.bind(view.links))
    _say(attempt, view.mark, text.body)


def _say_over(attempt: Attempt, view: UmbrellaOverView) -> None:
    text = attempt.renderer.render_umbrella_over(attempt.tracker.text_form, view, attempt.bind(view.links))
    _say(attempt, view.mark, text.body)


def _say(attempt: Attempt, mark: str, body: str) -> bool:
    """Comment; False where the ticket takes no more, which is told on it before, and once is enough."""
    try:
        attempt.tracker.comment(attempt.external_id, mark, body)
    except FullError as error:
        log.warning("ticket is full", ticket=attempt.external_id, error=str(error))
        return False
    return True


def _comment(attempt: Attempt, view: CommentView) -> Done:
    text = _comment_text(attempt, view)
    return _commented(attempt, view, text) if _say(attempt, view.mark, text.body) else Done()


def _find_comment(attempt: Attempt, view: CommentView) -> Done | None:
    is_there = attempt.tracker.has_comment(attempt.external_id, view.mark)
    return _commented(attempt, view, _comment_text(attempt, view)) if is_there else None


def _commented(attempt: Attempt, view: CommentView, text: CommentText) -> Done:
    return Done(owes=((_beside(attempt, AttachComment), view),) if text.cut else ())


def _beside(attempt: Attempt, kind: type[AttachText | AttachComment]) -> AttachText | AttachComment:
    effect = attempt.owed.effect
    return kind(effect.target, effect.cause, effect.incident_id, needs=(effect.target,))


def _attach_whole(attempt: Attempt, view: TicketView | CommentView) -> None:
    whole = attempt.renderer.render_whole(view, attempt.bind(view.links))
    attempt.tracker.attach(attempt.external_id, text_file(whole))


def _ticket_text(attempt: Attempt, view: TicketView) -> TicketText:
    view = replace(view, links=attempt.there(view.links, besides="earlier"))
    return attempt.renderer.render_ticket(attempt.tracker.text_form, view, attempt.bind(view.links))


def _comment_text(attempt: Attempt, view: CommentView) -> CommentText:
    view = replace(view, links=attempt.there(view.links))
    return attempt.renderer.render_comment(attempt.tracker.text_form, view, attempt.bind(view.links))
