"""One round over a chat: the threads of messages about open incidents, some of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bot.config.models import Config
from bot.domain.incidents import Incident, IncidentState
from bot.domain.objects import ObjectKey, ObjectKind
from bot.domain.rules import Medium, Person
from bot.errors import AccountError, IntegrationError, Reach
from bot.ports import Posted
from bot.runtime.log import get_logger
from bot.store import Database, incidents, objects
from bot.store.listenings import Listening
from bot.store.objects import KnownObject
from bot.triage.answering import Answering
from bot.triage.hearing import Hearing
from bot.triage.listeners import ThreadListener
from bot.triage.statements import Matter

_AT_ONCE = 20  # threads a round: a chat lets an app read some fifty a minute
_LISTENED_TO = timedelta(days=14)  # after an incident was over, somebody may still answer
_OVERLAP = timedelta(minutes=5)  # between its clock and ours

_NEVER = datetime.min.replace(tzinfo=UTC)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ThreadRound:
    """Reads what people answered in the threads of one chat since each was last read."""

    listener: ThreadListener
    config: Config
    database: Database
    answering: Answering
    clock: Callable[[], datetime]
    stopping: Callable[[], bool]
    read_at: dict[ObjectKey, datetime] = field(default_factory=dict)  # for as long as this Herald lives

    def run(self, before: Listening) -> Listening:
        """Act on what was answered; raises where the chat cannot be asked at all."""
        began = self.clock()
        due = sorted(self._threads(began), key=lambda pair: self.read_at.get(pair[1].key, _NEVER))
        if due:
            me = self.listener.answers.me()
            for incident, known in due[:_AT_ONCE]:
                if self.stopping():
                    break
                self._read(incident, known, me)
        return Listening(self.listener.service, heard_until=began, visited_at=before.visited_at)

    def _threads(self, now: datetime) -> Sequence[tuple[Incident, KnownObject]]:
        """Return the messages about incidents that are open, or were until lately, the newest first."""
        with self.database.begin() as tx:
            found = [
                *incidents.in_states(tx, IncidentState.OPEN),
                *incidents.closed_since(tx, IncidentState.RESOLVED, now - _LISTENED_TO),
            ]
            keys = {key: incident for incident in reversed(found) if (key := self._message_of(incident)) is not None}
            known = objects.known_objects(tx, keys)
        return [(incident, known[key]) for key, incident in keys.items() if key in known]

    def _message_of(self, incident: Incident) -> ObjectKey | None:
        section = self.config.pipeline.get(incident.series.pipeline)
        if section is None or section.chat != self.listener.service:
            return None
        name = f"{section.channel} {self.config.instance}-{incident.incident_id}"
        return ObjectKey(self.listener.service, ObjectKind.MESSAGE, name)

    def _read(self, incident: Incident, known: KnownObject, me: Person) -> None:
        began, last = self.clock(), self.read_at.get(known.key)
        hearing = Hearing(self.config, self.database, self.answering, self.clock)
        posted = Posted(known.place, known.bound.external_id, known.bound.url)
        try:
            replies = self.listener.answers.replies(posted, None if last is None else last - _OVERLAP)
            for comment in replies:
                hearing.hear(Matter(incident, known.key), comment, Medium.THREAD, me, self._may)
        except AccountError as error:
            if error.reach is not Reach.CHANNEL:
                raise
            log.warning("thread not read", service=self.listener.service, error=str(error))
        except IntegrationError as error:
            log.warning("thread not read", service=self.listener.service, error=str(error))
            return  # from where it was read before, next time
        self.read_at[known.key] = began

    def _may(self, person: Person) -> bool:
        return self.listener.answers.may_speak(person, self.listener.speakers)
