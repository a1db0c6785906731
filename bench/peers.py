"""Other people's detectors, speaking the judge's JSON lines: ``python bench/peers.py NAME`` on standard input.

``otava`` needs ``apache-otava``; ``mongodb`` needs ``signal-processing-algorithms`` and numpy 1.26: give each an
environment of its own. The rules need only numpy. Batch detectors run on every prefix; a change point within five runs
of one already told counts as the same ticket.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

SAME_TICKET = 5
FIRST = 5  # runs before a batch detector is asked


def batch(find: Callable[[Sequence[float]], Sequence[tuple[int, bool]]]) -> Callable[[list[float]], list[int]]:
    """Turn a detector of change points (position, is it a fall) into one that alerts run by run."""

    def alerts(values: list[float]) -> list[int]:
        told: list[int] = []
        raised = []
        for end in range(FIRST, len(values) + 1):
            for at, falls in find(values[:end]):
                if all(abs(at - other) > SAME_TICKET for other in told):
                    told.append(at)
                    raised += [end - 1] if falls else []
        return sorted(set(raised))

    return alerts


def find_otava(max_pvalue: float) -> Callable[[Sequence[float]], list[tuple[int, bool]]]:
    from otava.analysis import compute_change_points

    def find(values: Sequence[float]) -> list[tuple[int, bool]]:
        points, _ = compute_change_points(list(values), window_len=50, max_pvalue=max_pvalue, min_magnitude=0.0)
        return [(int(point.index), point.stats.mean_2 < point.stats.mean_1) for point in points]

    return find


def find_mongodb(p: float) -> Callable[[Sequence[float]], list[tuple[int, bool]]]:
    from signal_processing_algorithms.energy_statistics.energy_statistics import e_divisive

    def find(values: Sequence[float]) -> list[tuple[int, bool]]:
        points = sorted(int(point) for point in e_divisive(np.array(values, float), pvalue=p, permutations=100))
        edges = [0, *points, len(values)]
        means = [np.mean(values[a:b]) for a, b in pairwise(edges)]
        return [(at, means[i + 1] < means[i]) for i, at in enumerate(points)]

    return find


def drop(values: list[float]) -> list[int]:
    """Alert at every drop of more than 2 % against the run before."""
    return [i for i in range(1, len(values)) if values[i] < values[i - 1] - 0.02 * abs(values[i - 1])]


def z_score(values: list[float], window: int = 10) -> list[int]:
    found = []
    for i in range(window, len(values)):
        past = np.array(values[i - window : i])
        if values[i] < past.mean() - 3 * past.std(ddof=1):
            found.append(i)
    return found


def cusum(values: list[float], k: float = 0.5, h: float = 5.0) -> list[int]:
    """Self-starting CUSUM (Hawkins 1987): each run standardised by all before it; restarted after an alert."""
    found, total, n, mean, squares = [], 0.0, 0, 0.0, 0.0
    for i, value in enumerate(values):
        if n >= 3 and squares > 0:
            t = (value - mean) / math.sqrt(squares / (n - 1) * (1 + 1 / n))
            df = n - 1
            z = math.copysign(math.sqrt(df * math.log1p(t * t / df)) * (1 - 2 / (8 * df + 3)), t)  # Wallace (1959)
            total = max(0.0, total - z - k)
            if total > h:
                found.append(i)
                total, n, mean, squares = 0.0, 0, 0.0, 0.0
        n += 1
        delta = value - mean
        mean += delta / n
        squares += delta * (value - mean)
    return found


DETECTORS: dict[str, Callable[[], Callable[[list[float]], list[int]]]] = {
    "drop": lambda: drop,
    "z": lambda: z_score,
    "cusum5": lambda: cusum,
    "cusum6.5": lambda: lambda values: cusum(values, h=6.5),
    "otava": lambda: batch(find_otava(0.001)),
    "otava4": lambda: batch(find_otava(0.0001)),
    "mongodb": lambda: batch(find_mongodb(0.05)),
}


def answer(record: dict, name: str, alerts: Callable[[list[float]], list[int]]) -> dict:
    if record.get("mode") == "offline":
        find = {"otava": lambda: find_otava(0.001), "mongodb": lambda: find_mongodb(0.05)}[name]()
        return {"id": record["id"], "change_points": [at for at, _ in find(record["values"])]}
    sign = 1 if record["higher_is_better"] else -1
    return {"id": record["id"], "alerts": alerts([sign * value for value in record["values"]])}


if __name__ == "__main__":
    alerts = DETECTORS[sys.argv[1]]()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), sys.argv[1], alerts)), flush=True)
