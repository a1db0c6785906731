"""What is under way to which service, and where nothing may go at the moment; shared by the threads of one Herald."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta

from bot.domain.pacing import Allowance, Breaker, Spacing
from bot.store.outbox import Closed

_TRIPS_AFTER = 3  # failures in a row


class Traffic:
    """Keeps a service that is down from holding up the others, and messages of a channel at their distance.

    *at_once* is how many effects may be under way to one service; *message_gap* the distance between two messages.
    """

    def __init__(self, *, at_once: int = 1, message_gap: timedelta = timedelta(0)) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()
        self._breakers: dict[str, Breaker] = {}
        self._rests: dict[str, datetime] = {}  # until when a service has said it takes no more
        self._posting: set[tuple[str, str]] = set()
        self._spacing: Spacing[tuple[str, str]] = Spacing(message_gap)

    @property
    def count(self) -> int:
        """Tell how many effects are under way."""
        with self._lock:
            return self._under_way.total()

    def closed(self, now: datetime) -> Closed:
        """Return where nothing may be sent now."""
        with self._lock:
            services = {name for name, breaker in self._breakers.items() if not breaker.admits(now)}
            services |= {name for name, until in self._rests.items() if until > now}
            services |= {name for name, number in self._under_way.items() if number >= self._at_once}
            return Closed(services, {*self._posting, *self._spacing.busy(now)})

    def opens_at(self, now: datetime) -> datetime | None:
        """Return when the next of what is closed for a while opens; None where nothing is."""
        with self._lock:
            moments = [b.held_until for b in self._breakers.values() if b.held_until is not None]
            moments += [*self._rests.values(), *self._spacing.busy(now).values()]
        return min((moment for moment in moments if moment > now), default=None)

    def enter(self, service: str, channel: str | None, now: datetime) -> None:
        """Take note that something is on its way; *channel* where it is a message."""
        with self._lock:
            self._under_way[service] += 1
            self._breakers[service] = self._breakers.get(service, Breaker()).admit(now)
            if channel is not None:
                self._posting.add((service, channel))

    def leave(self, service: str, channel: str | None, *, posted_at: datetime | None = None) -> None:
        with self._lock:
            self._under_way[service] -= 1
            self._breakers[service] = self._breakers[service].let_go()
            if channel is not None:
                self._posting.discard((service, channel))
                if posted_at is not None:
                    self._spacing = self._spacing.used((service, channel), posted_at)

    def answered(self, service: str) -> None:
        """Take note that the service answers, be it with a refusal."""
        with self._lock:
            self._breakers[service] = self._breakers[service].succeed()

    def failed(self, service: str, now: datetime, pause: timedelta) -> None:
        with self._lock:
            self._breakers[service] = self._breakers[service].fail(now, pause, _TRIPS_AFTER)

    def allowed(self, service: str, allowance: Allowance | None, now: datetime) -> None:
        """Leave the service alone where it says that it has had nearly enough for now."""
        if allowance is None:
            return
        with self._lock:
            hold = allowance.hold(self._at_once)
            self._rests[service] = now + hold
