"""Reminds people of incidents that nobody has answered, and tells which those are."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from bot.domain.incidents import Incident, IncidentState
from bot.domain.notifications import Places, effects_of
from bot.domain.reminding import remind, waits_since
from bot.judging.between_runs import BetweenRuns
from bot.judging.context import JudgingContext
from bot.judging.telling import owe_told
from bot.runtime.log import get_logger
from bot.store import heard, incidents, rules

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reminder:
    """Looks whether one pipeline's incidents have waited too long for a word."""

    context: JudgingContext

    def remind(self) -> None:
        context, now = self.context, self.context.clock()
        after = context.section.tickets.remind_after
        with context.database.begin() as tx:
            for incident in incidents.of_pipeline(tx, context.name, IncidentState.OPEN):
                step = remind(incident, after, now)
                if step is None:
                    continue
                on = BetweenRuns(context).occasion(tx, incident.series, now, (step,))
                if not on.places.listens or is_answered(tx, incident, on.places):  # what is not read may be answered
                    continue
                incidents.save(tx, step.incident)
                cause = f"waits since {waits_since(incident)}"
                effects = effects_of(cause, (step,), on.places, None, has_chart=False)
                owe_told(tx, context.name, effects, on, now)
                log.info("reminded", pipeline=context.name, incident=incident.incident_id)


def is_answered(tx: Connection, incident: Incident, places: Places) -> bool:
    """Say whether anybody has said anything of an incident since it waits for that."""
    since = waits_since(incident)
    if since is None:
        return True
    if any(rule.made_at >= since for rule in rules.of_incident(tx, incident.incident_id)):
        return True
    told = [places.message(incident), *(places.ticket(part) for part in incident.split())]
    return any(heard.somebody_spoke(tx, key.service, key.name, since) for key in told if key is not None)
