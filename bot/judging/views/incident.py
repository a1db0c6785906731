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


def listed_marker(on: Occasion, incident: Incident) -> str:
    """Return the marker where the wiki can list tickets by it."""
    return marker(on, incident) if on.places.lists_tickets else ""


def labels(on: Occasion) -> tuple[str, ...]:
    """Label a run's page with Herald's name, this Herald's, and the markers of the incidents it belongs to."""
    markers = [marker(on, incident) for incident in (*(s.incident for s in on.steps), *on.standing)]
    return tuple(
        dict.fromkeys(["herald", instance_label(on.places.instance), *(marker for marker in markers if marker)])
    )


def links(**named: ObjectKey | None) -> dict[str, ObjectKey]:
    return {name: key for name, key in named.items() if key is not None}
