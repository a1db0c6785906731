"""Whether a service that fails, or refuses our account, is asked at all; decisions only, without a clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.domain.backoff import Backoff, is_held


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
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

    def admit(self, now: datetime) -> CircuitBreaker:
        """Return the breaker while what it admitted at *now* is under way."""
        return self if self.held_until is None else replace(self, probing=not self.is_held(now))

    def succeed(self) -> CircuitBreaker:
        return CircuitBreaker()

    def fail(self, now: datetime, pause: timedelta, trips_after: int) -> CircuitBreaker:
        """Return the breaker after one more failure; held for *pause* once there were *trips_after* in a row."""
        failures = self.failures + 1
        if failures < trips_after and self.held_until is None:
            return CircuitBreaker(failures)
        until = now + pause
        if self.held_until is not None and self.is_held(now):
            until = max(until, self.held_until)
        return CircuitBreaker(failures, until, now, refused_since=self.refused_since)

    def refuse(self, now: datetime, backoff: Backoff, draw: float) -> CircuitBreaker:
        """Return the breaker after our account was refused: held at once, the longer the oftener.

        What had been on its way when it closed says nothing new.
        """
        since = self.refused_since or now
        if not self.probing and self.is_held(now):
            return replace(self, refused_since=since)
        until = now + backoff.before_asking_again(self.failures, draw)
        return CircuitBreaker(self.failures + 1, until, now, refused_since=since)

    def let_go(self) -> CircuitBreaker:
        """Return the breaker after an attempt that says nothing of the service."""
        return replace(self, probing=False)
