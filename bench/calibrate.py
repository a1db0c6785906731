"""Find how much evidence each preset must ask for, by simulation of the whole judge.

    python -m bench.calibrate SET [SET ...] [--rounds 450]

Each SET is a folder that the benchmark's ``gen.py online SET --seed N --extra bench/extra_noise.py`` filled, with seeds
that are used for nothing else. Every series is judged without a fall of level ever being told, and two things are kept:
the log Bayes factor of every candidate start with what was seen of the noise, and the first run that would open a
ticket all the same: it confirms a bad one before it, or a decay. Then a random search over the five numbers of a
threshold looks for the greatest share of steps found within ten runs by either, under limits on false alarms (over all,
and for each kind of noise) and on the delay. Prints a table
as in ``bot/domain/judge/calibration.py``; the same sets give the same one. How the table there was found, and where
this search ends otherwise, says docs/judge.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from bench.extra_noise import ALLOWED, RARE
from bot.domain.judge import calibration, track
from bot.domain.judge.calibration import SPANS, Threshold
from bot.domain.judge.evidence import ENOUGH_REPEATS, compare_levels, log_evidence, open_window, study_noise
from bot.domain.policy import MetricPolicy, MinEffect, Policies, Preset
from bot.domain.whole_series import as_runs, judge_series

LONGEST = 60
WORTH_KEEPING = 2.0  # log Bayes factors below are never asked for
STEPS = (1.0, 1.5, 2.0, 3.0)
WITHIN = 10  # runs after a step
FEW = 10  # runs before a step
NEVER = Threshold(1e9, 0.0, for_memory=0.0, for_tails=0.0, for_repeats=0.0)
NARROWER = 0.7  # the width of the search after each of its parts
PARTS = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """What a point more than this costs, in points of power, stands in :func:`weigh`."""

    overall: float  # false alarms per 1,000 clean runs
    family: float  # the same of each kind of noise, times what extra_noise.py allows it
    delay: float  # mean, at three spreads
    early: float  # share of steps found after fewer than ten runs that is hoped for, in per cent


LIMITS = {Preset.QUIET: Limits(1.8, 4.5, 3.4, 45.0), Preset.SENSITIVE: Limits(3.3, 7.5, 2.8, 62.0)}


class Simulated:
    """The evidence of every run worth looking at, what bad runs say by themselves, and the truth of every series."""

    def __init__(self, rows: list[tuple], alone: dict[Preset, list[int]], labels: list[dict]) -> None:
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        self.series, self.run, self.factors = columns[:3]
        self.memory, self.tails, self.repeats = columns[3:]  # (run, span); memory times the root of the runs
        self.families = sorted({label["family"] for label in labels})
        self.family = np.array([self.families.index(label["family"]) for label in labels])
        self.healthy = np.array([healthy_runs(label) for label in labels])
        self.clean = np.bincount(self.family, weights=self.healthy)
        self.allowed = np.array([ALLOWED.get(name, 1.0) for name in self.families])
        self.usual = np.array([name not in RARE for name in self.families])
        sizes = np.array([label["size"] if label["scenario"] == "step" else 0.0 for label in labels])
        self.steps = [self.usual[self.family] & (sizes == size) for size in STEPS]
        self.early = np.any(self.steps, axis=0) & (self.healthy < FEW)
        self.alone = {preset: np.array(first) for preset, first in alone.items()}

    def first_alarms(self, preset: Preset, threshold: Threshold) -> np.ndarray:
        """Return the run of each series' first alarm, or a run after all."""
        needed = threshold.asked(SPANS, self.repeats[:, None])
        needed += threshold.for_memory * self.memory - threshold.for_tails * self.tails
        raised = (self.factors >= needed).any(axis=1)
        first = self.alone[preset].copy()
        np.minimum.at(first, self.series[raised], self.run[raised])
        return first

    def weigh(self, preset: Preset, threshold: Threshold) -> float:
        """Return the share of steps found less what breaking the limits costs."""
        first, limits = self.first_alarms(preset, threshold), LIMITS[preset]
        false = np.bincount(self.family, weights=first < self.healthy)
        overall = 1000 * false[self.usual].sum() / self.clean[self.usual].sum()
        beyond = np.maximum(0.0, 1000 * false / self.clean - limits.family * self.allowed)
        hit = (first >= self.healthy) & (first < self.healthy + WITHIN)
        power = 100 * float(np.mean([hit[steps].mean() for steps in self.steps]))
        largest = self.steps[-1] & hit
        delay = float((first - self.healthy)[largest].mean()) if largest.any() else 0.0
        early = 100 * float(hit[self.early].mean())
        cost = 30 * max(0.0, overall - limits.overall) + 3 * float(beyond.sum()) + max(0.0, limits.early - early)
        return power - cost - 10 * max(0.0, delay - limits.delay)


