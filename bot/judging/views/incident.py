"""An incident as views name it: its markers, how long it lasted, the labels and links of what speaks of it."""

from __future__ import annotations

from bot.domain.incidents import Incident
from bot.domain.objects import ObjectKey, instance_label
from bot.judging.views.occasion import Occasion
from bot.text import formats


def duration(on: Occasion, incident: Incident) -> str:
    return formats.duration(incident.lasted(on.now), on.locale)


def marker(on: Occasion, incident: Incident) -> str:
    ticket = on.places.ticket(incident)
    return ticket.name if ticket else ""


def owner(on: Occasion, incident: Incident) -> str:
    """Name whoever has the incident, or the first part of it."""
    return (incident.parts[0].owner if incident.parts else "") or on.config.owner


def assignee(on: Occasion, incident: Incident) -> str | None:
    """Return the account of whoever has a part of it, empty where config names none; None: whose the pipeline is."""
    name = incident.parts[0].owner if incident.parts else ""
    if not name:
        return None
    named = (each.assignee for each in on.config.owners.values() if each.owner == name)
    return next((account for account in named if account), "")


def owners(on: Occasion, incident: Incident) -> str:
    """Name all who have a part of it."""
    names = dict.fromkeys(owner(on, part) for part in incident.split())
    return " / ".join(name for name in names if name)


def tickets(on: Occasion, incident: Incident) -> dict[str, ObjectKey | None]:
    """Return its tickets by the names that views have for them: `ticket`, `ticket_2` and so on."""
    found = [on.places.ticket(part) for part in incident.split()]
    return {f"ticket_{number}" if number > 1 else "ticket": key for number, key in enumerate(found, 1)}


def listed_marker(on: Occasion, incident: Incident) -> str:
    """Return the marker where the wiki can list tickets by it."""
    return marker(on, incident) if on.places.lists_tickets else ""


def labels(on: Occasion) -> tuple[str, ...]:
    """Label a run's page with Herald's name, this Herald's, and the markers of the incidents it belongs to."""
    told = (*(step.incident for step in on.steps), *on.standing)
    markers = [marker(on, part) for incident in told for part in incident.split()]
    return tuple(
        dict.fromkeys(["herald", instance_label(on.places.instance), *(marker for marker in markers if marker)])
    )


def links(**named: ObjectKey | None) -> dict[str, ObjectKey]:
    return {name: key for name, key in named.items() if key is not None}
