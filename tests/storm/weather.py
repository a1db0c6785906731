"""What goes wrong while the storm is on: faults of single requests, episodes of whole services, clocks, MLflow's death."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bot.sandbox import BREAKS, NO_ANSWERS, REFUSALS, TRICKLES, FaultKind, FaultPlan, RunningSandbox, Service
from tests.storm.heralds import Clock

RETRY_AFTER = ("1", "0", "20", "date:1")  # what says an hour is asked again after five minutes: longer than a storm
KINDS = (*BREAKS, *NO_ANSWERS, *TRICKLES, FaultKind.ENDLESS)
EPISODES = (*REFUSALS, *REFUSALS, FaultKind.LOGIN_PAGE, FaultKind.ERROR_BEFORE, FaultKind.TRICKLE_BEFORE)
PLAN_SECONDS = 4.0
STALL_SECONDS = 3.5  # a little longer than a request's timeout
CLOCK_STEPS = (3.0, -3.0, 3.0, -3.0, 3600.0)  # seconds, from where it truly is


@dataclass
class Weather:
    """Lets things go wrong after a seeded plan until it is told to stop."""

    box: RunningSandbox
    seed: int
    rate: float  # share of requests that meet a fault
    clocks: Sequence[Clock]
    restart_tracking: Callable[[], None]
    episode_every: float = 15.0  # seconds, on average
    clock_every: float = 20.0
    tracking_every: float = 150.0
    happened: Counter[str] = field(default_factory=Counter)

    def rage(self, stop: threading.Event) -> None:
        parts = (self._requests, self._episodes, self._clocks, self._tracking)
        threads = [threading.Thread(target=part, args=(stop,), name=part.__name__) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def calm(self) -> None:
        self.box.faults.clear()
        for clock in self.clocks:
            clock.step(0)

    def _requests(self, stop: threading.Event) -> None:
        turn = 0
        while not stop.is_set():
            self.box.follow(
                FaultPlan(
                    self.seed * 1000 + turn,
                    self.rate,
                    kinds=KINDS,
                    methods=("GET", "POST", "PUT"),
                    retry_after=RETRY_AFTER[turn % len(RETRY_AFTER)],
                    seconds=STALL_SECONDS,
                )
            )
            turn += 1
            stop.wait(PLAN_SECONDS)

    def _episodes(self, stop: threading.Event) -> None:
        chance = random.Random(f"{self.seed}:episodes")
        while not stop.wait(chance.expovariate(1 / self.episode_every)):
            kind, service = chance.choice(EPISODES), chance.choice([*Service, None])
            seconds = chance.uniform(2.0, 8.0) if service is not None else 3.0
            self.box.befall(kind, service, seconds, retry_after="1")
            self.happened[f"episode of {kind}"] += 1

    def _clocks(self, stop: threading.Event) -> None:
        chance = random.Random(f"{self.seed}:clocks")
        while self.clocks and not stop.wait(chance.expovariate(1 / self.clock_every)):
            step = chance.choice(CLOCK_STEPS)
            for clock in self.clocks:  # one machine, one clock
                clock.step(step)
            self.happened[f"clock {step:+g} s"] += 1
            stop.wait(chance.uniform(1.0, 6.0))
            for clock in self.clocks:
                clock.step(0)

    def _tracking(self, stop: threading.Event) -> None:
        chance = random.Random(f"{self.seed}:tracking")
        while not stop.wait(chance.uniform(0.6, 1.4) * self.tracking_every):
            self.restart_tracking()
            self.happened["MLflow killed and started again"] += 1
