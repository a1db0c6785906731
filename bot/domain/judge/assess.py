"""The seam: every metric and slice of one run judged together, from the past alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.domain.judge.compare import LEVELS, describe, hold, hold_pinned, measure, worse_of
from bot.domain.judge.findings import Assessment, Finding, Outcome, Reason, SeriesState
from bot.domain.judge.guards import broken_value, check_data
from bot.domain.judge.paired import Rows, shared_rows
from bot.domain.judge.slices import judge_slices
from bot.domain.judge.spread import Spread, estimate_spread
from bot.domain.judge.streaks import follow_streaks
from bot.domain.policy import MetricPolicy, Policies
from bot.domain.runs import Baseline, RunResult


def assess(state: SeriesState, run: RunResult, baseline: Baseline, policies: Policies) -> Assessment:
    """Judge every metric and slice of *run* together, from the past alone."""
    moved = check_data(run.card, baseline.recent, policies.guards)
    found: list[Finding] = []
    for policy in policies.metrics:
        whole = judge_metric(run, baseline, policy, policies)
        comparable = whole.outcome is not Outcome.INVALID and not moved
        found.append(distrust(whole) if moved else whole)
        found.extend(judge_slices(run, baseline, policy, policies) if comparable else ())
    accepted = {result.run_id for result in baseline.recent}
    findings, streaks = follow_streaks(state.streaks, found, run.run_id, accepted)
    suspicious = any(f.part is None and f.outcome is Outcome.SUSPICIOUS for f in findings)
    return Assessment(
        run_id=run.run_id,
        findings=moved + findings,
        state=SeriesState(judged=state.judged + 1, streaks=streaks, memory=state.memory),
        wants_confirmation=suspicious and policies.confirm_reruns > 0,
    )


def judge_metric(run: RunResult, baseline: Baseline, policy: MetricPolicy, policies: Policies) -> Finding:
    """Judge a whole metric, against the recent runs and the pinned release."""
    value = run.run.metrics.get(policy.name)
    usable = [result for result in baseline.recent if policy.holds(metric_of(result, policy))]
    if value is None:
        return Finding(policy.name, Outcome.INVALID, Reason.MISSING)
    broken = broken_value(value, policy)
    if broken is not None:
        return Finding(policy.name, Outcome.INVALID, broken, value=value)
    if not usable:
        return Finding(policy.name, Outcome.NO_BASELINE, Reason.FIRST_RUNS, value=value)
    spread = usual_spread([metric_of(result, policy) for result in usable], policy)
    held = hold(value, spread, policy, rows_against(run, usable, policy))
    levels = LEVELS[policies.preset]
    if len(usable) < policies.min_runs:
        return measure(held, policy, spread, levels)
    finding = describe(held, policy, spread, levels)
    pinned = baseline.pinned
    if pinned is None or not policy.holds(metric_of(pinned, policy)):
        return finding
    rows = rows_against(run, [pinned], policy)
    decayed = hold_pinned(value, metric_of(pinned, policy), spread, policy, rows)
    return worse_of(finding, describe(decayed, policy, spread, levels))


def metric_of(result: RunResult, policy: MetricPolicy) -> float:
    return result.run.metrics.get(policy.name, float("nan"))


def usual_spread(values: Sequence[float], policy: MetricPolicy) -> Spread:
    level = sorted(values)[len(values) // 2]
    return estimate_spread(values, policy.prior_spread * abs(level))


def rows_against(run: RunResult, others: Sequence[RunResult], policy: MetricPolicy) -> Rows | None:
    """Line up *run* with those of *others* that brought per-example results."""
    if run.examples is None:
        return None
    return shared_rows(run.examples, [other.examples for other in others if other.examples], policy.name)


def distrust(finding: Finding) -> Finding:
    """Call a comparison invalid that data which changed underneath has made worthless."""
    if finding.outcome is Outcome.INVALID:
        return finding
    return replace(finding, outcome=Outcome.INVALID, reason=Reason.DATA_CHANGED)
