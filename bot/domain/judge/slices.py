"""Where a metric moved: every slice held against its own baseline, corrected for how many slices there are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bot.domain.judge.compare import LEVELS, Comparison, hold, measure, weigh
from bot.domain.judge.findings import Finding
from bot.domain.judge.kin import DOUBT, FEWEST, Kin, bias, pool
from bot.domain.judge.paired import Rows, holm, shared_rows
from bot.domain.judge.spread import Prior, Spread, estimate_spread
from bot.domain.policy import MetricPolicy, Policies
from bot.domain.runs import Baseline, ExampleTable, RunResult, Slice

FAMILY_LEVEL = 0.05  # chance of any false slice in a run's metric


@dataclass(frozen=True, slots=True)
class SliceComparison:
    part: Slice
    rows: Rows
    held: Comparison
    spread: Spread

    def p_value(self) -> float:
        """Return the larger of both p values: runs and rows must agree."""
        return max(self.held.p_runs(), self.held.p_rows() or 0.0)


def judge_slices(run: RunResult, baseline: Baseline, policy: MetricPolicy, policies: Policies) -> tuple[Finding, ...]:
    """Return a finding for every slice with enough examples."""
    tables = [result.examples for result in baseline.recent if result.examples is not None]
    whole = shared_rows(run.examples, tables, policy.name) if run.examples else None
    if run.examples is None or whole is None:
        return ()
    held = list(hold_slices(run.examples, tables, policy, policies))
    levels = replace(LEVELS[policies.preset], runs=FAMILY_LEVEL)
    findings = []
    for one, adjusted in zip(held, holm([one.p_value() for one in held]), strict=True):
        finding = measure(one.held, policy, one.spread, replace(levels, runs=FAMILY_LEVEL / len(held)))
        loss = whole.lost * policy.direction.sign < 0
        finding = replace(finding, part=one.part, share_of_loss=one.rows.lost / whole.lost if loss else None)
        if len(tables) >= policies.min_runs:
            outcome, reason = weigh(one.held, policy.direction.sign, levels, adjusted, one.held.p_rows())
            finding = replace(finding, outcome=outcome, reason=reason)
        findings.append(finding)
    return tuple(findings)


def hold_slices(
    examples: ExampleTable, tables: Sequence[ExampleTable], policy: MetricPolicy, policies: Policies
) -> Iterator[SliceComparison]:
    shared = [
        (part, shared_rows(examples, tables, policy.name, part)) for part in parts_of(examples, policies.slice_by)
    ]
    found = [(part, rows) for part, rows in shared if rows is not None and rows.n >= policies.min_slice_examples]
    kin = [noise_of(part, rows) for part, rows in found]
    for part, rows in found:
        spread = estimate_spread(rows.baselines.tolist(), expect_noise(part, rows, kin))
        yield SliceComparison(part, rows, hold(rows.candidate, spread, policy, rows), spread)


def noise_of(part: Slice, rows: Rows) -> Kin | None:
    """Return what a slice teaches of the others: how much one example of it moves from run to run."""
    if len(rows.baselines) < FEWEST:
        return None
    spread = estimate_spread(rows.baselines.tolist())
    if spread.is_same:
        return None
    return Kin(str(part), math.log(spread.sd * math.sqrt(rows.n)) + bias(spread.df), spread.df, is_own=False)


def expect_noise(part: Slice, rows: Rows, kin: Sequence[Kin | None]) -> Prior | None:
    """Return what to expect of a slice's spread by those of the others, which fewer examples widen."""
    pooled = pool([one for one in kin if one is not None and one.metric != str(part)], DOUBT)
    return None if pooled is None else Prior(pooled.log_sd - math.log(rows.n) / 2, pooled.doubt)


def parts_of(examples: ExampleTable, columns: Sequence[str]) -> Iterator[Slice]:
    for column in columns:
        for value in np.unique(examples.slices[column]) if column in examples.slices else ():
            yield Slice(column, str(value))
