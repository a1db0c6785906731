"""Find how much evidence each preset must ask for, by simulation of the judge's own statistic.

    python bench/calibrate.py SET [SET ...] --preset quiet [--rounds 600]

Each SET is a folder that the benchmark's ``gen.py online SET --seed N`` filled, with seeds that are used for nothing
else. Every series is watched without a decision and the log Bayes factor of every candidate start is kept; then a
random search over the thresholds at the knots, the discount for autocorrelation and that for repeats looks for the
greatest share of steps found within ten runs, under the limits on false alarms (over all, and for the worst noise)
and on the delay. Prints the line for ``bot/domain/judge/calibration.py``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bot.domain.judge import calibration, track
from bot.domain.judge.calibration import KNOTS, SPANS, Threshold
from bot.domain.judge.evidence import ENOUGH_REPEATS, compare_levels, correlate, log_bayes_factors, open_window
from bot.domain.policy import Preset

LONGEST = 60
WORTH_KEEPING = 1.5  # log Bayes factors below are never asked for
STEPS = (1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True, slots=True)
class Limits:
    family: float  # false alarms per 1,000 clean runs of the worst kind of noise
    overall: float
    delay: float  # mean, at three spreads


LIMITS = {Preset.QUIET: Limits(3.4, 1.8, 2.9), Preset.SENSITIVE: Limits(99.0, 3.4, 99.0)}


@dataclass(slots=True)
class Simulated:
    """The evidence of every run worth looking at, and the truth of every series."""

    series: np.ndarray
    run: np.ndarray
    factors: np.ndarray  # (run, span)
    correlation: np.ndarray
    root_runs: np.ndarray
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


def evidence(values: list[float]) -> Iterator[tuple[int, np.ndarray, np.ndarray, float, float]]:
    """Yield run, factors, correlations, root of the runs and share of repeats, with no threshold ever met."""
    now = track.Track()
    for run, value in enumerate(values):
        if len(now.values) >= track.MIN_RUNS - 1:
            window = open_window([*now.values, value], list(now.kept), list(now.counts), 0.0, 0.0)
            levels = compare_levels(window)
            if levels is not None and levels.t.min() < -WORTH_KEEPING:
                factors, correlation = np.full(len(SPANS), -np.inf), np.zeros(len(SPANS))
                at = levels.spans - SPANS[0]
                factors[at] = log_bayes_factors(levels.t, levels.weight, levels.df)
                correlation[at] = correlate(window, len(window.values) - levels.spans)
                if factors.max() > WORTH_KEEPING:
                    repeats = min(1.0, window.repeats / ENOUGH_REPEATS)
                    yield run, factors, correlation, levels.runs**0.5, repeats
        now, _ = track.watch(now, value, Preset.QUIET)


def alarms(simulated: Simulated, threshold: Threshold) -> np.ndarray:
    """Return the run of each series' first alarm, or a run after all."""
    asked = np.interp(SPANS, KNOTS, threshold.at_knots)
    discount = threshold.for_autocorrelation * simulated.root_runs[:, None] * np.maximum(0, simulated.correlation)
    over = simulated.factors - asked - discount + threshold.for_repeats * simulated.repeats[:, None]
    raised = over.max(axis=1) >= 0
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
    worst = max(1000 * false[family] / clean[family] for family in false)
    overall = 1000 * sum(false.values()) / sum(clean.values())
    cost = 20 * max(0, worst - limits.family) + 30 * max(0, overall - limits.overall)
    return power - cost - 20 * max(0, float(np.mean(delays or [0])) - limits.delay)


def search(simulated: Simulated, start: Threshold, limits: Limits, rounds: int) -> tuple[Threshold, float]:
    random = np.random.default_rng(1)
    point = np.array([*start.at_knots, start.for_autocorrelation, start.for_repeats])
    best, value, width = start, judge(simulated, start, limits), 0.3
    for number in range(rounds):
        tried = point + width * random.standard_normal(len(point)) * (random.random(len(point)) < 0.35)
        candidate = Threshold(tuple(tried[:-2].round(2).tolist()), *np.abs(tried[-2:]).round(2).tolist())
        reached = judge(simulated, candidate, limits)
        if reached > value:
            point, best, value = tried, candidate, reached
        width *= 0.75 if number % 150 == 149 else 1.0
    return best, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--preset", type=Preset, choices=list(Preset), default=Preset.QUIET)
    parser.add_argument("--rounds", type=int, default=600)
    chosen = parser.parse_args()
    start = calibration.THRESHOLDS[chosen.preset]
    never = Threshold((1e9,) * len(KNOTS), 0.0, 0.0)
    calibration.THRESHOLDS[Preset.QUIET] = never
    simulated = simulate(chosen.sets)
    best, value = search(simulated, start, LIMITS[chosen.preset], chosen.rounds)
    print(f"{chosen.preset}: {best}  # {value:.1f}")


if __name__ == "__main__":
    main()
