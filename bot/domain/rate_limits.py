"""How fast services may be asked, and when one that fails is asked again; decisions only, without a clock."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_NEVER_HELD = timedelta(0)
_MOMENT = timedelta(seconds=10)  # by which threads may see the clock at different times
_LONGEST_RESET = 3600.0  # seconds; services count by the hour at most, and clocks may be wrong


def is_held(since: datetime | None, until: datetime, now: datetime) -> bool:
    """Say whether what was closed at *since* still is; not where the clock went back behind that: nobody knows."""
    return now < until and (since is None or since - _MOMENT <= now)


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long to wait before something is tried again, in seconds."""

    first: float = 2.0
    longest: float = 600.0
    shortest_asked: float = 1.0  # a gateway that says 0 would be hammered
    longest_asked: float = 600.0  # one that says an hour is looked at again after this
    longest_hold: float = 60.0  # of a whole service that fails: one effect asks it again after this
    longest_refusal: float = 300.0  # the same of one that refuses our account

    def before_retry(self, tries: int, asked: float | None, draw: float) -> float:
        """Return the seconds before the next try, after *tries* earlier ones.

        Doubles with each try, less a random share (*draw*, from 0 to 1, decides) so that many do not come back at
        once; never shorter than what the service *asked* for, within reason.
        """
        doubled = self.first * 2.0 ** min(tries, 64)
        own = min(doubled, self.longest) * (0.5 + 0.5 * draw)
        if asked is None:
            return own
        return max(own, min(max(asked, self.shortest_asked), self.longest_asked))

    def before_asking_again(self, refusals: int, draw: float) -> timedelta:
        """Return how long an account is left alone that was refused so often in a row."""
        doubled = min(self.first * 2.0 ** min(refusals, 64), self.longest_refusal)
        return timedelta(seconds=doubled * (0.75 + 0.25 * draw))

    def of_the_refused(self, held_for: timedelta, gate: timedelta) -> timedelta:
        """Return how long the effect itself waits that met a refusal, while others find out whether that is over.

        Longer than the *gate* is held, so that an effect that alone is refused never stands in front of the others;
        and the longer, the longer it has been *held_for* already.
        """
        return max(gate * 1.5, min(held_for / 2, timedelta(seconds=self.longest)))


@dataclass(frozen=True, slots=True)
class Breaker:
    """Whether a service is asked at all: after some failures in a row it is left alone, then tried with one effect."""

    failures: int = 0  # in a row
    held_until: datetime | None = None
    held_since: datetime | None = None
    probing: bool = False  # the one effect is under way
    refused_since: datetime | None = None  # where it is our account that is not taken

    def admits(self, now: datetime) -> bool:
        return self.held_until is None or not (self.probing or self.is_held(now))

    def is_held(self, now: datetime) -> bool:
        return self.held_until is not None and is_held(self.held_since, self.held_until, now)

    def admit(self, now: datetime) -> Breaker:
        """Return the breaker while what it admitted at *now* is under way."""
        return self if self.held_until is None else replace(self, probing=not self.is_held(now))

    def succeed(self) -> Breaker:
        return Breaker()

    def fail(self, now: datetime, pause: timedelta, trips_after: int) -> Breaker:
        """Return the breaker after one more failure; held for *pause* once there were *trips_after* in a row."""
        failures = self.failures + 1
        if failures < trips_after and self.held_until is None:
            return Breaker(failures)
        until = now + pause
        if self.held_until is not None and self.is_held(now):
            until = max(until, self.held_until)
        return Breaker(failures, until, now, refused_since=self.refused_since)

    def refuse(self, now: datetime, pauses: Pauses, draw: float) -> Breaker:
        """Return the breaker after our account was refused: held at once, the longer the oftener.

        What had been on its way when it closed says nothing new.
        """
        since = self.refused_since or now
        if not self.probing and self.is_held(now):
            return replace(self, refused_since=since)
        until = now + pauses.before_asking_again(self.failures, draw)
        return Breaker(self.failures + 1, until, now, refused_since=since)

    def let_go(self) -> Breaker:
        """Return the breaker after an attempt that says nothing of the service."""
        return replace(self, probing=False)


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
