"""How often the whole judge opens a ticket where nothing is wrong: in first runs, with few values, with many metrics.

    python bench/false_tickets.py [--series 300] [--only first few many together sliced]

With default policies (quiet, 2 %), but where tickets are counted by the sensitive preset with no smallest effect. Many
independent metrics are measured by one of them that is judged as one of so many: their tickets are as many times its
own, less what falls together; `told` is the share of falls of one metric among them that is told within ten runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np

from bot.domain.judge import Outcome, SeriesState, assess
from bot.domain.judge.assessing import Company, judge_over_time, judge_run, recall
from bot.domain.judge.streaks import follow_streaks
from bot.domain.judge.track_numbers import to_numbers
from bot.domain.policy import Direction, MetricPolicy, MinEffect, Policies, Preset
from bot.domain.runs import Baseline, ExampleTable, Run, RunResult, RunStatus
from bot.domain.whole_series import as_runs, judge_results, judge_series

START = datetime(2026, 3, 1, tzinfo=UTC)
RECENT = 20
FIRST, LONG = 15, 40
PER_SLICE = 100  # examples
FALL_AT, WITHIN = 20, 10

Random = np.random.Generator


def make_run(number: int, value: float) -> RunResult:
    ended = START + timedelta(days=number)
    return RunResult(Run(f"run{number}", f"run{number}", RunStatus.FINISHED, START, ended, {"score": value}))


def tickets(values: Sequence[float], policies: Policies, metrics: float = 0.0) -> list[int]:
    """Return the runs at which a metric is first called worse; with *metrics*, as one of so many."""
    state, accepted, told, was_bad = SeriesState(), [], [], False
    for number, value in enumerate(values):
        run, baseline = make_run(number, float(value)), Baseline(tuple(accepted[-RECENT:]))
        if metrics:
            outcome, state = judge_one_of(state, run, baseline, policies, metrics)
        else:
            said = assess(state, run, baseline, policies)
            outcome, state = said.outcome, said.state
        if outcome.is_acceptable:
            accepted.append(run)
        if outcome is Outcome.REGRESSED and not was_bad:
            told.append(number)
        was_bad = outcome is Outcome.REGRESSED
    return told


def judge_one_of(
    state: SeriesState, run: RunResult, baseline: Baseline, policies: Policies, metrics: float
) -> tuple[Outcome, SeriesState]:
    (policy,), company = policies.metrics, Company((), metrics)
    alone = judge_run(run, baseline, policy, policies, company)
    before = recall(state, baseline, policy, policies)
    after, finding = judge_over_time(before, run.run_id, alone, policy, policies, company)
    (finding,), streaks = follow_streaks(state.streaks, [finding], run.run_id)
    memory = {policy.name: to_numbers(after.track)}
    return finding.outcome, SeriesState(0, streaks, memory, {}, {policy.name: after.runs})


def wandering(random: Random, n: int, memory: float) -> np.ndarray:
    shocks = random.standard_normal(n + 20) * np.sqrt(1 - memory**2)
    values = np.zeros(n + 20)
    for i in range(1, n + 20):
        values[i] = memory * values[i - 1] + shocks[i]
    return values[20:]


NOISE: dict[str, tuple[Callable[[Random, int], np.ndarray], Direction]] = {
    "spread .1 %": (lambda r, n: 0.8 * (1 + 0.001 * r.standard_normal(n)), Direction.UP),
    "spread 10 %": (lambda r, n: 0.2 * (1 + 0.1 * r.standard_normal(n)), Direction.UP),
    "around 0": (lambda r, n: r.standard_normal(n), Direction.UP),
    "log-normal .5, higher is better": (lambda r, n: np.exp(0.5 * r.standard_normal(n)), Direction.UP),
    "log-normal .5, lower is better": (lambda r, n: np.exp(0.5 * r.standard_normal(n)), Direction.DOWN),
    "t of 3": (lambda r, n: 0.5 * (1 + 0.05 * r.standard_t(3, n)), Direction.UP),
    "binomial 100, .995": (lambda r, n: r.binomial(100, 0.995, n) / 100, Direction.UP),
    "AR .7, spread 2 %": (lambda r, n: 0.5 * (1 + 0.02 * wandering(r, n, 0.7)), Direction.UP),
}


def first_runs(series: int) -> None:
    for name, (noise, direction) in NOISE.items():
        random, policies = np.random.default_rng(7), Policies((MetricPolicy("score", direction),))
        bad = sum(bool(tickets(noise(random, FIRST), policies)) for _ in range(series))
        print(f"{name}: {bad / series:.1%} of projects with a false ticket in {FIRST} runs", flush=True)


FEW_VALUES: dict[str, tuple[Callable[[Random, float, int], np.ndarray], float]] = {
    "hits of 10 examples, .95": (lambda r, p, n: r.binomial(10, p, n) / 10, 0.95),
    "hits of 50, .99": (lambda r, p, n: r.binomial(50, p, n) / 50, 0.99),
    "hits of 100, .995": (lambda r, p, n: r.binomial(100, p, n) / 100, 0.995),
    "hits of 100, .97": (lambda r, p, n: r.binomial(100, p, n) / 100, 0.97),
    "hits of 1,000, .995": (lambda r, p, n: r.binomial(1000, p, n) / 1000, 0.995),
    "mostly exactly 1": (lambda r, p, n: 1 - 0.02 * (r.random(n) < 20 * (1 - p)) * r.exponential(1, n), 0.985),
}


def few_values(series: int) -> None:
    """Watch healthy runs, and falls in which errors come to be two and four times as many."""
    policies = Policies((MetricPolicy("score", min_effect=MinEffect(0.0)),))
    for name, (noise, share) in FEW_VALUES.items():
        random = np.random.default_rng(13)
        lengths = random.integers(10, 61, series)
        false = sum(len(tickets(noise(random, share, int(n)), policies)) for n in lengths)
        told = []
        for times in (2, 4):
            found = 0
            for _ in range(series // 3):
                bad = 1 - times * (1 - share)
                values = [*noise(random, share, FALL_AT), *noise(random, bad, WITHIN)]
                found += any(t >= FALL_AT for t in tickets(values, policies))
            told.append(f"{found / (series // 3):.0%}")
        print(f"{name}: {1000 * false / lengths.sum():.1f} tickets per 1,000 runs; told: {', '.join(told)}", flush=True)


def one_of(random: Random, fall: float) -> np.ndarray:
    values = 0.5 * (1 + 0.02 * random.standard_normal(LONG))
    values[FALL_AT:] -= 0.01 * fall
    return values


@dataclass(frozen=True, slots=True)
class Counted:
    """False tickets in so many healthy runs."""

    tickets: int
    runs: int

    @property
    def rate(self) -> float:
        return 1000 * self.tickets / self.runs

    def times(self, one: Counted, alike: int = 1) -> str:
        """Return how many times the rate of *one* so many *alike* have, with its 95 % interval."""
        from scipy.stats import binomtest

        share = binomtest(self.tickets, self.tickets + one.tickets).proportion_ci(0.95)
        low, high = (alike * end / (1 - end) * one.runs / self.runs if end < 1 else np.inf for end in share)
        return f"{alike * self.rate / one.rate:.2f} times one metric's ({low:.2f} to {high:.2f})"


def many_metrics(series: int) -> None:
    """Watch one of so many independent metrics, as sensitive as it gets: there are tickets to be counted."""
    policies = Policies((MetricPolicy("score", min_effect=MinEffect(0.0)),), preset=Preset.SENSITIVE)
    one: Counted | None = None
    for metrics in (1, 5, 20, 50):
        make = partial(one_of, np.random.default_rng(11))
        own = Counted(sum(len(tickets(make(0.0), policies, metrics)) for _ in range(4 * series)), 4 * series * LONG)
        one = one or own
        told = [
            np.mean(
                [
                    any(FALL_AT <= t < FALL_AT + WITHIN for t in tickets(make(size), policies, metrics))
                    for _ in range(60)
                ]
            )
            for size in (2.0, 3.0)
        ]
        shown = ", ".join(f"{share:.0%}" for share in told)
        print(
            f"{metrics} metrics: {own.tickets} tickets of one of them in {own.runs} runs; of all "
            f"{own.times(one, metrics)}; told of 2, 3: {shown}",
            flush=True,
        )


def tickets_together(values: np.ndarray, policies: Policies) -> list[int]:
    """Return the runs of which people hear that something fell, by the bot's own walk; a row a run."""
    names = [policy.name for policy in policies.metrics]
    runs = as_runs(dict(zip(names, row, strict=True)) for row in values.tolist())
    return [number for number, said in enumerate(judge_series(runs, policies)) if said.told]


