"""The objects in services that delivered effects made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Connection,
    delete,
    insert,
    select,
    update,
)

from bot.domain.objects import Bound, Marker, ObjectKey, ObjectKind, channel_of, marker_prefix
from bot.domain.tasks import ticket_of
from bot.store.batches import in_pieces
from bot.store.tables import objects


@dataclass(frozen=True, slots=True)
class KnownObject:
    """An object in a service that an effect made."""

    key: ObjectKey
    bound: Bound
    place: str
    created_at: datetime


def know(tx: Connection, known: KnownObject) -> None:
    """Record an object that was made, or made anew."""
    values = {
        "external_id": known.bound.external_id,
        "place": known.place,
        "title": known.bound.title,
        "url": known.bound.url,
        "created_at": known.created_at,
    }
    target = str(known.key)
    if tx.execute(update(objects).where(objects.c.target == target).values(values)).rowcount == 0:
        tx.execute(insert(objects).values(target=target, **values))


def known_objects(tx: Connection, keys: Iterable[ObjectKey]) -> Mapping[ObjectKey, KnownObject]:
    """Return those of *keys* that exist in their services."""
    wanted = {str(key): key for key in keys}
    found: dict[ObjectKey, KnownObject] = {}
    for some in in_pieces(wanted):
        for row in tx.execute(select(objects).where(objects.c.target.in_(some))):
            bound = Bound(row.title, row.url, row.external_id)
            found[wanted[row.target]] = KnownObject(wanted[row.target], bound, row.place, row.created_at)
    return found


def called(tx: Connection, service: str, kind: ObjectKind, title: str) -> Sequence[ObjectKey]:
    """Return the objects of Herald's that people see under a name at a service, such as `#12`."""
    mine = objects.c.target.startswith(f"{service}/{kind}/", autoescape=True), objects.c.title == title
    keys = (ObjectKey.read(target) for target in tx.scalars(select(objects.c.target).where(*mine)))
    return [key for key in keys if ticket_of(key) is None]


def known_as(tx: Connection, service: str, kind: ObjectKind, external_ids: Iterable[str]) -> dict[str, KnownObject]:
    """Return the objects of Herald's that a service calls by these ids, by them.

    A ticket that runs are experiments for is the team's; it may well be one that Herald filed, and is that then.
    """
    prefix = objects.c.target.startswith(f"{service}/{kind}/", autoescape=True)
    found: dict[str, KnownObject] = {}
    for some in in_pieces(external_ids):
        for row in tx.execute(select(objects).where(objects.c.external_id.in_(some), prefix)):
            key, bound = ObjectKey.read(row.target), Bound(row.title, row.url, row.external_id)
            if ticket_of(key) is None:
                found[row.external_id] = KnownObject(key, bound, row.place, row.created_at)
    return found


def tickets_of(tx: Connection, service: str, instance: str, incident_ids: Iterable[str]) -> Sequence[KnownObject]:
    """Return the tickets that were filed for incidents: of each one an owner, oldest first."""
    wanted = set(incident_ids)
    prefix = f"{service}/{ObjectKind.TICKET}/{marker_prefix(instance, next(iter(wanted)) if len(wanted) == 1 else '')}"
    query = select(objects).where(objects.c.target.startswith(prefix, autoescape=True)).order_by(objects.c.created_at)
    found = []
    for row in tx.execute(query):
        marker = Marker.read(ObjectKey.read(row.target).name)
        if marker is not None and marker.incident_id in wanted:
            bound = Bound(row.title, row.url, row.external_id)
            found.append(KnownObject(ObjectKey.read(row.target), bound, row.place, row.created_at))
    return found


def all_objects(tx: Connection) -> Sequence[KnownObject]:
    """Return everything that was made in the services, oldest first."""
    return [
        KnownObject(ObjectKey.read(row.target), Bound(row.title, row.url, row.external_id), row.place, row.created_at)
        for row in tx.execute(select(objects).order_by(objects.c.created_at))
    ]


def place_of(tx: Connection, target: ObjectKey) -> str | None:
    """Return the channel of a message as the service calls it, where an earlier message to it is known."""
    channel = channel_of(target)
    if channel is None:
        return None
    there = objects.c.target.startswith(lane_prefix(target.service, channel), autoescape=True), objects.c.place != ""
    place: str | None = tx.scalar(select(objects.c.place).where(*there).order_by(objects.c.created_at.desc()).limit(1))
    return place


def lane_prefix(service: str, channel: str) -> str:
    """Return what the lanes of all messages to a channel start with."""
    return f"{ObjectKey(service, ObjectKind.MESSAGE, channel)} "


def forget(tx: Connection, key: ObjectKey) -> None:
    """Take out an object that is no longer in its service."""
    tx.execute(delete(objects).where(objects.c.target == str(key)))
