"""When people are reminded of an incident that nobody has answered: once each time that they were told of it anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain.incidents import Incident, IncidentState, Step, Turn


def waits_since(incident: Incident) -> datetime | None:
    """Return since when an incident waits for an answer; None where people need not answer."""
    is_told = incident.state is IncidentState.OPEN and incident.told_at is not None
    if not is_told or incident.ticket_gone_at is not None or incident.is_hushed or incident.watch is not None:
        return None
    return incident.waits_since or incident.opened_at


def remind(incident: Incident, remind_after: timedelta, now: datetime) -> Step | None:
    """Return the reminder that is due of an incident which nobody has answered; it stays the only one."""
    since = waits_since(incident)
    if since is None or incident.reminded_at is not None or not remind_after or now - since < remind_after:
        return None
    return Step(replace(incident, reminded_at=now), Turn.REMINDED)