def together(series: int) -> None:
    """Judge metrics that move together, all of them, by the sensitive preset, which has false tickets to be counted."""
    one: Counted | None = None
    for metrics in (1, 5, 20, 50):
        policies = Policies(
            tuple(MetricPolicy(f"m{i}", min_effect=MinEffect(0.0)) for i in range(metrics)), preset=Preset.SENSITIVE
        )
        for alike in (0.0, 0.5, 0.9) if metrics > 1 else (0.0,):
            random = np.random.default_rng(17)
            false, told, falls = 0, 0, series // 5
            watched = series if metrics > 1 else 5 * series
            for number in range(watched):
                noise = np.sqrt(1 - alike) * random.standard_normal((LONG, metrics))
                values = 0.5 + 0.01 * (noise + np.sqrt(alike) * random.standard_normal((LONG, 1)))
                false += len(tickets_together(values, policies))
                if number < falls:
                    values[FALL_AT:, 0] -= 0.02
                    told += any(
                        FALL_AT <= t < FALL_AT + WITHIN for t in tickets_together(values[: FALL_AT + WITHIN], policies)
                    )
            counted = Counted(false, watched * LONG)
            one = one or counted
            print(
                f"{metrics} metrics, correlated {alike}: {counted.rate:.2f} tickets per 1,000 runs, {false} seen in "
                f"{watched} series, {counted.times(one)}; told of 2 spreads in one: {told} of {falls}",
                flush=True,
            )


