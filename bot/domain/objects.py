"""Objects in services: what names one, the marker by which a ticket is found again, and where one that exists is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class ObjectKind(StrEnum):
    TICKET = "ticket"
    PAGE = "page"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """One thing in one service; effects on it are delivered in order."""

    service: str  # the configured name, `jira`
    kind: ObjectKind
    name: str  # a ticket's marker, a page's title, a message's `channel incident`

    def __str__(self) -> str:
        return f"{self.service}/{self.kind}/{self.name}"

    @classmethod
    def read(cls, text: str) -> ObjectKey:
        """Read what :meth:`__str__` wrote; a name may hold slashes, the rest does not."""
        service, kind, name = text.split("/", 2)
        return cls(service, ObjectKind(kind), name)


_MARKER = re.compile(r"herald-([a-z0-9]+)-([0-9a-z]+)-([0-9]+)-([0-9]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Marker:
    """What a ticket carries so that it is found again, and only by the Herald that filed it."""

    instance: str
    incident_id: str
    owner: int = 0  # the place of the owner's part in the incident
    generation: int = 1  # how often this incident's ticket had to be filed anew

    def __str__(self) -> str:
        return f"herald-{self.instance}-{self.incident_id}-{self.owner}-{self.generation}"

    @classmethod
    def read(cls, text: str) -> Marker | None:
        """Read what :meth:`__str__` wrote; None where it is something else."""
        found = _MARKER.fullmatch(text)
        return None if found is None else cls(found[1], found[2], int(found[3]), int(found[4]))


def marker_prefix(instance: str, incident_id: str = "") -> str:
    """Return what the markers of one Herald begin with, or those of one incident."""
    return f"herald-{instance}-{incident_id}-" if incident_id else f"herald-{instance}-"


def instance_label(instance: str) -> str:
    """Name what the pages of runs carry that one Herald has published."""
    return f"herald-{instance}"


def channel_of(target: ObjectKey) -> str | None:
    """Return the channel that a message is for; None for anything else."""
    return (target.name.rpartition(" ")[0] or target.name) if target.kind is ObjectKind.MESSAGE else None


def family_of(marker: str) -> str:
    """Return the label that all tickets of the marker's Herald carry: `herald-INSTANCE`."""
    return "-".join(marker.split("-")[:2])


@dataclass(frozen=True, slots=True)
class Bound:
    """An object of another service that exists: where to find it and what to call it."""

    title: str
    url: str
    external_id: str = ""
