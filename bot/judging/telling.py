"""Owes what people hear of, and freezes it in the same transaction: every telling is of that record."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from bot.domain.effects import Effect
from bot.domain.incidents import Turn
from bot.domain.notifications import is_told
from bot.judging.views.by_effect import view_of
from bot.judging.views.face import snapshot_of
from bot.judging.views.occasion import Occasion
from bot.store import outbox, snapshots


def owe_told(
    tx: Connection,
    pipeline: str,
    effects: Iterable[Effect],
    on: Occasion,
    now: datetime,
    *,
    asked_before: datetime | None = None,
) -> None:
    """Owe effects with what each shows of an occasion, whose turns are put on record as they are told."""
    outbox.owe(tx, pipeline, [(effect, view_of(effect, on)) for effect in effects], now, asked_before=asked_before)
    for step in on.steps:
        if is_told(step) or step.turn is Turn.REMINDED:
            snapshots.keep(tx, snapshot_of(on, step))
