"""Measures how often the smallest set that explains a fall is named rightly, where slices nest and cross.

    python -m bench.nested_slices [--trials 200] [--only clean] [--json]

Departments hold categories, and brands are sold in countries; sizes are uneven. A run loses a share of its results in
one category, in a department, in one brand in one country, in two categories of two departments, or everywhere, and
is held against eight healthy runs by the bot's own rules (`assess`). A fault has one example in a
hundred at least. Every run differs from others by seed, by category, by brand and by example. Of the runs of which the
whole metric is told, it is counted what set is named as the smallest.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from bot.domain.judge import Outcome, SeriesState, assess
from bot.domain.policy import MetricPolicy, MinEffect, Policies
from bot.domain.runs import Baseline, Bools, ExampleTable, Floats, Run, RunResult, RunStatus, Slice, Strings, Where

START = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLES, DEPARTMENTS, CATEGORIES, BRANDS, COUNTRIES = 6000, 8, 5, 10, 5
HEALTHY_RUNS = 8
SMALLEST = 60  # examples that a fault is in
POLICIES = Policies(
    (MetricPolicy("hit", min_effect=MinEffect(0.005), lower=0.0, upper=1.0),),
    slice_by=("department", "brand", "country"),
    slice_pairs=(("department", "category"), ("brand", "country")),
)
PLANTED = ("leaf", "parent", "crossing", "two leaves", "everywhere")
LOSSES = {"everywhere": (0.1, 0.2)}
USUAL_LOSSES = (0.25, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Shop:
    """Which examples there are, and what they usually come to."""

    columns: dict[str, Strings]
    level: Floats

    def inside(self, part: Slice) -> Bools:
        inside = np.ones(len(self.level), dtype=bool)
        for column, value in part.conditions:
            inside &= self.columns[column] == value
        return inside


def make_shop(random: np.random.Generator) -> Shop:
    def uneven(count: int) -> Floats:
        return np.asarray(1 / (np.arange(count) + 2.0) / (1 / (np.arange(count) + 2.0)).sum())

    department = random.choice(DEPARTMENTS, EXAMPLES, p=uneven(DEPARTMENTS))
    category = department * CATEGORIES + random.choice(CATEGORIES, EXAMPLES, p=uneven(CATEGORIES))
    numbers = {
        "department": department,
        "category": category,
        "brand": random.choice(BRANDS, EXAMPLES, p=uneven(BRANDS)),
        "country": random.choice(COUNTRIES, EXAMPLES, p=uneven(COUNTRIES)),
    }
    names = {column: np.array([f"{column[0]}{number:02d}" for number in each]) for column, each in numbers.items()}
    return Shop(names, random.beta(4, 8, EXAMPLES))


def choose_parts(shop: Shop, kind: str, random: np.random.Generator) -> tuple[Slice, ...]:
    """Choose where the fault is: any set that is large enough to be looked at."""

    def one_of(*columns: str) -> Slice:
        while True:
            example = random.integers(EXAMPLES)
            part: Slice | None = None
            for column in columns:
                part = Slice(column, str(shop.columns[column][example]), part)
            assert part is not None
            if shop.inside(part).sum() >= SMALLEST:
                return part

    match kind:
        case "leaf":
            return (one_of("department", "category"),)
        case "parent":
            return (one_of("department"),)
        case "crossing":
            return (one_of("brand", "country"),)
        case "two leaves":
            first = one_of("department", "category")
            while (second := one_of("department", "category")).within == first.within:
                pass
            return first, second
        case _:
            return ()


def make_run(shop: Shop, number: int, random: np.random.Generator, fallen: Bools, loss: float) -> RunResult:
    by_seed = 1 + random.normal(0, 0.01)
    for column in ("category", "brand"):
        values, codes = np.unique(shop.columns[column], return_inverse=True)
        by_seed = by_seed * (1 + random.normal(0, 0.015, len(values)))[codes]
    usual = shop.level * by_seed * np.where(fallen, 1 - loss, 1.0)
    values = np.clip(usual + random.normal(0, 0.05, EXAMPLES), 0, 1)
    at = START + timedelta(days=number)
    run = Run(f"r{number}", f"r{number}", RunStatus.FINISHED, at, at, {"hit": float(values.mean())})
    ids = np.array([f"u{i:05d}" for i in range(EXAMPLES)])
    return RunResult(run, examples=ExampleTable(ids, np.ones(EXAMPLES), {"hit": values}, shop.columns))


def grade(where: Where, planted: Sequence[Slice], shop: Shop) -> str:
    """Say how the set that was named compares with the one that was planted."""
    if set(where.parts) == set(planted):
        return "right"
    if not where.parts:
        return "none"
    if not planted:
        return "wrong"
    named = np.logical_or.reduce([shop.inside(part) for part in where.parts])
    true = np.logical_or.reduce([shop.inside(part) for part in planted])
    if set(where.parts) < set(planted):
        return "some"
    both, either = (named & true).sum(), (named | true).sum()
    if both / either > 0.8:
        return "alike"
    return "wrong" if not both / named.sum() > 0.5 else "wider"


def measure(kind: str, loss: float, trials: int, seed: int) -> dict[str, float]:
    found: Counter[str] = Counter()
    any_named = told = 0
    for trial in range(trials):
        random = np.random.default_rng([seed, trial, round(loss * 100), PLANTED.index(kind) if kind in PLANTED else 9])
        shop = make_shop(random)
        parts = choose_parts(shop, kind, random) if loss else ()
        fallen = np.full(EXAMPLES, kind == "everywhere")
        for part in parts:
            fallen |= shop.inside(part)
        nothing = np.zeros(EXAMPLES, dtype=bool)
        healthy = [make_run(shop, number, random, nothing, 0.0) for number in range(HEALTHY_RUNS)]
        said = assess(
            SeriesState(), make_run(shop, HEALTHY_RUNS, random, fallen, loss), Baseline(tuple(healthy)), POLICIES
        )
        where = said.findings[0].where
        assert where is not None
        if said.outcome in {Outcome.SUSPICIOUS, Outcome.REGRESSED}:
            told += 1
            found[grade(where, parts, shop)] += 1
        any_named += any(f.part is not None and f.outcome is Outcome.SUSPICIOUS for f in said.findings)
    shares = {
        name: round(found[name] / max(told, 1), 3) for name in ("right", "alike", "some", "wider", "wrong", "none")
    }
    return {"told": round(told / trials, 3), **shares, "any slice named": round(any_named / trials, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=["clean", *PLANTED], choices=["clean", *PLANTED])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [("clean", 0.0)] + [(kind, loss) for kind in PLANTED for loss in LOSSES.get(kind, USUAL_LOSSES)]
    measured = []
    for kind, loss in (row for row in rows if row[0] in given.only):
        measured.append({"planted": kind, "loss": loss} | measure(kind, loss, given.trials, given.seed))
        if not given.json:
            print("  ".join(f"{name} {value}" for name, value in measured[-1].items()), flush=True)
    if given.json:
        print(json.dumps({"trials": given.trials, "seed": given.seed, "rows": measured}, indent=1))


if __name__ == "__main__":
    main()
