"""Whether an incident ends when its metric is back, and not before: whole lives of simulated series.

    python bench/recovery.py [--series 200] [--only standing returning healthy]

After 20 healthy runs a metric falls by 1 to 5 spreads. ``standing``: it stays down for 40 runs; how many of the
incidents that were filed were closed meanwhile. ``returning``: it stays down for 12 runs and then is back; how many
runs it takes until the incident is closed, of which the policy asks two at least. ``healthy``: nothing falls; how long
what is filed by chance stays open. By the bot's own walk over a series, quiet, with no smallest effect.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from bot.domain.incidents import IncidentState, Kind
from bot.domain.policy import MetricPolicy, MinEffect, Policies, Preset
from bot.domain.whole_series import as_runs, judge_series

POLICIES = Policies((MetricPolicy("score", min_effect=MinEffect(0.0)),), preset=Preset.QUIET)
BEFORE, DOWN, BACK = 20, 12, 24
STANDS = 40
SPREAD = 0.01
KINDS = ("gaussian", "t of 4", "AR .5")


@dataclass(frozen=True, slots=True)
class Life:
    """One incident, by the numbers of its runs."""

    filed: int
    closed: int | None  # None: it stood to the end


def noise(random: np.random.Generator, kind: str, n: int) -> np.ndarray:
    if kind == "t of 4":
        return random.standard_t(4, n) / 2**0.5
    values = random.standard_normal(n + 10)
    if kind == "AR .5":
        for i in range(1, len(values)):
            values[i] = 0.5 * values[i - 1] + 0.75**0.5 * values[i]
    return values[10:]


def lives(values: np.ndarray) -> list[Life]:
    """Return the incidents that come of a series."""
    found: list[Life] = []
    opened: dict[str, int] = {}
    runs = as_runs({"score": 0.5 + SPREAD * float(value)} for value in values)
    for number, said in enumerate(judge_series(runs, POLICIES)):
        now = {
            incident.incident_id
            for incident in said.standing
            if incident.kind is Kind.REGRESSED and incident.state is IncidentState.OPEN
        }
        found += [Life(opened.pop(name), number) for name in opened.keys() - now]
        for name in now:
            opened.setdefault(name, number)
    return found + [Life(number, None) for number in opened.values()]


def standing(series: int) -> None:
    """Watch falls that stay."""
    for kind in KINDS:
        for size in (1.0, 1.5, 2.0, 3.0, 5.0):
            random, filed, soon, closed, down = np.random.default_rng(5), 0, 0, 0, 0
            for _ in range(series):
                values = noise(random, kind, BEFORE + STANDS)
                values[BEFORE:] -= size
                real = [life for life in lives(values) if life.filed >= BEFORE]
                filed += len(real)
                down += bool(real)
                closed += sum(life.closed is not None for life in real)
                soon += sum(life.closed is not None and life.closed - life.filed <= 5 for life in real)
            print(
                f"{kind}, {size} spreads: {filed} incidents in {down} of {series}; closed while down: {closed} "
                f"({closed / max(filed, 1):.0%}), within five runs {soon}",
                flush=True,
            )


def returning(series: int) -> None:
    """Watch falls that are over after a while."""
    back = BEFORE + DOWN
    for kind in KINDS:
        for size in (1.0, 1.5, 2.0, 3.0, 5.0, 10.0):
            random = np.random.default_rng(6)
            delays: list[int] = []
            early, never = 0, 0
            for _ in range(series):
                values = noise(random, kind, back + BACK)
                values[BEFORE:back] -= size
                for life in lives(values):
                    if life.filed < BEFORE or life.filed >= back:
                        continue
                    if life.closed is None:
                        never += 1
                    elif life.closed < back:
                        early += 1
                    else:
                        delays.append(life.closed - back + 1)
            shown = [f"{np.percentile(delays, share):.0f}" for share in (50, 90)] if delays else ["-", "-"]
            print(
                f"{kind}, {size} spreads: closed after {shown[0]} runs (median), {shown[1]} (nine of ten); "
                f"{never} of {never + len(delays)} not within {BACK}; {early} before they were back",
                flush=True,
            )


def healthy(series: int) -> None:
    """Watch what is filed where nothing falls."""
    for kind in KINDS:
        random, spans, never = np.random.default_rng(7), list[int](), 0
        for _ in range(series):
            for life in lives(noise(random, kind, 60)):
                spans += [life.closed - life.filed] if life.closed is not None else []
                never += life.closed is None
        print(
            f"{kind}: {len(spans) + never} incidents in {series} healthy series of 60; closed after "
            f"{np.median(spans) if spans else 0:.0f} runs (median), {never} open at the end",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--only", nargs="*", default=["standing", "returning", "healthy"])
    chosen = parser.parse_args()
    for name, measure in (("standing", standing), ("returning", returning), ("healthy", healthy)):
        if name in chosen.only:
            print(f"-- {name}")
            measure(chosen.series)


if __name__ == "__main__":
    main()
