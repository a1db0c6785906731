"""Which change did it: planted faults in simulated jobs, found by Herald, by swapping one thing at a time, by halving.

    python -m bench.diagnose [--json] [--jobs 1000] [--seed 1]

A job has 4 or 8 components that changed between its twenty accepted runs and its two bad ones: code, data, test set,
parameters, environment, seed. In turn each of them, two of them only together, something outside of all (a machine
that drifts) or nothing at all makes it fall by 2, 3, 4 or 6 spreads, and every design may rerun it twelve times with
any of the components as they were or as they are. Of each drop there are as many jobs with 4 components as with 8.
The rows of `herald, commits` are of jobs in which the code did it, by one of eight commits in a row, which are looked
into with up to eight reruns more; these reruns are counted. "undecided" leaves several commits, the guilty one among
them, and "wrong" is without it.

"right" names the cause, "wrong" another. The rows of `herald, noise x 1.5` are of jobs that are half as noisy again as
their accepted runs have shown. Those of `herald, cut` are of reruns that see a quarter of the data: they are twice as
noisy as whole runs, in whose spreads the drop is given, lie elsewhere, and fall by a quarter more or less. Those of
`herald, two at once` make two reruns at the same time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from rich.progress import track

from bot.domain.diagnosis.answer import Narrowed, answer
from bot.domain.diagnosis.choice import choose
from bot.domain.diagnosis.hypotheses import (
    Alone,
    Hypotheses,
    Hypothesis,
    InPart,
    Luck,
    Outside,
    Setting,
    Together,
    suppose,
)
from bot.domain.diagnosis.narrowing import look_within
from bot.domain.diagnosis.pieces import DonePieces
from bot.domain.diagnosis.posterior import RerunResult, believe, levels_of

COMPONENTS = (4, 8)
DROPS = (2.0, 3.0, 4.0, 6.0)
BUDGET = 12
ACCEPTED = 20
BAD = 2
AT_ONCE = 50
COMMITS = 8
COMMIT_BUDGET = 8
AMONG_COMMITS = "herald, commits"
CUT = 0.25  # of the data, that reruns on a cut of them see
CUT_LIES = 5.0  # spreads elsewhere, give or take, that their levels lie
CUT_FALLS = 0.25  # of the fall, give or take, that theirs differs from it


@dataclass(frozen=True, slots=True)
class SimulatedJob:
    components: int
    cause: Hypothesis
    drop: float  # in true spreads
    accepted: tuple[float, ...]
    bad: tuple[float, ...]
    random: np.random.Generator = field(compare=False)
    sees: float = 1.0  # the share of the data that reruns see
    level: float = 0.0  # theirs with everything as it was
    resized: float = 1.0  # how many times as large their fall is

    def rerun(self, setting: Setting) -> float:
        truth = Hypotheses(self.components, (self.cause,), np.ones(1))
        share = truth.shares_of_fall(np.array([setting], dtype=bool))[0, 0]
        noise = self.random.normal() / np.sqrt(self.sees)
        return float(self.level + noise - self.drop * self.resized * share)

    def on_cut(self) -> SimulatedJob:
        """Return the same job whose reruns see a part of the data."""
        level, resized = self.random.normal() * CUT_LIES, 1 + self.random.normal() * CUT_FALLS
        return replace(self, sees=CUT, level=float(level), resized=float(resized))


@dataclass(frozen=True, slots=True)
class Said:
    cause: Hypothesis | None
    reruns: int


def plant(numbers: range, components: int, drop: float, seed: int, shown: float) -> Iterator[SimulatedJob]:
    """Yield jobs with a fault each, whose runs so far show this share of their noise."""
    for number in numbers:
        random = np.random.default_rng((seed, components, round(drop * 10), number))
        kind = number % (components + 3)
        causes: tuple[Hypothesis, ...] = (Together(0, 0), Outside(), Luck())
        cause = Alone(kind) if kind < components else causes[kind - components]
        if isinstance(cause, Together):
            first, second = sorted(random.choice(components, 2, replace=False).tolist())
            cause = Together(first, second)
        accepted = tuple((random.normal(size=ACCEPTED) * shown).tolist())
        bad = tuple((random.normal(size=BAD) * shown - drop).tolist())
        yield SimulatedJob(components, cause, drop, accepted, bad, random)


def herald(job: SimulatedJob, at_once: int = 1) -> Said:
    hypotheses = suppose([1.0] * job.components)
    levels = levels_of(job.accepted, job.bad, job.sees)
    reruns: list[RerunResult] = []
    while True:
        posterior = believe(hypotheses, levels, reruns)
        found = answer(hypotheses, posterior, levels)
        left = min(at_once, BUDGET - len(reruns))
        settings = choose(hypotheses, posterior, levels, {one.setting for one in reruns}, left)
        if found.is_sure or not settings:
            return Said(found.cause, len(reruns))
        reruns += [RerunResult(setting, job.rerun(setting)) for setting in settings]


def herald_on_cut(job: SimulatedJob) -> Said:
    return herald(job.on_cut())


def swapping(job: SimulatedJob) -> Said:
    """Set one component at a time as it was, and name the one whose rerun is best."""
    every = range(job.components)
    values = [job.rerun(tuple(place != component for place in every)) for component in every]
    return Said(Alone(int(np.argmax(values))), len(values))


def halving(job: SimulatedJob) -> Said:
    """Leave half of the suspects as in the bad runs, and keep the half that the rerun points to."""
    middle = (float(np.mean(job.accepted)) + float(np.mean(job.bad))) / 2
    suspects = list(range(job.components))
    reruns = 0
    while len(suspects) > 1:
        half, rest = suspects[: len(suspects) // 2], suspects[len(suspects) // 2 :]
        is_bad = job.rerun(tuple(place in half for place in range(job.components))) < middle
        suspects = half if is_bad else rest
        reruns += 1
    return Said(Alone(suspects[0]), reruns)


@dataclass(frozen=True, slots=True)
class SimulatedCommits:
    """A job that one of some commits made fall, after a search among components that told the code."""

    guilty: int
    drop: float
    accepted: tuple[float, ...]
    bad: tuple[float, ...]
    known: tuple[tuple[bool, float], ...]
    random: np.random.Generator = field(compare=False)


def plant_commits(numbers: range, drop: float, seed: int) -> Iterator[SimulatedCommits]:
    for number in numbers:
        random = np.random.default_rng((seed, COMMITS, round(drop * 10), number))
        accepted, bad = random.normal(size=ACCEPTED), random.normal(size=BAD) - drop
        known = tuple((has_all, float(random.normal() - drop * has_all)) for has_all in (False, True))
        yield SimulatedCommits(number % COMMITS, drop, tuple(accepted), tuple(bad), known, random)


def among_commits(job: SimulatedCommits) -> tuple[Narrowed, int]:
    levels = levels_of(job.accepted, job.bad)
    done: list[DonePieces] = []
    while True:
        outlook = look_within(COMMITS, levels, job.known, done, COMMIT_BUDGET)
        if not outlook.wanted:
            return outlook.narrowed, len(done)
        (wanted,) = outlook.wanted
        fall = job.drop if wanted > job.guilty else 0.0
        done.append(DonePieces(wanted, float(job.random.normal() - fall)))


DESIGNS: dict[str, tuple[Callable[[SimulatedJob], Said], float]] = {
    "herald": (herald, 1.0),
    "herald, noise x 1.5": (herald, 1 / 1.5),
    "herald, two at once": (partial(herald, at_once=2), 1.0),
    "herald, cut": (herald_on_cut, 1.0),
    "swap-one": (swapping, 1.0),
    "halving": (halving, 1.0),
}


def counted(task: tuple[str, float, int, int], jobs: int, seed: int) -> tuple[str, float, Counter[str]]:
    """Count how some jobs of one design and drop end."""
    design, drop, components, begin = task
    if design == AMONG_COMMITS:
        return design, drop, _counted_commits(drop, range(begin, min(begin + AT_ONCE, jobs)), seed)
    find, shown = DESIGNS[design]
    counts: Counter[str] = Counter()
    for job in plant(range(begin, min(begin + AT_ONCE, jobs)), components, drop, seed, shown):
        said = find(job)
        cause = InPart(0, 0, 0.0) if isinstance(said.cause, InPart) else said.cause
        counts["undecided" if cause is None else "right" if cause == job.cause else "wrong"] += 1
        counts["reruns"] += said.reruns
        counts["jobs"] += 1
    return design, drop, counts


def _counted_commits(drop: float, numbers: range, seed: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for job in plant_commits(numbers, drop, seed):
        narrowed, reruns = among_commits(job)
        is_in = narrowed.first <= job.guilty <= narrowed.last
        counts[("right" if narrowed.is_one else "undecided") if is_in else "wrong"] += 1
        counts["reruns"] += reruns
        counts["jobs"] += 1
    return counts


def measure(jobs: int, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    tasks = [
        (design, drop, components, begin)
        for design in DESIGNS
        for drop in DROPS
        for components in COMPONENTS
        for begin in range(0, jobs, AT_ONCE)
    ]
    tasks += [(AMONG_COMMITS, drop, 1, begin) for drop in DROPS for begin in range(0, jobs, AT_ONCE)]
    totals: dict[tuple[str, float], Counter[str]] = {}
    with ProcessPoolExecutor() as workers:
        done = workers.map(partial(counted, jobs=jobs, seed=seed), tasks)
        for design, drop, counts in track(done, "diagnosing", total=len(tasks), disable=not sys.stderr.isatty()):
            totals.setdefault((design, drop), Counter()).update(counts)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for (design, drop), counts in totals.items():
        shares = {end: counts[end] / counts["jobs"] for end in ("right", "wrong", "undecided", "reruns")}
        named = counts["right"] + counts["wrong"]
        found.setdefault(design, {})[f"{drop:g}"] = shares | {"right of the named": counts["right"] / max(named, 1)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--jobs", type=int, default=1000, help="of each drop, and of each number of components")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    found = measure(chosen.jobs, chosen.seed)
    if chosen.json:
        print(json.dumps(found, indent=1))
        return
    print("| design | drop, in spreads | right | wrong | undecided | reruns | right of those named |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for design, drops in found.items():
        for drop, of in drops.items():
            shares = " | ".join(f"{of[end]:.1%}" for end in ("right", "wrong", "undecided"))
            print(f"| {design} | {drop} | {shares} | {of['reruns']:.1f} | {of['right of the named']:.1%} |")


if __name__ == "__main__":
    main()
