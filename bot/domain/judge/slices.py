"""Where a metric moved: every slice held against its own baseline, corrected for how many slices there are.

One run that is low in a slice is named, which explains. That a slice fell is told of its newest runs together, and
then it is a problem of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bot.domain.judge.compare import LEVELS, Comparison, hold, measure, weigh
from bot.domain.judge.findings import Finding, Outcome, Reason, Streak, key_of
from bot.domain.judge.paired import Rows, holm, shared_rows
from bot.domain.judge.slice_levels import SliceFall, SliceNoise, SliceRuns, find_fall, is_back, spread_of, study
from bot.domain.judge.spread import Spread
from bot.domain.judge.streaks import BAD
from bot.domain.policy import MetricPolicy, Policies, Preset
from bot.domain.runs import Baseline, ExampleTable, RunResult, Slice

FAMILY_LEVEL = 0.05  # chance that a healthy run has any slice named
FALL_LEVEL = {Preset.QUIET: 0.0005, Preset.SENSITIVE: 0.0015}  # chance that one of its slices is said to have fallen
CONTRADICTED = 0.5  # p of the rows from which on they say that this run is no worse
UNFIT_KEPT = 40  # runs a slice, more than any baseline looks back over


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of slices from earlier runs, by their keys."""

    unfit: Mapping[str, tuple[str, ...]]  # runs that are no baseline
    streaks: Mapping[str, Streak]


@dataclass(frozen=True, slots=True)
class SliceView:
    """A slice of the judged run beside the same slice of earlier ones."""

    part: Slice
    rows: Rows
    ids: tuple[str, ...]  # of the earlier runs
    runs: SliceRuns


@dataclass(frozen=True, slots=True)
class SliceComparison:
    view: SliceView
    held: Comparison
    spread: Spread
    fall: SliceFall | None

    def p_value(self) -> float:
        """Return the larger of both p values: runs and rows must agree."""
        return max(self.held.p_runs(), self.held.p_rows() or 0.0)

    def p_fall(self) -> float:
        """Return that of its newest runs together, where the rows of this one do not object."""
        rows = self.held.p_rows()
        agrees = rows is None or rows < CONTRADICTED
        return self.fall.p if self.fall is not None and agrees else 1.0


def judge_slices(
    run: RunResult, baseline: Baseline, policy: MetricPolicy, policies: Policies, remembered: Remembered
) -> tuple[Finding, ...]:
    """Return a finding for every slice with enough examples."""
    tables = {result.run_id: result.examples for result in baseline.recent if result.examples is not None}
    whole = shared_rows(run.examples, list(tables.values()), policy.name) if run.examples else None
    if run.examples is None or whole is None:
        return ()
    views = list(view_slices(run.examples, tables, policy, policies, remembered))
    noise = study([view.runs for view in views])
    held = [compare(view, noise, policy, policies) for view in views]
    named = holm([one.p_value() for one in held])
    fallen = holm([one.p_fall() for one in held])
    loss = whole.lost * policy.direction.sign < 0
    findings = []
    for one, p_named, p_fallen in zip(held, named, fallen, strict=True):
        streak = remembered.streaks.get(key_of(policy.name, one.view.part))
        finding = say(one, p_named, p_fallen, streak, policy, policies, of=len(held))
        share = one.view.rows.lost / whole.lost if loss else None
        findings.append(replace(finding, part=one.view.part, share_of_loss=share))
    return tuple(findings)


def view_slices(
    examples: ExampleTable,
    tables: Mapping[str, ExampleTable],
    policy: MetricPolicy,
    policies: Policies,
    remembered: Remembered,
) -> Iterator[SliceView]:
    ids, sign = tuple(tables), policy.direction.sign
    for part in parts_of(examples, policies.slice_by):
        unfit = remembered.unfit.get(key_of(policy.name, part), ())
        there = tuple(run_id for run_id in ids if part.column in tables[run_id].slices)
        fit = [run_id not in unfit for run_id in there]
        rows = shared_rows(examples, [tables[run_id] for run_id in there], policy.name, part, fit)
        if rows is None or rows.n < policies.min_slice_examples:
            continue
        values = sign * np.append(rows.baselines, rows.candidate)
        yield SliceView(part, rows, there, SliceRuns(values, np.array(fit), rows.n, rows.variance))


