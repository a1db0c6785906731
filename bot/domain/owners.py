"""Who gets which part of an incident: what fell together is one ticket an owner."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from bot.domain.judge.findings import whole_of


@dataclass(frozen=True, slots=True)
class OwnedPart:
    """What one owner has of an incident; its place among the incident's parts is never given to another."""

    place: int
    owner: str  # as config names them; empty: the pipeline's own
    keys: tuple[str, ...]  # of findings


def owner_of(key: str, owners: Mapping[str, str]) -> str:
    """Return who has what fell: by its slice, or one that it lies in, else by its metric; empty where nobody has it.

    *owners* are by metric, or by slice as `COLUMN=VALUE`.
    """
    metric = whole_of(key)
    part = key[len(metric) + 2 : -1] if key != metric else ""
    around = (owner for owned, owner in owners.items() if f", {owned}, " in f", {part}, ")
    return owners.get(part) or next(around, "") or owners.get(metric) or ""


def share_out(
    parts: tuple[OwnedPart, ...], fallen: Collection[str], owners: Mapping[str, str], told: Iterable[str] = ()
) -> tuple[OwnedPart, ...]:
    """Give what has *fallen* to its owners; whoever has something keeps it, whatever config says since.

    An incident has no parts while all of it is the pipeline's own. What people were *told* of then is the first part.
    """
    if not parts and not owners:
        return ()
    shared = list(parts)
    if not shared and (before := tuple(sorted(told))):
        shared.append(OwnedPart(0, "", before))
    given = {key for part in shared for key in part.keys}
    for key in sorted(set(fallen) - given):
        owner = owner_of(key, owners)
        place = next((part.place for part in shared if part.owner == owner), None)
        if place is None:
            shared.append(OwnedPart(len(shared), owner, (key,)))
        else:
            shared[place] = replace(shared[place], keys=(*shared[place].keys, key))
    return tuple(shared)