def make_sliced(random: Random, metrics: int, slices: int) -> Iterator[RunResult]:
    """Yield healthy runs with a table of examples: users differ, and runs by seed, by slice and by user."""
    users = slices * PER_SLICE
    segments = np.repeat(np.arange(slices), PER_SLICE)
    level = random.beta(4, 8, (metrics, users))
    ids, names = np.array([f"u{i:05d}" for i in range(users)]), np.array([f"s{i:02d}" for i in segments])
    for number in range(LONG):
        by_run = 1 + 0.01 * random.standard_normal((metrics, 1)) + 0.02 * random.standard_normal((metrics, slices))
        values = np.clip(level * by_run[:, segments] + 0.05 * random.standard_normal((metrics, users)), 0, 1)
        known = {f"m{i}": row for i, row in enumerate(values)}
        at = START + timedelta(days=number)
        said = {name: float(row.mean()) for name, row in known.items()}
        run = Run(f"run{number}", f"run{number}", RunStatus.FINISHED, at, at, said)
        yield RunResult(run, examples=ExampleTable(ids, np.ones(users), known, {"segment": names}))


def sliced(series: int) -> None:
    """Judge metrics with and without slices, sensitive and with no smallest effect of either."""
    one: Counted | None = None
    for metrics, slices in ((1, 0), (1, 20), (5, 20)):
        policies = Policies(
            tuple(MetricPolicy(f"m{i}", min_effect=MinEffect(0.0)) for i in range(metrics)),
            slice_by=("segment",) if slices else (),
            preset=Preset.SENSITIVE,
            slice_min_effect=MinEffect(0.0),
        )
        random, whole, of_slices = np.random.default_rng(19), 0, 0
        watched = series if metrics == 1 else series // 2
        for _ in range(watched):
            found = [said.told for said in judge_results(make_sliced(random, metrics, slices or 20), policies)]
            whole += sum(any(finding.part is None for finding in told) for told in found)
            of_slices += sum(bool(told) and all(finding.part is not None for finding in told) for told in found)
        counted = Counted(whole + of_slices, watched * LONG)
        one = one or counted
        print(
            f"{metrics} metrics of {slices} slices: {counted.rate:.2f} tickets per 1,000 runs, {whole} of whole "
            f"metrics and {of_slices} of slices seen in {watched} series, {counted.times(one)}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=300)
    parser.add_argument("--only", nargs="*", default=["first", "few", "many"])
    chosen = parser.parse_args()
    if "first" in chosen.only:
        first_runs(chosen.series)
    if "few" in chosen.only:
        few_values(chosen.series)
    if "together" in chosen.only:
        together(chosen.series)
    if "sliced" in chosen.only:
        sliced(chosen.series)
    if "many" in chosen.only:
        many_metrics(chosen.series)


if __name__ == "__main__":
    main()