def compare(view: SliceView, noise: SliceNoise, policy: MetricPolicy, policies: Policies) -> SliceComparison:
    sign = policy.direction.sign
    spread = spread_of(view.runs, noise, view.runs.baseline)
    spread = replace(spread, level=sign * spread.level)
    held = hold(view.rows.candidate, spread, replace(policy, min_effect=policies.slice_min_effect), view.rows)
    fall = find_fall(view.runs, noise, policies.min_runs)
    return SliceComparison(view, held, spread, fall if fall and -fall.change > held.min_effect else None)


def say(
    one: SliceComparison,
    p_named: float,
    p_fallen: float,
    streak: Streak | None,
    policy: MetricPolicy,
    policies: Policies,
    *,
    of: int,
) -> Finding:
    """Say what a slice of this run shows, its p values corrected for being some of many."""
    levels = replace(LEVELS[policies.preset], runs=FAMILY_LEVEL / len(policies.metrics))
    finding = measure(one.held, policy, one.spread, replace(levels, runs=levels.runs / of))
    if one.spread.n < policies.min_runs:
        return finding
    if streak is not None and streak.confirmed:
        since = one.view.ids.index(streak.onset) if streak.onset in one.view.ids else len(one.view.ids) - streak.length
        oriented = replace(one.spread, level=policy.direction.sign * one.spread.level)
        if not is_back(one.view.runs, oriented, len(one.view.ids) + 1 - max(since, 0)):
            return replace(finding, outcome=Outcome.REGRESSED, reason=Reason.CONFIRMED, onset=streak.onset)
        return replace(finding, outcome=Outcome.OK, reason=Reason.WITHIN_SPREAD)
    if one.fall is not None and p_fallen < FALL_LEVEL[policies.preset] / len(policies.metrics):
        onset = one.view.ids[1 - one.fall.span]
        fell = replace(finding, outcome=Outcome.REGRESSED, reason=Reason.LEVEL_FELL, onset=onset)
        return over_runs(fell, one, policy)
    outcome, reason = weigh(one.held, policy.direction.sign, levels, p_named, one.held.p_rows())
    return replace(finding, outcome=outcome, reason=reason)


def over_runs(finding: Finding, one: SliceComparison, policy: MetricPolicy) -> Finding:
    """Let a finding speak of the mean of the newest runs, which is what fell."""
    fall, sign = one.fall, policy.direction.sign
    if fall is None or finding.change is None or finding.change_high is None:
        return finding
    margin = finding.change_high - finding.change
    change = sign * fall.change
    return replace(
        finding,
        baseline=sign * fall.level,
        change=change,
        change_low=change - margin,
        change_high=change + margin,
        n_since=fall.span,
    )


def parts_of(examples: ExampleTable, columns: Sequence[str]) -> Iterator[Slice]:
    for column in columns:
        for value in np.unique(examples.slices[column]) if column in examples.slices else ():
            yield Slice(column, str(value))


def note_unfit(
    unfit: Mapping[str, tuple[str, ...]], findings: Iterable[Finding], run_id: str, baseline: Baseline
) -> dict[str, tuple[str, ...]]:
    """Note that runs are no baseline for the slices in which they were bad, however good they are as a whole."""
    after = dict(unfit)
    ids = [result.run_id for result in baseline.recent]
    for finding in findings:
        if finding.part is not None and finding.outcome in BAD:
            since = ids[ids.index(finding.onset) :] if finding.onset in ids else []
            after[finding.key] = tuple(dict.fromkeys((*unfit.get(finding.key, ()), *since, run_id)))[-UNFIT_KEPT:]
    return after
