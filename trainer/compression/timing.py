"""How quick models are beside one another: in turns, so that what else the machine does falls on all of them alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

Ask = Callable[[Sequence[int]], object]  # answers questions, by their places

ROUNDS = 7
ALONE = 16  # questions of a round that are asked one by one
TOGETHER = 64
BATCHES = 2  # of a round
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


def _each(ask: Ask, asked: Sequence[Sequence[int]]) -> float:
    """Give the seconds of one call, the mean over all of them, repeated until a clock can tell."""
    times, began = 0, perf_counter()
    while True:
        for places in asked:
            ask(places)
        times += 1
        spent = perf_counter() - began
        if spent >= LEAST:
            return spent / times / len(asked)
