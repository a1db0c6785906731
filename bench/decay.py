"""How often a slow decay is told against the best level within memory, and how often it is seen where there is none.

    python bench/decay.py [--series 60] [--data FOLDER]

FOLDER holds a set that the benchmark's generator made (``gen.py online FOLDER --seed N --extra bench/extra_noise.py``):
its healthy series of 25 runs and more are watched too. Without a smallest effect, and for this rule alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bot.domain.judge.best_level import CHANCE, Levels, add, hold_best
from bot.domain.policy import Preset

WINDOW = 60
MEMORY = 90.0
FEWEST = 25
QUIET = CHANCE[Preset.QUIET]

Random = np.random.Generator


def first_told(values: Sequence[float], effect: float = 0.0) -> int | None:
    """Return the run that is the second in a row to lie surely below the best level."""
    levels, before = Levels(), False
    for i, value in enumerate(values):
        decay = hold_best(levels, values[max(0, i + 1 - WINDOW) : i + 1])
        if decay is not None and decay.p < QUIET and -decay.change > effect:
            if before:
                return i
            before = True
        else:
            levels, before = add(levels, value, float(i), MEMORY), False
    return None


def decay(random: Random, loss: float, spread: float, healthy: int) -> list[float]:
    path = np.concatenate([np.zeros(healthy), loss * np.arange(1, 61) / 60])
    return list(0.2 * (1 - path + spread * random.standard_normal(len(path))))


def wander(random: Random, n: int, memory: float) -> list[float]:
    shocks = random.standard_normal(n + 40) * np.sqrt(1 - memory**2)
    values = np.zeros(n + 40)
    for i in range(1, n + 40):
        values[i] = memory * values[i - 1] + shocks[i]
    return list(values[40:])


def share_told(series: int, make: Callable[[], list[float]], effect: float = 0.0) -> int:
    return sum(first_told(make(), effect) is not None for _ in range(series))


def healthy_series(folder: Path) -> list[list[float]]:
    labels = [json.loads(line) for line in (folder / "online.labels.jsonl").open(encoding="utf-8")]
    calm = {each["id"] for each in labels if each["scenario"] == "null" and each["n"] >= FEWEST}
    records = [json.loads(line) for line in (folder / "online.jsonl").open(encoding="utf-8")]
    return [[v if r["higher_is_better"] else -v for v in r["values"]] for r in records if r["id"] in calm]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=60)
    parser.add_argument("--data", type=Path)
    chosen = parser.parse_args()
    random, n = np.random.default_rng(3), chosen.series
    for loss, spread in ((0.06, 0.002), (0.036, 0.01)):
        for healthy in (0, 20):
            told = share_told(n, lambda a=loss, b=spread, c=healthy: decay(random, a, b, c), 0.004)
            print(f"decay {loss:.1%}, spread {spread:.1%}, healthy runs before {healthy}: {told} of {n}", flush=True)
    for memory in (0.0, 0.5, 0.7, 0.85):
        for length in (60, 200):
            false = share_told(n, lambda a=length, b=memory: wander(random, a, b))
            print(f"no decay, AR {memory}, {length} runs: {1000 * false / n / length:.2f} per 1,000 runs", flush=True)
    if chosen.data is not None:
        calm = healthy_series(chosen.data)
        false = sum(first_told(values) is not None for values in calm)
        runs = sum(len(values) for values in calm)
        print(f"{len(calm)} healthy series of {chosen.data}: {1000 * false / runs:.3f} per 1,000 runs")


if __name__ == "__main__":
    main()
