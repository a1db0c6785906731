"""Find how much evidence each preset must ask for, by simulation of the judge's own statistic.

    python bench/calibrate.py SET [SET ...] [--rounds 400]

Each SET is a folder that the benchmark's ``gen.py online SET --seed N --extra bench/extra_noise.py`` filled, with seeds
that are used for nothing else. Every series is watched without a decision, and the log Bayes factor of every candidate
start is kept with what was seen of the noise. Then a random search over the thresholds at the knots, what memory and
heavy tails change, and what repeats take off, looks for the greatest share of steps found within ten runs, under limits
on false alarms (over all, and for each kind of noise) and on the delay. Prints the table of
``bot/domain/judge/calibration.py``; the same sets give the same table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bot.domain.judge import calibration, track
from bot.domain.judge.calibration import KNOTS, SPANS, Threshold
from bot.domain.judge.evidence import ENOUGH_REPEATS, compare_levels, log_bayes_factors, open_window, study_noise
from bot.domain.policy import Preset

LONGEST = 60
WORTH_KEEPING = 1.5  # log Bayes factors below are never asked for
STEPS = (1.0, 1.5, 2.0, 3.0)
EASED = {Preset.QUIET: 0.08, Preset.SENSITIVE: 0.0}  # taken off every knot in the end, by hand: docs/judge.md says why
NEVER = Threshold((1e9,) * len(KNOTS), for_memory=0.0, for_tails=0.0, for_repeats=0.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a point more than this costs, in points of power, stands in :func:`judge`."""

    family: float  # false alarms per 1,000 clean runs of each kind of noise
    overall: float
    delay: float  # mean, at three spreads


LIMITS = {Preset.QUIET: Limits(3.1, 1.5, 2.8), Preset.SENSITIVE: Limits(6.0, 2.7, 2.8)}
STARTS = {
    Preset.QUIET: Threshold((4.3, 4.1, 4.1, 4.6, 5.0, 6.4, 7.2), for_memory=1.9, for_tails=0.5, for_repeats=1.2),
    Preset.SENSITIVE: Threshold((4.1, 4.0, 4.0, 4.0, 3.7, 3.9, 5.2), for_memory=0.7, for_tails=0.8, for_repeats=1.2),
}


@dataclass(slots=True)
class Simulated:
    """The evidence of every run worth looking at, and the truth of every series."""

    series: np.ndarray
    run: np.ndarray
    factors: np.ndarray  # (run, span)
    memory: np.ndarray  # (run, span), times the root of the runs
    tails: np.ndarray  # (run, span)
    repeats: np.ndarray
    labels: list[dict]


def simulate(folders: list[Path]) -> Simulated:
    rows, labels = [], []
    for folder in folders:
        truth = {label["id"]: label for label in read(folder / "online.labels.jsonl")}
        for record in read(folder / "online.jsonl"):
            sign = 1 if record["higher_is_better"] else -1
            rows += [(len(labels), *row) for row in evidence([sign * value for value in record["values"]])]
            labels.append(truth[record["id"]])
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Simulated(*columns, labels)


def read(path: Path) -> Iterator[dict]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def evidence(values: list[float]) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray, float]]:
    """Yield run, factors, memory, tails and share of repeats, with no threshold for a fall ever met."""
    now = track.Track()
    for run, value in enumerate(values):
        if len(now.values) >= track.MIN_RUNS - 1:
            window = open_window([*now.values, value], list(now.kept), list(now.counts), now.squares, now.df)
            levels = compare_levels(window)
            if levels is not None and levels.t.min() < -WORTH_KEEPING:
                factors, memory, tails = np.full(len(SPANS), -np.inf), np.zeros(len(SPANS)), np.zeros(len(SPANS))
                at = levels.spans - SPANS[0]
                known = log_bayes_factors(levels.t, levels.weight, levels.df)
                factors[at] = np.where(levels.earlier < levels.before, known, -np.inf)
                if factors.max() > WORTH_KEEPING:
                    noise = study_noise(window, len(window.values) - levels.spans)
                    memory[at], tails[at] = levels.runs**0.5 * noise.memory, noise.tails
                    yield run, factors, memory, tails, min(1.0, window.repeats / ENOUGH_REPEATS)
        now, _ = track.watch(now, value, Preset.QUIET)


def alarms(simulated: Simulated, threshold: Threshold) -> np.ndarray:
    """Return the run of each series' first alarm, or a run after all."""
    asked = np.interp(SPANS, KNOTS, threshold.at_knots) + threshold.for_memory * simulated.memory
    asked -= threshold.for_tails * simulated.tails + threshold.for_repeats * simulated.repeats[:, None]
    raised = (simulated.factors >= asked).any(axis=1)
    first = np.full(len(simulated.labels), LONGEST)
    np.minimum.at(first, simulated.series[raised], simulated.run[raised])
    return first


def judge(simulated: Simulated, threshold: Threshold, limits: Limits) -> float:
    """Return the share of steps found less what breaking the limits costs."""
    false, clean = {}, {}
    found, delays = {size: [] for size in STEPS}, []
    for label, first in zip(simulated.labels, alarms(simulated, threshold).tolist(), strict=True):
        bad = [change["index"] for change in label["changes"] if change["direction"] == "bad"]
        healthy = bad[0] if bad else label["n"]
        family = label["family"]
        false[family] = false.get(family, 0) + (first < healthy)
        clean[family] = clean.get(family, 0) + healthy
        if label["scenario"] == "step" and label["size"] in STEPS:
            hit = healthy <= first < healthy + 10
            found[label["size"]].append(hit)
            if hit and label["size"] == STEPS[-1]:
                delays.append(first - healthy)
    power = 100 * float(np.mean([np.mean(hits) for hits in found.values()]))
    cost = 6 * sum(max(0.0, 1000 * false[family] / clean[family] - limits.family) for family in false)
    cost += 30 * max(0.0, 1000 * sum(false.values()) / sum(clean.values()) - limits.overall)
    return power - cost - 20 * max(0.0, float(np.mean(delays or [0])) - limits.delay)


def search(simulated: Simulated, start: Threshold, limits: Limits, rounds: int) -> tuple[Threshold, float]:
    random = np.random.default_rng(1)
    point = np.array([*start.at_knots, start.for_memory, start.for_tails, start.for_repeats])
    best, value, width = start, judge(simulated, start, limits), 0.3
    for number in range(rounds):
        tried = point + width * random.standard_normal(len(point)) * (random.random(len(point)) < 0.35)
        candidate = Threshold(tuple(tried[:-3].round(2).tolist()), *np.abs(tried[-3:]).round(2).tolist())
        reached = judge(simulated, candidate, limits)
        if reached > value:
            point, best, value = tried, candidate, reached
        width *= 0.7 if number % 100 == 99 else 1.0
    return best, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=400)
    chosen = parser.parse_args()
    calibration.THRESHOLDS[Preset.QUIET] = NEVER
    simulated = simulate(chosen.sets)
    for preset, limits in LIMITS.items():
        best, value = search(simulated, STARTS[preset], limits, chosen.rounds)
        knots = tuple(round(knot - EASED[preset], 2) for knot in best.at_knots)
        print(f"{preset}: {replace(best, at_knots=knots)}  # {value:.1f}")


if __name__ == "__main__":
    main()
