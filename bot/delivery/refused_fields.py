"""A ticket without what its tracker refuses to set: better that than no ticket."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from bot.domain.views import Unset
from bot.errors import FieldsRefusedError
from bot.ports import TicketDraft


def refused_in(error: FieldsRefusedError) -> tuple[Unset, ...]:
    return tuple(Unset(name, error.values.get(name, ""), words) for name, words in error.fields.items())


def without(draft: TicketDraft, refused: Collection[str], family: str) -> TicketDraft | None:
    """Return the draft without these fields; None where that takes nothing off it. The label *family* is kept."""
    slimmer = replace(
        draft,
        priority=None if "priority" in refused else draft.priority,
        assignee=None if "assignee" in refused else draft.assignee,
        components=() if "components" in refused else draft.components,
        labels=(family,) if "labels" in refused else draft.labels,
        left_out=draft.left_out | (set(refused) - {"priority", "assignee", "components", "labels"}),
    )
    return None if slimmer == draft else slimmer
