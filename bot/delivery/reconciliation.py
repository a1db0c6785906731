"""Compares what Herald believes with what the services hold, and brings both together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from bot.config.models import Config
from bot.delivery.late_binding import owe_rebindings
from bot.delivery.services import Services
from bot.domain.capabilities import TicketState
from bot.domain.objects import Bound, Marker, ObjectKey, ObjectKind, channel_of, family_of, instance_label
from bot.domain.repairs import Held, Repair, RepairKind, compare, grouped, settle_duplicates
from bot.errors import AccountError, IntegrationError
from bot.judging.titles import pipeline_page_title
from bot.ports import Chat, MarkedMessage, Page, Posted, Ticket, Tracker, Wiki
from bot.store import Database, incidents, objects, outbox, stale_texts
from bot.store.batches import in_pieces
from bot.store.objects import KnownObject

LOOKS_BACK = timedelta(days=90)  # for messages

Known = Mapping[ObjectKey, Held]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What is compared, and with what."""

    config: Config
    database: Database
    services: Services
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Unseen:
    """A service, or a channel of one, that could not be looked at or repaired, and why."""

    where: str
    words: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What would have to change, and where nobody could look."""

    repairs: tuple[Repair, ...]
    unseen: tuple[Unseen, ...] = ()


def look(on: Reconciliation) -> Looked:
    """Compare with all services; reads them and changes nothing. One that refuses keeps the others from nothing."""
    with on.database.begin() as tx:
        known = {each.key: _believed(each) for each in objects.all_objects(tx)}
    repairs: list[Repair] = []
    unseen: list[Unseen] = []
    for where, look_at in _places(on, known):
        try:
            repairs += list(look_at())
        except IntegrationError as error:
            unseen.append(Unseen(where, str(error)))
    return Looked(tuple(repairs), tuple(unseen))


def _places(on: Reconciliation, known: Known) -> Iterator[tuple[str, Callable[[], Iterable[Repair]]]]:
    """Yield what is looked at by itself: trackers, wikis, and each channel of each chat."""
    services, since = on.services, on.clock() - LOOKS_BACK
    for name, tracker in services.trackers.items():
        yield name, partial(_look_at_tickets, on, name, tracker, _of(known, name, ObjectKind.TICKET))
    for name, wiki in services.wikis.items():
        yield name, partial(_look_at_pages, on, name, wiki, _of(known, name, ObjectKind.PAGE))
    for name, chat in services.chats.items():
        channels = {section.channel for section in on.config.pipeline.values() if section.chat == name}
        for channel in sorted(channel for channel in channels if channel is not None):
            ours = _of(known, name, ObjectKind.MESSAGE)
            yield f"{name} {channel}", partial(_look_at_messages, on, name, chat, channel, ours, since)


def repair(on: Reconciliation, repairs: Iterable[Repair]) -> tuple[Unseen, ...]:
    """Carry the repairs out; return those that a service did not let us."""
    repairs = list(repairs)
    unseen: list[Unseen] = []
    for each in repairs:
        if each.kind is RepairKind.CLOSE_DUPLICATE:
            try:
                _close_duplicate(on, each)
            except IntegrationError as error:
                unseen.append(Unseen(str(each.key), str(error)))
    ours = [each for each in repairs if each.kind not in _OF_SERVICES]
    ours.sort(key=lambda each: each.kind is RepairKind.FILE_ANEW)  # when it is known what else is gone
    for some in in_pieces(ours):
        _correct(on, some)
    return tuple(unseen)


_OF_SERVICES = (RepairKind.CLOSE_DUPLICATE, RepairKind.TELL_DUPLICATE)  # nothing of our own state is wrong


def _correct(on: Reconciliation, repairs: Sequence[Repair]) -> None:
    """Bring our own state up to what is so; what people read is bound anew where it shows another object, or none."""
    now, chats = on.clock(), on.services.chats
    with on.database.begin() as tx:
        told_by = stale_texts.incidents_of(tx, [each.key for each in repairs])
        stale_texts.unbind(tx, {each.key for each in repairs if each.kind in _SHOWN_ELSEWHERE})
        for each in repairs:
            if each.held is not None:
                bound = Bound(each.held.title, each.held.url, each.held.external_id)
                known = KnownObject(each.key, bound, each.held.place, now)
                objects.know(tx, known)
                outbox.wake(tx, each.key, now)
                owe_rebindings(tx, chats, known, told_by.get(each.key), now)
                if each.kind is RepairKind.TURN_TO:  # what stands beside a ticket's text: the same again is harmless
                    outbox.owe_anew(tx, each.key, now, lanes=outbox.lanes_of(each.key)[1:])
                continue
            objects.forget(tx, each.key)
            if each.kind is RepairKind.FILE_ANEW:
                outbox.owe_anew(tx, each.key, now)
            elif each.key.kind is ObjectKind.TICKET:
                outbox.cancel_all(tx, each.key)


_SHOWN_ELSEWHERE = (RepairKind.FOLLOW, RepairKind.TURN_TO, RepairKind.FILE_ANEW)


def _close_duplicate(on: Reconciliation, each: Repair) -> None:
    tracker = on.services.trackers[each.key.service]
    assert each.held is not None
    assert each.original is not None
    mark = f"duplicate-of-{each.original.external_id}"
    if not tracker.has_comment(each.held.external_id, mark):
        words = f"{each.original.title} was opened first for the same incident; this ticket repeats it."
        tracker.comment(each.held.external_id, mark, words)
    original = Ticket(each.original.external_id, each.original.url, TicketState.TODO, each.original.title)
    tracker.close_duplicate(each.held.external_id, original)


def _look_at_tickets(on: Reconciliation, name: str, tracker: Tracker, known: Known) -> Iterator[Repair]:
    family = family_of(str(Marker(on.config.instance, "any")))
    marked = (
        (ObjectKey(name, ObjectKind.TICKET, each.marker), _ticket(each.ticket)) for each in tracker.marked(family)
    )
    groups = grouped(marked)
    with on.database.begin() as tx:
        over = incidents.which_are_over(tx, {_incident_of(key) for key in groups})
    for key, held in groups.items():
        yield from _settle_tickets(on, tracker, key, held, known.get(key), is_live=_incident_of(key) not in over)
    for key, believed in known.items():
        if key not in groups:
            yield from _look_for_ticket(on, tracker, key, believed)


def _settle_tickets(
    on: Reconciliation, tracker: Tracker, key: ObjectKey, held: Sequence[Held], believed: Held | None, *, is_live: bool
) -> list[Repair]:
    """Tell which of the tickets of one marker stands; the one that we know may be outside of what the search shows."""
    ids = {each.external_id for each in held}
    if believed is not None and believed.external_id not in ids:
        moved = tracker.read(believed.external_id)
        if moved is not None and moved.key not in ids:
            held = [_ticket(moved), *held]
            believed = replace(believed, external_id=moved.key)
    if is_live and all(each.is_over for each in held):
        held = [_noting_duplicates(tracker, each, believed) for each in held]
    stands, repairs = settle_duplicates(key, held, believed, RepairKind.CLOSE_DUPLICATE, is_live=is_live)
    if stands is None and believed is not None:  # it is gone, and what is left was closed as repeating it
        return [_gone(on, key, believed)]
    return repairs


def _noting_duplicates(tracker: Tracker, held: Held, believed: Held | None) -> Held:
    """Note of a closed ticket whether it was closed as repeating another; the one that we know stays ours."""
    is_ours = believed is not None and believed.external_id == held.external_id
    return held if is_ours else replace(held, is_duplicate=tracker.is_duplicate(held.external_id))


def _look_for_ticket(on: Reconciliation, tracker: Tracker, key: ObjectKey, believed: Held) -> list[Repair]:
    """Tell what became of a ticket that the search does not show: moved, deleted, or too new."""
    ticket = tracker.read(believed.external_id)
    if ticket is not None:  # under another key, where it was moved to another project
        return compare(key, _ticket(ticket), believed)
    return [_gone(on, key, believed)]


def _gone(on: Reconciliation, key: ObjectKey, believed: Held) -> Repair:
    with on.database.begin() as tx:
        is_open = incidents.is_open(tx, _incident_of(key))
    return Repair(RepairKind.FILE_ANEW if is_open else RepairKind.FORGET, key, known_as=believed.title)


def _look_at_pages(on: Reconciliation, name: str, wiki: Wiki, known: Known) -> Iterator[Repair]:
    """Compare with the pages that the wiki lists, and ask for those one by one that it does not."""
    ours = wiki.labelled(instance_label(on.config.instance))
    there = {page.page_id: page for page in (*ours, *_pipeline_pages(on, name, wiki))}
    for key, believed in known.items():
        page = there.get(believed.external_id) or wiki.read(believed.external_id)
        if page is None:
            yield Repair(RepairKind.FORGET, key, known_as=believed.title)
        else:
            yield from compare(key, _page(page), believed)
    ids = {believed.external_id for believed in known.values()}
    for page in there.values():
        key = ObjectKey(name, ObjectKind.PAGE, page.title)
        if page.page_id not in ids and key not in known:
            yield Repair(RepairKind.KNOW, key, _page(page))


def _pipeline_pages(on: Reconciliation, name: str, wiki: Wiki) -> Iterator[Page]:
    for pipeline, section in on.config.pipeline.items():
        if section.wiki == name:
            page = wiki.find(
                pipeline_page_title(section.title or pipeline, on.config.instance, on.config.locale_of(pipeline))
            )
            if page is not None:
                yield page


def _look_at_messages(
    on: Reconciliation, name: str, chat: Chat, channel: str, known: Known, since: datetime
) -> Iterator[Repair]:
    """Messages that people deleted are left alone: where there is news of one, it is posted afresh."""
    family = f"{on.config.instance}-"
    ours = [each for each in _marked(chat, channel, known, since) if each.mark.startswith(family)]
    groups = grouped(
        (ObjectKey(name, ObjectKind.MESSAGE, f"{channel} {each.mark}"), _message(each.posted)) for each in ours
    )
    for key, held in groups.items():
        believed = known.get(key)
        _, repairs = settle_duplicates(key, held, believed, RepairKind.TELL_DUPLICATE)
        there = believed is not None and believed.external_id in {each.external_id for each in held}
        yield from (each for each in repairs if not (there and each.kind in (RepairKind.FOLLOW, RepairKind.TURN_TO)))


def _marked(chat: Chat, channel: str, known: Known, since: datetime) -> Sequence[MarkedMessage]:
    """List our messages, where the app may not look the channel up by the id that an earlier one shows."""
    try:
        return chat.marked(channel, since)
    except AccountError:
        places = {held.place for key, held in known.items() if channel_of(key) == channel and held.place != channel}
        if len(places) != 1:
            raise
        return chat.marked(places.pop(), since)


def _of(known: Known, service: str, kind: ObjectKind) -> Known:
    return {key: held for key, held in known.items() if (key.service, key.kind) == (service, kind)}


def _incident_of(key: ObjectKey) -> str:
    """Read the incident out of a marker: `herald-INSTANCE-INCIDENT-OWNER-GENERATION`."""
    parts = key.name.split("-")
    return "-".join(parts[2:-2])


def _believed(known: KnownObject) -> Held:
    return Held(known.bound.external_id, known.bound.title, known.bound.url, known.place)


def _ticket(ticket: Ticket) -> Held:
    return Held(ticket.key, ticket.name or ticket.key, ticket.url, is_over=ticket.state is TicketState.DONE)


def _page(page: Page) -> Held:
    return Held(page.page_id, page.title, page.url)


def _message(posted: Posted) -> Held:
    return Held(posted.message_id, "", posted.url, posted.channel)