def healthy_runs(label: dict) -> int:
    """Return how many runs of a series come before anything got worse."""
    return next((change["index"] for change in label["changes"] if change["direction"] == "bad"), label["n"])


STARTS = {
    Preset.QUIET: Threshold(5.0, 0.0, for_memory=2.0, for_tails=1.0, for_repeats=1.0),
    Preset.SENSITIVE: Threshold(4.5, 0.0, for_memory=1.0, for_tails=1.0, for_repeats=1.0),
}


def simulate(folders: list[Path]) -> Simulated:
    for preset in Preset:
        calibration.THRESHOLDS[preset] = NEVER
    rows, labels = [], []
    alone: dict[Preset, list[int]] = {preset: [] for preset in Preset}
    for folder in folders:
        truth = {label["id"]: label for label in read(folder / "online.labels.jsonl")}
        for record in read(folder / "online.jsonl"):
            sign = 1 if record["higher_is_better"] else -1
            values = [sign * value for value in record["values"]]
            rows += [(len(labels), *row) for row in evidence(values)]
            for preset, first in alone.items():
                first.append(first_alone(values, preset))
            labels.append(truth[record["id"]])
        print(f"{folder}: watched", file=sys.stderr)
    return Simulated(rows, alone, labels)


def read(path: Path) -> Iterator[dict]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def evidence(values: list[float]) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray, float]]:
    """Yield run, factors, memory, tails and share of repeats, with no fall ever told."""
    now = track.Track()
    for run, value in enumerate(values):
        if len(now.values) >= track.MIN_RUNS - 1:
            window = open_window(np.array([*now.values[-track.WINDOW + 1 :], value]))
            levels = compare_levels(window)
            if levels is not None and levels.t.min() < -WORTH_KEEPING:
                factors, memory, tails = np.full(len(SPANS), -np.inf), np.zeros(len(SPANS)), np.zeros(len(SPANS))
                at = np.searchsorted(SPANS, levels.spans)
                factors[at] = log_evidence(levels)
                if factors.max() > WORTH_KEEPING:
                    noise = study_noise(window, len(window.values) - levels.spans)
                    memory[at], tails[at] = levels.runs**0.5 * noise.memory, noise.tails
                    yield run, factors, memory, tails, min(1.0, window.repeats / ENOUGH_REPEATS)
        now, _ = track.watch(now, value, Preset.QUIET)


def first_alone(values: list[float], preset: Preset) -> int:
    """Return the first run that opens a ticket though no level ever falls, or a run after all."""
    policies = Policies((MetricPolicy("m", min_effect=MinEffect(0.0)),), preset=preset)
    judged = judge_series(as_runs({"m": value} for value in values), policies)
    return next((run for run, one in enumerate(judged) if one.told), LONGEST)


def search(simulated: Simulated, preset: Preset, rounds: int) -> tuple[Threshold, float]:
    random = np.random.default_rng(1)
    best = STARTS[preset]
    point, value, width = np.array(astuple(best)), simulated.weigh(preset, best), 0.4
    for number in range(rounds):
        tried = point + width * random.standard_normal(len(point)) * (random.random(len(point)) < 0.4)
        tried[2:] = np.abs(tried[2:])
        candidate = Threshold(*tried.round(2).tolist())
        reached = simulated.weigh(preset, candidate)
        if reached > value:
            point, best, value = tried, candidate, reached
        if number % (rounds // PARTS) == rounds // PARTS - 1:
            width *= NARROWER
    return best, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=450)
    chosen = parser.parse_args()
    simulated = simulate(chosen.sets)
    for preset in LIMITS:
        best, value = search(simulated, preset, chosen.rounds)
        print(f"{preset}: {best}  # {value:.1f}", flush=True)


if __name__ == "__main__":
    main()
