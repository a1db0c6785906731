"""How quick models are beside one another: in turns, so that what else the machine does falls on all of them alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter, process_time

import numpy as np

Ask = Callable[[Sequence[int]], object]  # answers questions, by their places

ROUNDS = 7
ALONE = 16  # questions of a round that are asked one by one
TOGETHER = 64
BATCHES = 2  # of a round
TICK = 1e-6  # s, of the processor's clock
LEAST = 2e-3  # s: a shorter stretch is repeated, for clocks and schedulers are coarse


@dataclass(frozen=True, slots=True)
class Timing:
    """Medians over the rounds."""

    ms_one: float
    ms_batch: float
    speedup: float  # over the first model, of 64 together: the median of the rounds' ratios

    @property
    def per_second(self) -> float:
        """Give the questions a second, 64 together."""
        return TOGETHER / self.ms_batch * 1000


@dataclass(frozen=True, slots=True)
class Pace:
    """Medians over the rounds of answers as they are asked for in the end."""

    per_second: float
    speedup: float  # over the first model, the median of the rounds' ratios
    cpu_speedup: float  # the same of the processor's seconds: what else runs is no part of them


def time_answers(models: Mapping[str, Ask], questions: int, at_once: int, rounds: int = ROUNDS) -> dict[str, Pace]:
    """Time each model on the same questions, so many together, in turns; the first is the original."""
    places = [(np.arange(at_once) % questions).tolist()]
    wall_R: dict[str, list[float]] = {name: [] for name in models}
    cpu_R: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, answer in models.items():
            began = process_time()
            wall_R[name].append(_each(answer, places, spent := [0]))
            cpu_R[name].append((process_time() - began) / spent[0])
    first_wall, first_cpu = (np.array(one[next(iter(models))]) for one in (wall_R, cpu_R))
    return {
        name: Pace(
            at_once / float(np.median(wall_R[name])),
            float(np.median(first_wall / np.array(wall_R[name]))),
            float(np.median(first_cpu / np.maximum(cpu_R[name], TICK))),
        )
        for name in models
    }


def time_models(models: Mapping[str, Ask], questions: int, rounds: int = ROUNDS) -> dict[str, Timing]:
    """Time each model on the same questions, one after the other in every round; the first is the original."""
    places = np.arange(TOGETHER * BATCHES) % questions
    batches = [part.tolist() for part in np.split(places, BATCHES)]
    alone = [[place] for place in places[:ALONE].tolist()]
    for ask in models.values():  # what is set up once is paid for before
        ask(batches[0])
        ask(alone[0])
    one_R: dict[str, list[float]] = {name: [] for name in models}
    many_R: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, ask in models.items():
            one_R[name].append(_each(ask, alone))
            many_R[name].append(_each(ask, batches))
    first = np.array(many_R[next(iter(models))])
    return {
        name: Timing(
            float(np.median(one_R[name])) * 1000,
            float(np.median(many_R[name])) * 1000,
            float(np.median(first / np.array(many_R[name]))),
        )
        for name in models
    }


def _each(ask: Ask, asked: Sequence[Sequence[int]], repeated: list[int] | None = None) -> float:
    """Give the seconds of one call, the mean over all of them, repeated until a clock can tell; note how often."""
    times, began = 0, perf_counter()
    while True:
        for places in asked:
            ask(places)
        times += 1
        spent = perf_counter() - began
        if spent >= LEAST:
            if repeated is not None:
                repeated[:] = [times]
            return spent / times / len(asked)
