"""Holds what `herald replay` claims to the truth, on synthetic histories whose noise is known.

    python -m bench.replay_truth [--histories 40] [--runs 400] [--only white "AR .5"] [--json]

Of each kind of noise many histories are made, four runs a day, one metric, the sensitive preset and hardly any smallest
effect, so that there are false tickets to be counted. What is true of a kind is counted over all of its histories:
tickets a month, for nothing is wrong in them, and which drops of so many true spreads are caught where the series was
calm and nothing was filed without them. What is claimed is what a replay of one history says. Printed are the truth,
the mean claim, and in how many histories the stated 95 % interval holds the truth, which itself is known only so well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from bot.domain.backtest.drops import SIZES, Drop, DropShape, Heard
from bot.domain.backtest.figures import Catch, Rate, Share, catches, false_tickets, filings
from bot.domain.backtest.healthy_histories import healthy, study_history
from bot.domain.backtest.planting import Place, hears, plant, plant_all
from bot.domain.backtest.walk import Passed, Settings, walk
from bot.domain.incidents import SeriesKey
from bot.domain.judge.spread import MAD_TO_SD
from bot.domain.policy import IncidentPolicy, MetricPolicy, MinEffect, Policies, Preset
from bot.domain.runs import Floats, Run, RunStatus

START = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = timedelta(hours=6)
SERIES = SeriesKey("bench")
LEVEL, SPREAD = 0.4, 0.004
METRIC = MetricPolicy("score", min_effect=MinEffect(0.001))
SETTINGS = Settings(Policies((METRIC,), preset=Preset.SENSITIVE), IncidentPolicy())
APART = 45  # runs between the places at which the truth is looked for
HEALTHY = 6  # histories made of the noise of one
WORK = 2200  # runs judged for what is caught: of six places
SHOWN = [(DropShape.STEP, size) for size in SIZES[DropShape.STEP]] + [(DropShape.DECAY, 3.0), (DropShape.SINGLE, 5.0)]

Random = np.random.Generator


def carrying(share: float) -> Callable[[Random, int], Floats]:
    def make(random: Random, runs: int) -> Floats:
        shocks = random.standard_normal(runs + 100) * np.sqrt(1 - share**2)
        for i in range(1, len(shocks)):
            shocks[i] += share * shocks[i - 1]
        return shocks[100:]

    return make


def refreshed(random: Random, runs: int) -> Floats:
    """Test data are drawn anew every twenty runs, and all runs on them are alike by that."""
    return np.repeat(random.normal(0, 0.5, runs // 20 + 1), 20)[:runs] + random.normal(0, np.sqrt(0.75), runs)


def uneven(random: Random, runs: int) -> Floats:
    """Calm and wild times of 25 runs."""
    return np.repeat(np.where(np.arange(runs // 25 + 1) % 2, 0.5, 1.32), 25)[:runs] * random.standard_normal(runs)


KINDS: dict[str, Callable[[Random, int], Floats]] = {
    "white": lambda random, runs: random.standard_normal(runs),
    "AR .3": carrying(0.3),
    "AR .5": carrying(0.5),
    "AR .7": carrying(0.7),
    "t of 3": lambda random, runs: random.standard_t(3, runs) / np.sqrt(3),
    "uneven": uneven,
    "refreshed": refreshed,
}


@dataclass(frozen=True, slots=True)
class Claimed:
    """One figure that a replay states, against the truth."""

    name: str
    truth: float
    error: float  # standard error of the truth
    claims: list[float] = field(repr=False)
    held: int  # claims whose interval holds the truth, as well as that is known
    width: float  # of the interval, in the middle

    @property
    def mean(self) -> float:
        return statistics.fmean(self.claims)

    def told(self) -> dict[str, object]:
        known = {key: value for key, value in asdict(self).items() if key != "claims"}
        return {**known, "claimed": self.mean, "histories": len(self.claims)}


def history(noise: Floats) -> list[tuple[SeriesKey, Run]]:
    ends = [START + number * EVERY for number in range(len(noise))]
    values = (LEVEL + SPREAD * noise).tolist()
    return [
        (SERIES, Run(f"r{i:05}", f"run {i}", RunStatus.FINISHED, end, end, {METRIC.name: value}))
        for i, (end, value) in enumerate(zip(ends, values, strict=True))
    ]


def spread_of(make: Callable[[Random, int], Floats]) -> float:
    """Return the true spread of a kind of noise: a median deviation, as a replay measures it."""
    noise = make(np.random.default_rng(0), 200_000)
    return float(MAD_TO_SD * np.median(np.abs(noise - np.median(noise))))


def true_catches(passed: Sequence[Passed], spread: float) -> dict[tuple[DropShape, float], list[bool]]:
    """Plant drops of so many true spreads where the series was calm, and nothing would have been filed without them."""
    found: dict[tuple[DropShape, float], list[bool]] = {key: [] for key in SHOWN}
    for at in range(30, len(passed) - 40, APART):
        following = passed[at : at + 40]
        if passed[at].before.is_calm and not any(hears(each, {METRIC.name}) is Heard.TICKET for each in following):
            place = Place(tuple(following), spread * SPREAD)
            for shape, size in SHOWN:
                heard = plant(place, Drop(METRIC.name, shape, size), METRIC, SETTINGS, START).heard
                found[shape, size].append(heard is Heard.TICKET)
    return found


def held(interval: tuple[float, float], truth: float, error: float) -> bool:
    return interval[0] - error <= truth <= interval[1] + error


def compare_rates(claims: Sequence[Rate], tickets: Sequence[int], lasted: timedelta) -> Claimed:
    truth = Rate(sum(tickets), lasted * len(tickets))
    error = statistics.stdev(tickets) / len(tickets) ** 0.5 / Rate(0, lasted).months
    intervals = [claim.interval for claim in claims]
    return Claimed(
        "false tickets a month",
        truth.a_month,
        error,
        [claim.a_month for claim in claims],
        sum(held(each, truth.a_month, error) for each in intervals),
        statistics.median(high - low for low, high in intervals),
    )


def compare_shares(name: str, claims: Sequence[Share], heard: Sequence[Sequence[bool]]) -> Claimed:
    truth = Share(sum(map(sum, heard)), sum(map(len, heard)))
    error = statistics.stdev(sum(each) - len(each) * truth.value for each in heard) * len(heard) ** 0.5 / truth.of
    intervals = [claim.interval for claim in claims]
    return Claimed(
        name,
        truth.value,
        error,
        [claim.value for claim in claims],
        sum(held(each, truth.value, error) for each in intervals),
        statistics.median(high - low for low, high in intervals),
    )


def study(kind: str, histories: int, runs: int) -> list[Claimed]:
    make, spread = KINDS[kind], spread_of(KINDS[kind])
    rates: list[Rate] = []
    shares: list[dict[tuple[DropShape, float], Catch]] = []
    tickets: list[int] = []
    heard: list[dict[tuple[DropShape, float], list[bool]]] = []
    for number in range(histories):
        random = np.random.default_rng([number, *kind.encode()])
        own = history(make(random, runs))
        passed = walk(own, SETTINGS, START)
        tickets.append(len(filings(passed)))
        heard.append(true_catches(passed, spread))
        found = catches(plant_all(passed, SETTINGS, START, random, work=WORK))
        shares.append({(each.shape, each.size): each for each in found if not each.metric})
        studied = study_history(own, [METRIC])
        walked = [walk(healthy(studied, random), SETTINGS, START) for _ in range(HEALTHY)]
        rates.append(false_tickets(walked, [], runs * EVERY)[""])
    compared = [compare_rates(rates, tickets, runs * EVERY)]
    for key in SHOWN:
        name = f"{key[0]} of {key[1]:g} caught"
        claims = [each[key].ticket for each in shares if key in each]
        compared.append(compare_shares(name, claims, [each[key] for each in heard if each[key]]))
    return compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=40)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--only", nargs="*", default=list(KINDS), choices=list(KINDS), metavar="KIND")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    done: dict[str, list[Claimed]] = {}
    for kind in given.only:
        done[kind] = study(kind, given.histories, given.runs)
        if not given.json:
            print(f"{kind}:")
            for each in done[kind]:
                of = len(each.claims)
                print(
                    f"  {each.name:<24} true {each.truth:.3f} (± {each.error:.3f}), claimed {each.mean:.3f}, "
                    f"held by {each.held} of {of} intervals, {each.width:.3f} wide"
                )
            sys.stdout.flush()
    if given.json:
        print(json.dumps({kind: [each.told() for each in found] for kind, found in done.items()}, indent=2))


if __name__ == "__main__":
    main()
