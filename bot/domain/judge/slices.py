"""Where a metric moved: every slice held against its own baseline, corrected for how many slices there are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bot.domain.judge.compare import LEVELS, Comparison, hold, measure, weigh
from bot.domain.judge.findings import Finding
from bot.domain.judge.paired import Rows, holm, shared_rows
from bot.domain.judge.spread import Spread, estimate_spread
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
    held = list(hold_slices(run.examples, tables, whole, policy, policies))
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
    examples: ExampleTable, tables: Sequence[ExampleTable], whole: Rows, policy: MetricPolicy, policies: Policies
) -> Iterator[SliceComparison]:
    for part in parts_of(examples, policies.slice_by):
        rows = shared_rows(examples, tables, policy.name, part)
        if rows is not None and rows.n >= policies.min_slice_examples:
            # Fewer examples move more by themselves: the prior widens as a mean over fewer of them would.
            prior = policy.prior_spread * abs(float(np.mean(rows.baselines))) * math.sqrt(whole.n / rows.n)
            spread = estimate_spread(rows.baselines.tolist(), prior)
            yield SliceComparison(part, rows, hold(rows.candidate, spread, policy, rows), spread)


def parts_of(examples: ExampleTable, columns: Sequence[str]) -> Iterator[Slice]:
    for column in columns:
        for value in np.unique(examples.slices[column]) if column in examples.slices else ():
            yield Slice(column, str(value))
