"""An effect as the outbox holds it: what it shows, and how its delivery stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from heapq import merge
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Select

from bot.domain.objects import ObjectKey
from bot.store.batches import AT_ONCE
from bot.store.codec import load
from bot.store.effect_json import effect_class, load_effect
from bot.store.tables import outbox

if TYPE_CHECKING:  # most of what looks only counts, and needs no effect there is
    from bot.domain.effects import Effect
    from bot.domain.views import View


class EffectState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    PARKED = "parked"  # cannot succeed as it is; a person must look
    CANCELLED = "cancelled"


class ParkedFor(StrEnum):
    """Why an effect was left to a person, or is held."""

    REFUSED = "refused"  # the service says that it never will
    BROKEN = "broken"  # it cannot be written as it is: a template does not render
    LOST = "lost"  # it may or may not have arrived, and nobody can be asked
    FAILING = "failing"  # it fails again and again, while others are taken; until it is given up, still owed
    ACCOUNT = "account"  # nobody's task but the account's: still owed, and held until the service takes us again
    MISSING = "missing"  # the same, until what config names is there again


HELD = (ParkedFor.ACCOUNT, ParkedFor.MISSING)


@dataclass(frozen=True, slots=True)
class Owed:
    """An effect with what it shows and how its delivery stands."""

    seq: int
    effect: Effect
    view: View | None
    pipeline: str
    state: EffectState
    attempts: int
    not_before: datetime
    sent_at: datetime | None
    error: str | None
    created_at: datetime
    parked_for: ParkedFor | None = None
    fields: Mapping[str, str] = field(default_factory=dict)  # what the service says of single fields
    parked_at: datetime | None = None

    @property
    def held_since(self) -> datetime | None:
        """Tell since when the service refuses our account for this, or lacks what config names."""
        is_held = self.state is EffectState.PENDING and self.parked_for in HELD
        return self.parked_at if is_held else None

    @property
    def failing_since(self) -> datetime | None:
        """Tell since when every attempt has failed on the service's side."""
        is_failing = self.state is EffectState.PENDING and self.parked_for is ParkedFor.FAILING
        return self.parked_at if is_failing else None

    @property
    def is_doubtful(self) -> bool:
        """Say whether a request went out whose end is not known."""
        return self.state is EffectState.PENDING and self.sent_at is not None


def read_row(row: Row[Any]) -> Owed:
    """Read a whole row of the outbox; what it shows is left out where that cannot be read."""
    try:
        return read_owed(row, _view(row))
    except ValueError:
        return read_owed(row, None)


def read_owed(row: Row[Any], view: View | None, effect: Effect | None = None) -> Owed:
    """Read a row of the outbox, with what it shows where that was read too."""
    return Owed(
        row.seq,
        effect or _effect(row),
        view,
        row.pipeline,
        EffectState(row.state),
        row.attempts,
        row.not_before,
        row.sent_at,
        row.error,
        row.created_at,
        None if row.parked_for is None else ParkedFor(row.parked_for),
        json.loads(row.fields) if row.fields else {},
        row.parked_at,
    )


def read_whole(row: Row[Any]) -> Owed:
    """Read a whole row of the outbox; raises ValueError where what it does or shows cannot be read."""
    return read_owed(row, _view(row), load_effect(row.effect))


def _view(row: Row[Any]) -> View | None:
    return None if row.view is None else load(effect_class(row.kind).traits.view, row.view)


def _effect(row: Row[Any]) -> Effect:
    """Read what is to be done; where that cannot be read, what the other columns say of it."""
    try:
        return load_effect(row.effect)
    except ValueError:
        kind = row.kind
        target = ObjectKey.read(row.lane.removesuffix(f"/{kind}"))
        return effect_class(kind)(target, row.effect_id.removeprefix(f"{kind}:{target}:"), row.incident_id)


def rows_outstanding(tx: Connection, query: Select[Any]) -> Iterator[Row[Any]]:
    """Yield the rows of what is owed or parked, oldest first, reading some of them at a time."""
    both = (_rows_in(tx, query, state) for state in (EffectState.PARKED, EffectState.PENDING))
    return merge(*both, key=lambda row: row.seq)


def _rows_in(tx: Connection, query: Select[Any], state: EffectState) -> Iterator[Row[Any]]:
    last = 0
    ordered = query.where(outbox.c.state == state).order_by(outbox.c.seq).limit(AT_ONCE)
    while rows := tx.execute(ordered.where(outbox.c.seq > last)).all():
        yield from rows
        last = rows[-1].seq
