"""What somebody says on the command line: the same words, by the same way, and the ticket is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.commands import Undo, Unreadable, read_command
from bot.domain.incidents import Incident
from bot.domain.objects import ObjectKey, ObjectKind
from bot.domain.rules import Medium, Person, SaidAt
from bot.domain.views import AnswerPart, AnswerView
from bot.errors import HeraldError
from bot.store import incidents, objects, rules
from bot.triage.answering import Answering
from bot.triage.statements import Matter, Statement

_NAMED = 12  # incidents that an error names
_BEGINNING = 6  # characters of an incident's id that name it, at least


@dataclass(frozen=True, slots=True)
class ByHand:
    """Answers that one person gives on the command line."""

    answering: Answering
    person: Person

    def say(self, name: str, words: str) -> tuple[Matter, AnswerView]:
        """Act on a command about an incident, named by its id, the beginning of that, or its ticket's key."""
        now = self.answering.clock()
        with self.answering.database.begin() as tx:
            incident = find_incident(tx, self.answering.config, name, "triage say")
            zone = self.answering.config.zone_of(incident.series.pipeline)
            said = read_command(words, now.astimezone(zone).date())
            if isinstance(said, Unreadable):
                raise HeraldError(_explain(said))
            return self._act(tx, incident, Statement(self._place(now), self.person, (said,)))

    def undo(self, number: int) -> tuple[Matter, AnswerView]:
        """Take a rule back, whichever it is about."""
        now = self.answering.clock()
        with self.answering.database.begin() as tx:
            rule = rules.find(tx, number)
            if rule is None or rule.undone_at is not None:
                what = "there is no rule" if rule is None else "somebody has taken back rule"
                raise HeraldError(f"triage undo: {what} {number}; `herald triage` lists those that hold")
            incident = incidents.find(tx, rule.scope.incident_id)
            if incident is None or rule.scope.series.pipeline not in self.answering.config.pipeline:
                raise HeraldError(f"triage undo: what rule {number} is about is known no more")
            return self._act(tx, incident, Statement(self._place(now), self.person, (Undo(number),)))

    def _act(self, tx: Connection, incident: Incident, statement: Statement) -> tuple[Matter, AnswerView]:
        matter = Matter(incident, self._told(tx, incident))
        parts: tuple[AnswerPart, ...] = tuple(self.answering.act(tx, matter, statement))
        return matter, AnswerView(parts, str(self.person), "")

    def _place(self, now: datetime) -> SaidAt:
        return SaidAt(Medium.HAND, said_id=f"{self.person.account}/{now.isoformat()}")

    def _told(self, tx: Connection, incident: Incident) -> ObjectKey | None:
        """Return the incident's ticket, which is told of it, if there is one."""
        return next(iter(self.answering.desk(incident.series.pipeline).tickets_of(tx, incident)), None)


def find_incident(tx: Connection, config: Config, name: str, asked: str) -> Incident:
    """Return an incident by its id, the beginning of that, its ticket's key, or the name that status has of the ticket.

    Errors name the command *asked*.
    """
    for service in config.tracker:
        known = objects.known_as(tx, service, ObjectKind.TICKET, [name]).get(name)
        by_ticket = None if known is None else incidents.of_marker(tx, known.key.name)
        if by_ticket is not None:
            return by_ticket
    called = [key for service in config.tracker for key in objects.called(tx, service, ObjectKind.TICKET, name)]
    found = [each for each in (incidents.of_marker(tx, key.name) for key in called) if each is not None]
    if not found:
        found = [each for each in incidents.starting_with(tx, name) if each.series.pipeline in config.pipeline]
        if len(name) < _BEGINNING and all(each.incident_id != name for each in found):
            found = []
    if len(found) == 1:
        return found[0]
    if found:
        which = ", ".join(each.incident_id for each in found[:_NAMED])
        raise HeraldError(f"{asked}: {name!r} begins the ids, or names the tickets, of several incidents: {which}")
    raise HeraldError(
        f"{asked}: {name!r} is no incident and no ticket that Herald filed; `herald status --all` lists those "
        f"that are open, and of an id the first {_BEGINNING} characters will do"
    )


def _explain(said: Unreadable) -> str:
    nearest = f"; the nearest: {said.nearest.removeprefix('/herald ')}" if said.nearest else "; try: help"
    return f"triage say: {said.line!r} cannot be read ({said.problem.value.replace('_', ' ')}){nearest}"
