"""Which effects a run and the turns of its incidents call for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from bot.domain.effects import (
    AttachExamples,
    AttachExamplesToPage,
    AttachToPage,
    AttachToTicket,
    CommentTicket,
    Effect,
    LabelPage,
    LinkTicket,
    OpenTicket,
    PublishArchive,
    PublishPage,
    ReopenTicket,
    ReplyInThread,
    ResolveTicket,
    ShareChart,
    TellChannel,
    UpdateSection,
)
from bot.domain.incidents import Incident, Step, Turn
from bot.domain.judge.findings import Outcome
from bot.domain.objects import Marker, ObjectKey, ObjectKind

HISTORY = "history"  # in a cause: the chart of every metric on the pipeline's page
EARLIER = "earlier"  # in a cause: the link to the ticket of before


class Publish(StrEnum):
    """Which runs get a page of their own."""

    ALL = "all"
    CHANGED = "changed"  # whose outcome is another than the run before, or that turned an incident
    INCIDENTS = "incidents"  # that turned an incident people hear of


@dataclass(frozen=True, slots=True)
class Places:
    """Where a pipeline is told about; None where it is not."""

    instance: str
    pipeline_page: str  # title
    archive_page: str  # of the year, below the pipeline's; title
    tracker: str | None = None
    wiki: str | None = None
    chat: str | None = None
    channel: str | None = None
    publish: Publish = Publish.CHANGED
    replies: bool = False  # whether what repeats and what has recovered is also said in the message's thread
    shares_charts: bool = False  # and the chart shown there
    listens: bool = False  # whether the tracker's tickets are read for what people answer
    lists_tickets: bool = True  # whether the wiki shows the tracker's tickets by a label of theirs, as it does Jira's
    resolves: bool = True  # whether Herald closes the ticket of what is over
    edits: bool = True  # whether the chat's messages are edited; else one is sent a transition, and no repeats
    attaches: bool = False  # whether a chart goes with a message itself
    pages: str = ""  # where people open Herald's own pages; empty where config does not say

    def ticket(self, incident: Incident) -> ObjectKey | None:
        """Return the incident's ticket: of several owners the first one's."""
        if self.tracker is None:
            return None
        place = incident.parts[0].place if incident.parts else 0
        return ObjectKey(self.tracker, ObjectKind.TICKET, str(Marker(self.instance, incident.incident_id, place)))

    def earlier_ticket(self, incident: Incident) -> ObjectKey | None:
        """Return the ticket of the incident that this one follows."""
        if self.tracker is None or not incident.follows:
            return None
        return ObjectKey(self.tracker, ObjectKind.TICKET, str(Marker(self.instance, incident.follows)))

    def message(self, incident: Incident) -> ObjectKey | None:
        if self.chat is None:
            return None
        return ObjectKey(self.chat, ObjectKind.MESSAGE, f"{self.channel} {self.instance}-{incident.incident_id}")

    def page(self, title: str) -> ObjectKey | None:
        return None if self.wiki is None else ObjectKey(self.wiki, ObjectKind.PAGE, title)


_TOLD = frozenset(
    {
        Turn.FILED,
        Turn.REPEATED,
        Turn.RESOLVED,
        Turn.WITHDRAWN,
        Turn.CONFIRMED,
        Turn.REOPENED,
        Turn.SAID_AGAIN,
        Turn.RETURNED,
    },
)

LISTED = frozenset({Turn.FILED, Turn.REOPENED, Turn.RETURNED})  # with the examples that lost most

_NO_NEWS = frozenset({Turn.COUNTED, Turn.HUSHED, Turn.LEFT})


def is_told(step: Step) -> bool:
    """Say whether people hear of a turn."""
    return step.turn in _TOLD


def wants_page(publish: Publish, outcome: Outcome, previous: Outcome | None, steps: Sequence[Step]) -> bool:
    """Say whether a run gets a page of its own."""
    match publish:
        case Publish.ALL:
            return True
        case Publish.CHANGED:
            return _is_news(outcome, previous) or any(step.turn not in _NO_NEWS for step in steps)
        case Publish.INCIDENTS:
            return any(step.turn in _TOLD for step in steps)
        case _:
            assert_never(publish)


def _is_news(outcome: Outcome, previous: Outcome | None) -> bool:
    calm = {Outcome.OK, Outcome.NO_BASELINE, Outcome.INSUFFICIENT_DATA}
    return outcome is not previous and not (outcome in calm and (previous is None or previous in calm))


def effects_of(
    run_id: str,
    steps: Sequence[Step],
    places: Places,
    page: ObjectKey | None,
    *,
    has_chart: bool,
    charted: Collection[str] | None = None,
    listed: Collection[str] = (),
    lists_examples: bool = False,
) -> tuple[Effect, ...]:
    """Return the effects that one run calls for; *page* is the run's own page, where it gets one.

    The run *has_chart*, or has none; *charted* are the incidents, and the parts of them that owners have, that have one
    of their own, by default the run's. The run *lists_examples* that lost most, and so do the incidents *listed*.
    """
    parts = [part for step in steps for part in step.split()]
    if charted is None:
        charted = [step.incident.part_id for step in (*steps, *parts)] if has_chart else ()
    effects: list[Effect] = []
    if page is not None:  # first, so that ticket and message can name it
        incident_id = next((step.incident.incident_id for step in steps if step.turn in _TOLD), None)
        effects += _page_effects(run_id, places, page, incident_id, has_chart=has_chart)
        if lists_examples:
            effects.append(AttachExamplesToPage(page, run_id, needs=(page,)))
    for step in parts:
        effects += _ticket_effects(run_id, step, places, has_chart=step.incident.part_id in charted)
        if step.turn in LISTED and step.incident.part_id in listed:
            effects += _lists(run_id, step, places)
        effects += _link_effects(run_id, step, places, page)
    for step in steps:
        effects += _message_effects(run_id, step, places, has_chart=step.incident.part_id in charted)
    return tuple(effects)


def _ticket_effects(run_id: str, step: Step, places: Places, *, has_chart: bool) -> Iterator[Effect]:
    ticket = places.ticket(step.incident)
    if ticket is None or step.incident.ticket_gone_at is not None:
        return
    incident, cause = step.incident.incident_id, f"{run_id}/{step.turn}"
    match step.turn:
        case Turn.FILED:
            yield OpenTicket(ticket, "opened", incident)
            if has_chart:
                yield AttachToTicket(ticket, cause, incident, needs=(ticket,))
        case Turn.REPEATED | Turn.REMINDED:
            yield CommentTicket(ticket, cause, incident)
        case Turn.RESOLVED | Turn.CONFIRMED | Turn.WITHDRAWN:
            yield CommentTicket(ticket, cause, incident)
            if places.resolves:
                yield ResolveTicket(ticket, cause, incident)
        case Turn.REOPENED | Turn.SAID_AGAIN | Turn.RETURNED:
            yield ReopenTicket(ticket, cause, incident)
            yield CommentTicket(ticket, cause, incident)
        case Turn.HUSHED:  # nothing is said, yet no ticket stays open for what is over
            if step.incident.state.is_over and step.incident.told_at is not None and places.resolves:
                yield ResolveTicket(ticket, cause, incident)
        case Turn.SUSPECTED | Turn.COUNTED | Turn.RECOVERING | Turn.DISMISSED | Turn.WATCHED | Turn.LEFT:
            pass
        case _:
            assert_never(step.turn)


def _lists(run_id: str, step: Step, places: Places) -> Iterator[Effect]:
    ticket = places.ticket(step.incident)
    if ticket is not None and step.incident.ticket_gone_at is None:
        yield AttachExamples(ticket, f"{run_id}/{step.turn}", step.incident.incident_id, needs=(ticket,))


def _page_effects(
    run_id: str, places: Places, page: ObjectKey, incident_id: str | None, *, has_chart: bool
) -> Iterator[Effect]:
    parent = ObjectKey(page.service, ObjectKind.PAGE, places.pipeline_page)
    archive = ObjectKey(page.service, ObjectKind.PAGE, places.archive_page)
    yield UpdateSection(parent, run_id)
    yield PublishArchive(archive, "year", needs=(parent,))
    yield PublishPage(page, run_id, incident_id, needs=(archive,))
    yield LabelPage(page, run_id, needs=(page,))
    if has_chart:
        yield AttachToPage(parent, f"{run_id}/{HISTORY}", needs=(parent,))
        yield AttachToPage(page, run_id, needs=(page,))


def _message_effects(run_id: str, step: Step, places: Places, *, has_chart: bool) -> Iterator[Effect]:
    message = places.message(step.incident)
    if message is None or step.turn not in _TOLD or (step.turn is Turn.REPEATED and not _is_sent(step, places)):
        return
    incident, cause = step.incident.incident_id, f"{run_id}/{step.turn}"
    yield TellChannel(message, cause, incident)
    if places.replies and step.turn is not Turn.FILED:
        yield ReplyInThread(message, cause, incident, needs=(message,))
    if places.shares_charts and step.turn is Turn.FILED and has_chart:
        yield ShareChart(message, cause, incident, needs=(message,))


def _is_sent(step: Step, places: Places) -> bool:
    """Say whether a repeat is told: where it would be another message, only if something more has fallen."""
    return places.edits or (step.news is not None and bool(step.news.joined))


def _link_effects(run_id: str, step: Step, places: Places, page: ObjectKey | None) -> Iterator[Effect]:
    ticket = places.ticket(step.incident)
    if ticket is None or step.turn is not Turn.FILED or step.incident.ticket_gone_at is not None:
        return
    cause, incident = f"{run_id}/{step.turn}", step.incident.incident_id
    if page is not None:
        yield LinkTicket(ticket, cause, incident, needs=(ticket, page))
    if places.earlier_ticket(step.incident) is not None:
        yield LinkTicket(ticket, f"{cause}/{EARLIER}", incident, needs=(ticket,))
