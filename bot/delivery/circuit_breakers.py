"""The circuit breakers of services, of channels and of kinds of effects; shared by the threads of one Herald."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.backoff import Backoff
from bot.domain.circuit_breaker import CircuitBreaker
from bot.domain.effects import Effect
from bot.domain.objects import channel_of
from bot.errors import Reach

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


class CircuitBreakers:
    """Keep what is down, or refuses us, from being asked by every effect that is owed there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._breakers: dict[Gate, CircuitBreaker] = {}

    def shut(self, now: datetime) -> Sequence[Gate]:
        """Return the gates through which nothing may go now."""
        with self._lock:
            return [gate for gate, breaker in self._breakers.items() if not breaker.admits(now)]

    def openings(self, now: datetime) -> Sequence[datetime]:
        """Return when the gates that are held for a while open."""
        with self._lock:
            held = (b.held_until for b in self._breakers.values() if b.is_held(now))
            return [until for until in held if until is not None]

    def enter(self, effect: Effect, now: datetime) -> None:
        with self._lock:
            for gate in self._known(effect):
                self._breakers[gate] = self._breakers[gate].admit(now)

    def leave(self, effect: Effect) -> None:
        with self._lock:
            for gate in self._known(effect):
                self._breakers[gate] = self._breakers[gate].let_go()

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
            self._breakers[gate] = self._breakers.get(gate, CircuitBreaker()).fail(now, pause, _TRIPS_AFTER)

    def refused(self, gate: Gate, now: datetime, backoff: Backoff, draw: float) -> tuple[timedelta, bool]:
        """Close a gate behind which our account is not taken; return for how long, and whether that is new."""
        with self._lock:
            before = self._breakers.get(gate, CircuitBreaker())
            after = self._breakers[gate] = before.refuse(now, backoff, draw)
        held = after.held_until - now if after.held_until else timedelta(0)
        return max(held, timedelta(0)), before.refused_since is None

    def refusing(self) -> frozenset[str]:
        """Return the services that do not take our account at all, as far as this Herald has found out."""
        with self._lock:
            refused = (gate for gate, breaker in self._breakers.items() if breaker.refused_since is not None)
            return frozenset(gate.service for gate in refused if gate == Gate(gate.service))

    def reset(self) -> None:
        """Let everything be tried at once, as after a change of the configuration."""
        with self._lock:
            self._breakers = {}

    def _known(self, effect: Effect) -> list[Gate]:
        return [gate for gate in gates_of(effect) if gate in self._breakers]
