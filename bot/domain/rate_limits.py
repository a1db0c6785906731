"""How fast services may be asked: what they say they will still take, and the distance between two messages."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from bot.domain.backoff import is_held

K = TypeVar("K", bound=Hashable)

_NEVER_HELD = timedelta(0)
_LONGEST_RESET = 3600.0  # seconds; services count by the hour at most, and clocks may be wrong


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many requests a service says it will still take, and in how many seconds it starts to count anew."""

    remaining: int
    resets_in: float

    def hold(self, reserve: int) -> timedelta:
        """Return how long to leave the service alone: not at all while more than *reserve* requests remain."""
        longest = min(max(self.resets_in, 0.0), _LONGEST_RESET)
        return timedelta(seconds=longest) if self.remaining <= reserve else _NEVER_HELD


@dataclass(frozen=True, slots=True)
class Pace:
    """The distance that a service wants between two messages, by channel or between all of its messages *together*."""

    gap: timedelta
    is_together: bool = False


@dataclass(frozen=True, slots=True)
class Spacing(Generic[K]):
    """When each channel was last posted to, so that its messages keep their distance."""

    gap: timedelta
    last: Mapping[K, datetime] = field(default_factory=dict)

    def busy(self, now: datetime) -> dict[K, datetime]:
        """Return the channels that must wait, each with the moment at which it is free."""
        return {name: at + self.gap for name, at in self.last.items() if is_held(at, at + self.gap, now)}

    def used(self, name: K, at: datetime) -> Spacing[K]:
        """Return the spacing after a post; forgets what no longer matters."""
        kept = {other: then for other, then in self.last.items() if is_held(then, then + self.gap, at)}
        return Spacing(self.gap, {**kept, name: at})
