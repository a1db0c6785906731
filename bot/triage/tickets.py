"""One round over a tracker: a search for what changed, and each such ticket read by its key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.incidents import IncidentState
from bot.domain.objects import Bound, Marker, ObjectKey, ObjectKind, instance_label
from bot.domain.rules import Medium, Person
from bot.errors import AccountError, IntegrationError, PermanentError, Reach
from bot.ports import Resolution, TicketReading
from bot.runtime.log import describe, get_logger
from bot.store import Database, incidents, objects, outbox
from bot.store.listenings import Listening
from bot.store.objects import KnownObject
from bot.triage.answering import Answering
from bot.triage.hearing import Hearing
from bot.triage.listeners import TicketListener
from bot.triage.statements import Closing, Matter, closing_at

_FIRST_LOOK = timedelta(days=7)  # back, where nobody has listened before
_VISIT_EVERY = timedelta(hours=1)  # a ticket whose label people took off is found by no search
_GIVEN_UP = timedelta(days=14)  # what was said so long ago on a ticket that cannot be read
_VISITED = 200  # open incidents' tickets

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TicketRound:
    """Reads what people answered in the tickets of one tracker since the last round."""

    listener: TicketListener
    config: Config
    database: Database
    answering: Answering
    clock: Callable[[], datetime]
    stopping: Callable[[], bool]

    @property
    def service(self) -> str:
        return self.listener.service

    def run(self, before: Listening) -> Listening:
        """Act on what was answered, and return how far the tracker was read; raises where it cannot be asked at all."""
        began = self.clock()
        since = before.heard_until or began - _FIRST_LOOK
        is_visiting = before.visited_at is None or began - before.visited_at >= _VISIT_EVERY
        me = self.listener.answers.me()
        found = self.listener.answers.changed(instance_label(self.config.instance), since)
        due = dict.fromkeys(self._visited() if is_visiting else (), before.visited_at or since)
        due |= {**dict.fromkeys(found, since), **before.unread}
        unread = {key: moment for key, moment in self._read_each(due, me) if began - moment < _GIVEN_UP}
        if self.stopping():
            return before
        return Listening(self.service, began, began if is_visiting else before.visited_at, unread=unread)

    def _visited(self) -> Iterable[str]:
        """Return the keys of open incidents' tickets, which are read now and then whether they changed or not."""
        with self.database.begin() as tx:
            standing = [each.incident_id for each in incidents.in_states(tx, IncidentState.OPEN)[-_VISITED:]]
            known = objects.tickets_of(tx, self.service, self.config.instance, standing) if standing else ()
            return [each.bound.external_id for each in known]

    def _read_each(self, due: Mapping[str, datetime], me: Person) -> Iterable[tuple[str, datetime]]:
        """Read tickets one by one; yields those that could not be, with since when they are to be read again."""
        for key, since in due.items():
            if self.stopping():
                return
            try:
                reading = self.listener.answers.read(key, since)
                if reading is None:
                    self._note_gone(key)
                else:
                    self._hear(key, reading, me)
            except AccountError as error:
                if error.reach is Reach.SERVICE:
                    raise
                log.warning("ticket not read", service=self.service, ticket=key, error=str(error))
                yield key, since
            except IntegrationError as error:
                log.warning("ticket not read", service=self.service, ticket=key, error=str(error))
                if not isinstance(error, PermanentError):
                    yield key, since
            except Exception as error:  # one ticket's trouble is not the others'
                log.exception("broke", what=f"reading {key}", error=describe(error))
                yield key, since

    def _hear(self, key: str, reading: TicketReading, me: Person) -> None:
        """Act on what one ticket shows, if it is one of ours that config still knows."""
        with self.database.begin() as tx:
            matter = self._matter(tx, key, reading)
        if matter is None or matter.pipeline not in self.config.pipeline:
            return
        answered = {each.mark for each in reading.comments if each.mark is not None}
        hearing = Hearing(self.config, self.database, self.answering, self.clock)
        for comment in reading.comments:
            hearing.hear(matter, comment, Medium.COMMENT, me, self._may, answered)
        if reading.is_full:
            with self.database.begin() as tx:
                self.answering.tell_full(tx, matter)
        if reading.resolution is not None:
            self._hear_closing(matter, reading, reading.resolution, me)
        else:
            self._note_open(matter)

    def _note_gone(self, key: str) -> None:
        """Take note, once, that an open incident's ticket was deleted or hidden: none takes its place.

        What is owed on it can be delivered no more, and whoever runs Herald need not look into that.
        """
        with self.database.begin() as tx:
            held = objects.known_as(tx, self.service, ObjectKind.TICKET, [key]).get(key)
            marker = None if held is None else Marker.read(held.key.name)
            incident = None if marker is None else incidents.find(tx, marker.incident_id)
            if held is not None:
                outbox.cancel_all(tx, held.key)
            if incident is None or incident.state.is_over or incident.ticket_gone_at is not None:
                return
            incidents.save(tx, replace(incident, ticket_gone_at=self.clock()))
        log.warning("ticket is gone", service=self.service, ticket=key, incident=incident.incident_id)

    def _may(self, person: Person) -> bool:
        return self.listener.answers.may_speak(person, self.listener.speakers)

    def _matter(self, tx: Connection, key: str, reading: TicketReading) -> Matter | None:
        """Find the incident of a ticket, by its key or by the label on it; follow one that was moved."""
        known = objects.known_as(tx, self.service, ObjectKind.TICKET, [key, reading.ticket.key])
        held = known.get(key) or known.get(reading.ticket.key)
        marker = Marker.read(held.key.name) if held is not None else self._marker_among(reading.labels)
        incident = None if marker is None else incidents.find(tx, marker.incident_id)
        if marker is None or incident is None:
            return None
        target = ObjectKey(self.service, ObjectKind.TICKET, str(marker))
        if held is not None and held.bound.external_id != reading.ticket.key:
            self._follow(tx, held, reading)
        return Matter(incident, target)

    def _marker_among(self, labels: Iterable[str]) -> Marker | None:
        found = (Marker.read(label) for label in labels)
        return next((each for each in found if each is not None and each.instance == self.config.instance), None)

    def _follow(self, tx: Connection, held: KnownObject, reading: TicketReading) -> None:
        """Take note that a ticket is called otherwise now."""
        ticket = reading.ticket
        log.info("ticket moved", service=self.service, was=held.bound.external_id, now=ticket.key)
        objects.know(tx, replace(held, bound=Bound(ticket.name or ticket.key, ticket.url, ticket.key)))

    def _note_open(self, matter: Matter) -> None:
        """Take note that people have opened again what one of them had closed."""
        with self.database.begin() as tx:
            incident = incidents.find(tx, matter.incident.incident_id)
            if incident is not None and incident.closed_by_people and not incident.state.is_over:
                incidents.save(tx, replace(incident, closed_by_people=False))

    def _hear_closing(self, matter: Matter, reading: TicketReading, resolution: Resolution, me: Person) -> None:
        """Act on how a person closed a ticket; what Herald itself is about to do, or did, is no answer."""
        by = resolution.by
        if by is not None and (by.account == me.account or by.is_app):
            return
        target = matter.target
        assert target is not None
        said = closing_at(target, resolution, reading.ticket.url)
        closing = Closing(
            said, by or Person(""), resolution.name, self.listener.config.kind_of(resolution), reading.duplicate_of
        )
        with self.database.begin() as tx:
            incident = incidents.find(tx, matter.incident.incident_id)
            is_ours = by is None and (incident is None or incident.state.is_over)
            if not is_ours and not outbox.is_moving(tx, target):
                self.answering.close(tx, matter, closing)
                after = incidents.find(tx, matter.incident.incident_id)
                if after is not None and not after.state.is_over and not after.closed_by_people:
                    incidents.save(tx, replace(after, closed_by_people=True))
