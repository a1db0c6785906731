"""What is under way to which service, and where nothing may go at the moment; shared by the threads of one Herald."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.effects import Effect
from bot.domain.objects import channel_of
from bot.domain.rate_limits import Allowance, Breaker, Pauses, Spacing, is_held
from bot.errors import Reach
from bot.store.outbox import Closed

_TRIPS_AFTER = 3  # failures in a row


@dataclass(frozen=True, slots=True)
class Gate:
    """What closes together: a whole service, one of its channels, or effects of one kind on it."""

    service: str
    channel: str | None = None
    kind: str | None = None

    def __str__(self) -> str:
        return " ".join(part for part in (self.service, self.channel, self.kind) if part)


def gate_of(effect: Effect, reach: Reach) -> Gate:
    """Return the gate of an effect that a refusal of that reach closes."""
    service, channel = effect.target.service, channel_of(effect.target)
    match reach:
        case Reach.KIND:
            return Gate(service, kind=effect.kind)
        case Reach.CHANNEL if channel is not None:
            return Gate(service, channel)
        case _:
            return Gate(service)


def gates_of(effect: Effect) -> tuple[Gate, ...]:
    """Return every gate that an effect goes through."""
    return tuple(dict.fromkeys(gate_of(effect, reach) for reach in (Reach.SERVICE, Reach.CHANNEL, Reach.KIND)))


class Traffic:
    """Keeps a service that is down, or refuses us, from holding up the others, and messages of a channel at distance.

    *at_once* is how many effects may be under way to one service; *message_gap* the distance between two messages.
    """

    def __init__(self, *, at_once: int = 1, message_gap: timedelta = timedelta(0)) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()
        self._entered: dict[str, datetime] = {}  # by effect
        self._breakers: dict[Gate, Breaker] = {}
        self._rests: dict[str, tuple[datetime, datetime]] = {}  # since and until when services say they take no more
        self._posting: set[tuple[str, str]] = set()
        self._spacing: Spacing[tuple[str, str]] = Spacing(message_gap)

    @property
    def count(self) -> int:
        """Tell how many effects are under way."""
        with self._lock:
            return self._under_way.total()

    def longest(self, now: datetime) -> timedelta:
        """Tell how long the slowest of what is under way has been so."""
        with self._lock:
            return max((now - entered for entered in self._entered.values()), default=timedelta(0))

    def closed(self, now: datetime) -> Closed:
        """Return where nothing may be sent now."""
        with self._lock:
            shut = [gate for gate, breaker in self._breakers.items() if not breaker.admits(now)]
            services = {gate.service for gate in shut if gate == Gate(gate.service)}
            services |= {name for name, (since, until) in self._rests.items() if is_held(since, until, now)}
            services |= {name for name, number in self._under_way.items() if number >= self._at_once}
            channels = {*self._posting, *self._spacing.busy(now)}
            channels |= {(gate.service, gate.channel) for gate in shut if gate.channel is not None}
            return Closed(services, channels, {(gate.service, gate.kind) for gate in shut if gate.kind is not None})

    def opens_at(self, now: datetime) -> datetime | None:
        """Return when the next of what is closed for a while opens; None where nothing is."""
        with self._lock:
            moments = [b.held_until for b in self._breakers.values() if b.held_until is not None and b.is_held(now)]
            moments += [until for since, until in self._rests.values() if is_held(since, until, now)]
            moments += self._spacing.busy(now).values()
        return min(moments, default=None)

    def enter(self, effect: Effect, now: datetime) -> None:
        """Take note that something is on its way."""
        service, channel = effect.target.service, channel_of(effect.target)
        with self._lock:
            self._under_way[service] += 1
            self._entered[effect.effect_id] = now
            for gate in self._known(effect):
                self._breakers[gate] = self._breakers[gate].admit(now)
            if channel is not None:
                self._posting.add((service, channel))

    def leave(self, effect: Effect, *, posted_at: datetime | None = None) -> None:
        service, channel = effect.target.service, channel_of(effect.target)
        with self._lock:
            self._under_way[service] -= 1
            self._entered.pop(effect.effect_id, None)
            for gate in self._known(effect):
                self._breakers[gate] = self._breakers[gate].let_go()
            if channel is not None:
                self._posting.discard((service, channel))
                if posted_at is not None:
                    self._spacing = self._spacing.used((service, channel), posted_at)

    def answered(self, effect: Effect, now: datetime) -> Sequence[Gate]:
        """Take note that the service answers, be it that it refuses the one thing; return what opens again by that.

        What had been on its way when our account was refused says nothing of how that stands now.
        """
        opened: list[Gate] = []
        with self._lock:
            for gate in self._known(effect):
                breaker = self._breakers[gate]
                if breaker.refused_since is None:
                    del self._breakers[gate]
                elif not breaker.is_held(now):
                    del self._breakers[gate]
                    opened.append(gate)
        return opened

    def failed(self, effect: Effect, now: datetime, pause: timedelta) -> None:
        gate = gate_of(effect, Reach.SERVICE)
        with self._lock:
            self._breakers[gate] = self._breakers.get(gate, Breaker()).fail(now, pause, _TRIPS_AFTER)

    def refused(self, gate: Gate, now: datetime, pauses: Pauses, draw: float) -> tuple[timedelta, bool]:
        """Close a gate behind which our account is not taken; return for how long, and whether that is new."""
        with self._lock:
            before = self._breakers.get(gate, Breaker())
            after = self._breakers[gate] = before.refuse(now, pauses, draw)
        held = after.held_until - now if after.held_until else timedelta(0)
        return max(held, timedelta(0)), before.refused_since is None

    def refusing(self) -> frozenset[str]:
        """Return the services that do not take our account at all, as far as this Herald has found out."""
        with self._lock:
            refused = (gate for gate, breaker in self._breakers.items() if breaker.refused_since is not None)
            return frozenset(gate.service for gate in refused if gate == Gate(gate.service))

    def reopen(self) -> None:
        """Let everything be tried at once, as after a change of the configuration."""
        with self._lock:
            self._breakers = {}

    def allowed(self, service: str, allowance: Allowance | None, now: datetime) -> None:
        """Leave the service alone where it says that it has had nearly enough for now."""
        if allowance is None:
            return
        with self._lock:
            hold = allowance.hold(self._at_once)
            self._rests[service] = now, now + hold

    def _known(self, effect: Effect) -> list[Gate]:
        return [gate for gate in gates_of(effect) if gate in self._breakers]
