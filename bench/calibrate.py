"""Find how much evidence each preset must ask for, by simulation of the whole judge.

    python -m bench.calibrate SET [SET ...] [--rounds 200] [--kept FILE]

Each SET is a folder that the benchmark's ``gen.py online SET --seed N --extra bench/extra_noise.py`` filled, with seeds
that are used for nothing else. Every series is judged without a fall of level ever being told, up to ten runs after it
got worse, and two things are kept: the log Bayes factor of every candidate start with what was seen of the noise, and
the first run that would open a ticket all the same: it confirms a bad one before it, or a decay. Then a random search
over the numbers of a threshold looks for the fewest false alarms: over all, in the worst kinds of noise, and in long
healthy histories. Its base is never searched: it is the one at which the mean share of steps found within ten runs is
what the preset is to find. Prints a table as in ``bot/domain/judge/calibration.py``, whose numbers are those that it
printed for the sets that docs/judge.md names; the same sets give the same ones. With ``--kept``, what was simulated is
written to a file, and read from it where it is there already.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.extra_noise import ALLOWED, FAMILIES
from bot.domain.judge import calibration, track
from bot.domain.judge.calibration import SHORT, SPANS, Threshold
from bot.domain.judge.evidence import (
    ENOUGH_REPEATS,
    compare_levels,
    log_evidence,
    open_window,
    study_noise,
)
from bot.domain.policy import MetricPolicy, MinEffect, Policies, Preset
from bot.domain.whole_series import as_runs, judge_series

LONGEST = 60
WORTH_KEEPING = 3.0  # log Bayes factors below are never asked for
STEPS = (1.0, 1.5, 2.0, 3.0)
WITHIN = 10  # runs after a step
FEW = 10  # runs before a step
MANY = 40  # runs of a long history
NEVER = Threshold(1e9, 0.0, for_memory=0.0, for_tails=0.0, for_repeats=0.0)
SEARCHED = ("slope", "for_memory", "for_tails", "for_repeats", "for_length")
WIDTHS = np.array([0.2, 0.6, 0.3, 0.4, 0.3])  # of the search in each of them
MOST_FOR_MEMORY = 2.7  # more of it, and what follows an improving start, which resembles itself, is told no longer
NARROWER = 0.75  # after each of its parts
PARTS = 4
HALVINGS = 10
HIGHEST = 10.0  # base that is thought of


@dataclass(frozen=True, slots=True)
class Goal:
    """What a preset is to find; beyond that, :func:`cost` has false alarms as few as can be."""

    power: float  # mean share of steps found within ten runs, in per cent, of the benchmark's own kinds of noise
    early: float  # the same of steps after fewer than ten runs
    delay: float  # mean, at three spreads


GOALS = {Preset.QUIET: Goal(61.0, 47.0, 3.9), Preset.SENSITIVE: Goal(71.5, 62.0, 3.3)}


class Simulated:
    """The evidence of every run worth looking at, what bad runs say by themselves, and the truth of every series."""

    def __init__(self, columns: dict[str, np.ndarray]) -> None:
        self.columns = columns
        self.labels = [json.loads(label) for label in columns["labels"].tolist()]
        self.healthy = np.array([healthy_runs(label) for label in self.labels])
        names = [label["family"] for label in self.labels]
        self.families = sorted(set(names))
        self.family = np.array([self.families.index(name) for name in names])
        self.clean = np.bincount(self.family, weights=self.healthy)
        self.allowed = np.array([ALLOWED.get(name, 1.0) for name in self.families])
        own = np.array([name not in FAMILIES for name in names])  # the benchmark's
        sizes = np.array([label["size"] if label["scenario"] == "step" else 0.0 for label in self.labels])
        self.steps = [own & (sizes == size) for size in STEPS]
        self.own, self.early = own, np.any(self.steps, axis=0) & (self.healthy < FEW)
        runs = np.array([label["n"] for label in self.labels])
        self.long = own & (runs >= MANY) & (self.healthy == runs)

    def first_alarms(self, preset: Preset, threshold: Threshold) -> np.ndarray:
        """Return the run of each series' first alarm, or a run after all."""
        there = self.columns
        needed = threshold.slope * np.log2(SPANS / 2) + threshold.for_memory * there["memory"]
        needed -= threshold.for_tails * there["tails"]
        by_run = threshold.for_length * there["length"] - threshold.for_repeats * there["repeats"] + threshold.base
        raised = (there["factors"] >= needed + by_run[:, None]).any(axis=1)
        first = there[preset].copy()
        np.minimum.at(first, there["series"][raised], there["run"][raised])
        return first

    def weigh(self, preset: Preset, threshold: Threshold) -> Weighed:
        first = self.first_alarms(preset, threshold)
        wrong = first < self.healthy
        hit = ~wrong & (first < self.healthy + WITHIN)
        found = [100 * float(hit[steps & ~wrong].mean()) for steps in self.steps]
        largest = self.steps[-1] & hit
        return Weighed(
            power=float(np.mean(found)),
            early=100 * float(hit[self.early & ~wrong].mean()),
            delay=float((first - self.healthy)[largest].mean()) if largest.any() else 0.0,
            overall=1000 * float(wrong[self.own].sum() / self.healthy[self.own].sum()),
            families=1000 * np.bincount(self.family, weights=wrong) / self.clean,
            long=100 * float(wrong[self.long].mean()),
        )

    def at_power(self, preset: Preset, threshold: Threshold) -> tuple[Threshold, Weighed]:
        """Return the threshold with the base that finds as many steps as it should."""
        low, high = 0.0, HIGHEST
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            found = self.weigh(preset, replace(threshold, base=middle)).power
            low, high = (middle, high) if found > GOALS[preset].power else (low, middle)
        threshold = replace(threshold, base=round(high, 2))
        return threshold, self.weigh(preset, threshold)

    def cost(self, preset: Preset, weighed: Weighed) -> float:
        """Return what the false alarms come to, less is better; what is found early or late has its price."""
        goal, worst = GOALS[preset], np.sort(weighed.families / self.allowed)[-3:]
        short = max(0.0, goal.early - weighed.early) + max(0.0, weighed.delay - goal.delay)
        return weighed.overall + float(worst.mean()) + 0.1 * weighed.long + 0.5 * short


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a threshold finds, in per cent, and its false alarms by 1,000 clean runs."""

    power: float
    early: float
    delay: float
    overall: float  # of the benchmark's own kinds of noise
    families: np.ndarray  # of every kind
    long: float  # share of its healthy histories of 40 runs and more with any


def healthy_runs(label: dict) -> int:
    """Return how many runs of a series come before anything got worse."""
    return next((change["index"] for change in label["changes"] if change["direction"] == "bad"), label["n"])


START = Threshold(0.0, 0.0, for_memory=2.5, for_tails=0.7, for_repeats=0.7, for_length=0.3)


def simulate(folders: list[Path]) -> Simulated:
    for preset in Preset:
        calibration.THRESHOLDS[preset] = NEVER
    rows, labels = [], []
    alone: dict[Preset, list[int]] = {preset: [] for preset in Preset}
    for folder in folders:
        truth = {label["id"]: label for label in read(folder / "online.labels.jsonl")}
        for record in read(folder / "online.jsonl"):
            label, sign = truth[record["id"]], 1 if record["higher_is_better"] else -1
            values = [sign * value for value in record["values"][: healthy_runs(label) + WITHIN]]
            rows += [(len(labels), *row) for row in evidence(values)]
            for preset, first in alone.items():
                first.append(first_alone(values, preset))
            labels.append(label)
        print(f"{folder}: watched", file=sys.stderr)
    names = ("series", "run", "factors", "memory", "tails", "length", "repeats")
    columns = {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    firsts = {str(preset): np.array(first) for preset, first in alone.items()}
    return Simulated({**columns, **firsts, "labels": np.array([json.dumps(label) for label in labels])})


def read(path: Path) -> Iterator[dict]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def evidence(values: list[float]) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray, float, float]]:
    """Yield run, factors, memory, tails, length and share of repeats, with no fall ever told."""
    now = track.Track()
    for run, value in enumerate(values):
        if len(now.values) >= track.MIN_RUNS - 1:
            window = open_window(np.array([*now.values[-track.WINDOW + 1 :], value]))
            levels = compare_levels(window)
            if levels is not None and levels.t.min() < -WORTH_KEEPING / 2:
                factors, memory, tails = (np.full(len(SPANS), fill) for fill in (-np.inf, 0.0, 0.0))
                at = np.searchsorted(SPANS, levels.spans)
                known = log_evidence(levels)
                for each in np.flatnonzero(known > WORTH_KEEPING).tolist():
                    shift = track.measure_shift(levels, each)
                    if shift.change < 0 and not track.has_come_back(levels, shift):
                        factors[at[each]] = known[each]
                if factors.max() > WORTH_KEEPING:
                    noise = study_noise(window, len(window.values) - levels.spans)
                    memory[at], tails[at] = levels.runs**0.5 * noise.memory, noise.tails
                    length, repeats = (
                        np.log2(max(levels.runs, SHORT) / SHORT),
                        min(1.0, window.repeats / ENOUGH_REPEATS),
                    )
                    yield run, factors, memory, tails, length, repeats
        now, _ = track.watch(now, value, Preset.QUIET)


def first_alone(values: list[float], preset: Preset) -> int:
    """Return the first run that opens a ticket though no level ever falls, or a run after all."""
    policies = Policies((MetricPolicy("m", min_effect=MinEffect(0.0)),), preset=preset)
    judged = judge_series(as_runs({"m": value} for value in values), policies)
    return next((run for run, one in enumerate(judged) if one.told), LONGEST)


def search(simulated: Simulated, preset: Preset, rounds: int) -> tuple[Threshold, Weighed]:
    random = np.random.default_rng(1)
    best, weighed = simulated.at_power(preset, START)
    least, width = simulated.cost(preset, weighed), 1.0
    for number in range(rounds):
        moved = width * WIDTHS * random.standard_normal(len(SEARCHED)) * (random.random(len(SEARCHED)) < 0.4)
        tried = {name: round(getattr(best, name) + by, 2) for name, by in zip(SEARCHED, moved.tolist(), strict=True)}
        tried = {name: value if name == "slope" else abs(value) for name, value in tried.items()}
        tried["for_memory"] = min(tried["for_memory"], MOST_FOR_MEMORY)
        candidate, reached = simulated.at_power(preset, replace(best, **tried))
        if simulated.cost(preset, reached) < least:
            best, weighed, least = candidate, reached, simulated.cost(preset, reached)
        if number % (rounds // PARTS) == rounds // PARTS - 1:
            width *= NARROWER
    return best, weighed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--kept", type=Path)
    chosen = parser.parse_args()
    if chosen.kept and chosen.kept.exists():
        simulated = Simulated(dict(np.load(chosen.kept)))
    else:
        simulated = simulate(chosen.sets)
        if chosen.kept:
            np.savez_compressed(chosen.kept, **simulated.columns)
    for preset in GOALS:
        best, weighed = search(simulated, preset, chosen.rounds)
        print(f"{preset}: {best}")
        kinds = sorted(
            zip(simulated.families, weighed.families.round(1).tolist(), strict=True), key=lambda kind: -kind[1]
        )
        print(f"    POWER {weighed.power:.1f}, early {weighed.early:.1f}, delay {weighed.delay:.2f}")
        print(
            f"    false alarms {weighed.overall:.2f}, long histories {weighed.long:.1f} %, by kind {kinds}", flush=True
        )


if __name__ == "__main__":
    main()
