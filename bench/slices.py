"""Measures what is told of slices: histories in which one slice of twenty loses half, and clean ones.

    python bench/slices.py [--histories 20] [--runs 40] [--loss 0.5]

Each run has a table of per-example results: users differ, every run has noise of its own by seed, by slice and by user.
A run counts as judged by the whole bot's own rules: the accepted ones are its baseline, a slice's own bad runs are not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from bot.domain.incidents import Incident, SeriesKey, Turn, advance
from bot.domain.judge import SeriesState, assess
from bot.domain.policy import IncidentPolicy, MetricPolicy, Policies
from bot.domain.runs import Baseline, ExampleTable, Run, RunResult, RunStatus

START = datetime(2026, 1, 1, tzinfo=UTC)
SERIES = SeriesKey("bench")
SLICES = 20
BASELINE_RUNS = 20
BEFORE_ONSET = 10
POLICIES = Policies((MetricPolicy("hit", lower=0.0, upper=1.0),), slice_by=("segment",))
KINDS = ("shares", "hits", "skewed", "wandering")


@dataclass(frozen=True, slots=True)
class Told:
    incidents: int
    told_after: int | None  # runs from the fall to the first incident of the slice that fell
    is_right: bool  # it names that slice, and no other
    whole: int  # incidents of the whole metric


def make_runs(kind: str, seed: int, runs: int, loss: float, onset: int, users: int = 2000) -> Iterator[RunResult]:
    """Yield the runs of one history; from *onset* on the first slice loses a share of its results."""
    random = np.random.default_rng(seed)
    segments = random.permutation(np.repeat(np.arange(SLICES), users // SLICES))
    level = random.beta(0.6, 2.4, users) if kind != "shares" else random.beta(4, 8, users)
    names = np.array([f"s{number:02d}" for number in segments])
    ids = np.array([f"u{number:05d}" for number in range(users)])
    drift = np.zeros(SLICES)
    for number in range(runs):
        by_slice = random.normal(0, 0.02, SLICES)
        if kind == "wandering":
            drift = 0.8 * drift + random.normal(0, 0.02, SLICES)
            by_slice = drift
        usual = level * (1 + random.normal(0, 0.01)) * (1 + by_slice[segments])
        if number >= onset:
            usual = usual * np.where(segments == 0, 1 - loss, 1.0)
        if kind == "hits":
            values = (random.random(users) < np.clip(usual, 0, 1)).astype(float)
        elif kind == "skewed":
            values = np.clip(usual * random.lognormal(-0.08, 0.4, users), 0, 1)
        else:
            values = np.clip(usual + random.normal(0, 0.05, users), 0, 1)
        at = START + timedelta(days=number)
        run = Run(f"r{number:03d}", f"r{number}", RunStatus.FINISHED, at, at, {"hit": float(values.mean())})
        yield RunResult(run, examples=ExampleTable(ids, np.ones(users), {"hit": values}, {"segment": names}))


def follow(results: Iterator[RunResult], policies: Policies, onset: int) -> Told:
    """Judge one history run by run, and return what its incidents were."""
    state, accepted = SeriesState(), []
    known: dict[str, Incident] = {}
    ends: dict[str, datetime] = {}
    told_after, right, filed, whole = None, False, 0, 0
    for number, result in enumerate(results):
        said = assess(state, result, baseline_of(accepted, state), policies)
        state = said.state
        ends[result.run_id] = result.run.ended
        standing = [incident for incident in known.values() if not incident.state.is_over]
        for step in advance(standing, said, SERIES, IncidentPolicy(), result.run.ended, ends):
            known[step.incident.incident_id] = step.incident
            if step.turn is not Turn.FILED:
                continue
            filed += 1
            whole += bool(step.incident.whole)
            if told_after is None and number >= onset and "hit [segment=s00]" in step.incident.metrics:
                told_after, right = number - onset + 1, step.incident.metrics == ("hit [segment=s00]",)
        if said.accepted:
            accepted.append(result)
    return Told(filed, told_after, right, whole)


def baseline_of(accepted: list[RunResult], state: SeriesState) -> Baseline:
    """Return what the bot would hold the next run against: the newest runs, and some of before a slice fell."""
    onsets = [streak.onset for streak in state.streaks.values()]
    first = next((i for i, result in enumerate(accepted) if result.run_id in onsets), len(accepted))
    start = min(max(first - BEFORE_ONSET, 0), max(len(accepted) - BASELINE_RUNS, 0))
    return Baseline(tuple(accepted[start:]), most=BASELINE_RUNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=20)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--loss", type=float, default=0.5)
    parser.add_argument("--onset", type=int, default=20)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print("| noise | lost | told | of that slice alone | runs until told | also of the whole | clean: false |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind in given.kinds:
        seeds = range(given.seed, given.seed + given.histories)
        fell = (
            [follow(make_runs(kind, s, given.runs, given.loss, given.onset), POLICIES, given.onset) for s in seeds]
            if given.loss
            else []
        )
        clean = [follow(make_runs(kind, s + 10_000, given.runs, 0.0, given.runs), POLICIES, given.runs) for s in seeds]
        told = [each.told_after for each in fell if each.told_after is not None]
        alone = sum(each.is_right for each in fell)
        false = sum(each.incidents > each.whole for each in clean)
        delay = sum(told) / len(told) if told else float("nan")
        both = sum(each.whole > 0 for each in fell)
        found = f"{len(told)}/{len(fell)} | {alone} | {delay:.1f} | {both} | {false}/{len(clean)}"
        print(f"| {kind} | {given.loss:.0%} | {found} |", flush=True)


if __name__ == "__main__":
    main()
