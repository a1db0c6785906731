"""Effects to JSON text and back, in the one shape in which every version of Herald has stored them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.objects import ObjectKey
from bot.store.codec import dump, load

if TYPE_CHECKING:
    from bot.domain.effects import Effect


@dataclass(frozen=True, slots=True)
class _Stored:
    kind: str
    target: ObjectKey
    cause: str
    incident_id: str | None = None
    needs: tuple[ObjectKey, ...] = ()


def dump_effect(effect: Effect) -> str:
    return dump(_Stored(effect.kind, effect.target, effect.cause, effect.incident_id, effect.needs))


def load_effect(text: str) -> Effect:
    """Read what :func:`dump_effect` wrote; raises ValueError where that is not possible."""
    stored = load(_Stored, text)
    return effect_class(stored.kind)(stored.target, stored.cause, stored.incident_id, stored.needs)


def effect_class(kind: str) -> type[Effect]:
    from bot.domain.effects import BY_KIND  # all that there is, with all that they show

    if kind not in BY_KIND:
        raise ValueError(f"{kind!r} is not one of {sorted(BY_KIND)}")
    return BY_KIND[kind]
