"""Which effects may go to which service now: shared by the threads of one Herald."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from bot.delivery.circuit_breakers import CircuitBreakers, Gate
from bot.domain.backoff import is_held
from bot.domain.effects import Effect
from bot.domain.objects import channel_of
from bot.domain.rate_limits import Allowance, Pace, Spacing
from bot.store.claims import Closed


class Admission:
    """Keeps a service that stalls or has had enough from holding up the others, and messages of a channel at distance.

    *at_once* is how many effects may be under way to one service; *message_gap* the distance between two messages of a
    channel, where *paces* says nothing else of its service.
    """

    def __init__(
        self,
        *,
        at_once: int = 1,
        message_gap: timedelta = timedelta(0),
        paces: Mapping[str, Pace] | None = None,
    ) -> None:
        self.breakers = CircuitBreakers()
        self._at_once = at_once
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()  # by service
        self._entered: dict[str, datetime] = {}  # by effect
        self._rests: dict[str, tuple[datetime, datetime]] = {}  # since and until when services say they take no more
        self._posting: set[tuple[str, str]] = set()
        self._pace = Pace(message_gap)
        self._paces = dict(paces or {})
        self._spacings: dict[str, Spacing[str]] = {}  # of the channels of a service

    def keep_paces(self, paces: Mapping[str, Pace]) -> None:
        """Keep other distances from now on, as another configuration says."""
        with self._lock:
            self._paces = dict(paces)

    def _pace_of(self, service: str) -> Pace:
        return self._paces.get(service, self._pace)

    def _busy(self, now: datetime) -> dict[tuple[str, str], datetime]:
        """Return the channels that must wait, and when each is free; `*` stands for all of a service."""
        return {
            (name, "*" if self._pace_of(name).is_together else channel): free
            for name, spacing in self._spacings.items()
            for channel, free in spacing.busy(now).items()
        }

    def longest(self, now: datetime) -> timedelta:
        """Tell how long the slowest of what is under way has been so."""
        with self._lock:
            return max((now - entered for entered in self._entered.values()), default=timedelta(0))

    def closed(self, now: datetime) -> Closed:
        """Return where nothing may be sent now."""
        shut = self.breakers.shut(now)
        services = {gate.service for gate in shut if gate == Gate(gate.service)}
        channels = {(gate.service, gate.channel) for gate in shut if gate.channel is not None}
        kinds = {(gate.service, gate.kind) for gate in shut if gate.kind is not None}
        with self._lock:
            services |= {name for name, (since, until) in self._rests.items() if is_held(since, until, now)}
            services |= {name for name, number in self._under_way.items() if number >= self._at_once}
            waiting = {*self._posting, *self._busy(now)}
            services |= {name for name, _ in waiting if self._pace_of(name).is_together}
            channels |= waiting
        return Closed(services, channels, kinds)

    def opens_at(self, now: datetime) -> datetime | None:
        """Return when the next of what is closed for a while opens; None where nothing is."""
        moments = list(self.breakers.openings(now))
        with self._lock:
            moments += [until for since, until in self._rests.values() if is_held(since, until, now)]
            moments += self._busy(now).values()
        return min(moments, default=None)

    def enter(self, effect: Effect, now: datetime) -> None:
        """Take note that something is on its way."""
        service, channel = effect.target.service, channel_of(effect.target)
        self.breakers.enter(effect, now)
        with self._lock:
            self._under_way[service] += 1
            self._entered[effect.effect_id] = now
            if channel is not None:
                self._posting.add((service, channel))

    def leave(self, effect: Effect, *, posted_at: datetime | None = None) -> None:
        service, channel = effect.target.service, channel_of(effect.target)
        self.breakers.leave(effect)
        with self._lock:
            self._under_way[service] -= 1
            self._entered.pop(effect.effect_id, None)
            if channel is not None:
                self._posting.discard((service, channel))
                if posted_at is not None:
                    gap = self._pace_of(service).gap
                    last = self._spacings.get(service, Spacing(gap)).last
                    self._spacings[service] = Spacing(gap, last).used(channel, posted_at)

    def allowed(self, service: str, allowance: Allowance | None, now: datetime) -> None:
        """Leave the service alone where it says that it has had nearly enough for now."""
        if allowance is None:
            return
        with self._lock:
            hold = allowance.hold(self._at_once)
            self._rests[service] = now, now + hold
