"""Metrics held against their limits: each run by its own value, whatever its noise, and by nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bot.domain.judge.absence import is_among, miss, undefined_in
from bot.domain.judge.findings import Against, Finding, Outcome, Reason, Streak
from bot.domain.judge.guards import broken_value
from bot.domain.policy import MetricLimit, Policies, settle
from bot.domain.runs import Baseline, RunResult


@dataclass(frozen=True, slots=True)
class LimitsSaid:
    """What is said of the limits of a run, and the runs in a row that broke them."""

    findings: tuple[Finding, ...]
    breaches: Mapping[str, Streak]  # by metric


@dataclass(frozen=True, slots=True)
class Usual:
    """What a metric was: in the release where there is one, else in the middle of its accepted runs."""

    value: float | None
    runs: int
    against: Against = Against.RECENT


def hold_limits(before: Mapping[str, Streak], run: RunResult, baseline: Baseline, policies: Policies) -> LimitsSaid:
    """Hold a run against all limits: a first breach is one run's, and certain after as many in a row as its limit asks.

    *Before* are the breaches in a row until now. Of a metric whose changes are judged too, only a broken limit is said
    here.
    """
    judged = {policy.name for policy in policies.metrics}
    findings: list[Finding] = []
    after = dict(before)
    for limit in policies.limits:
        finding = hold_limit(run, baseline, limit, policies.min_runs, is_known=limit.name in before)
        if finding is None:
            continue
        if finding.outcome is Outcome.OUTSIDE:
            streak = after[limit.name] = lengthen(before.get(limit.name), run.run_id, limit)
            outcome = Outcome.BREACHED if streak.confirmed else Outcome.OUTSIDE
            finding = replace(finding, outcome=outcome, onset=streak.onset)
        elif finding.outcome is Outcome.OK:
            after.pop(limit.name, None)
        if finding.outcome in {Outcome.OUTSIDE, Outcome.BREACHED} or limit.name not in judged:
            findings.append(finding)
    return LimitsSaid(tuple(findings), after)


def lengthen(streak: Streak | None, run_id: str, limit: MetricLimit) -> Streak:
    """Add a run that breaks a limit to those in a row before it."""
    if streak is None:
        return Streak(run_id, 1, confirmed=limit.breaches <= 1)
    length = streak.length + 1
    return Streak(streak.onset, length, confirmed=streak.confirmed or length >= limit.breaches)


def hold_limit(
    run: RunResult, baseline: Baseline, limit: MetricLimit, min_runs: int, *, is_known: bool = False
) -> Finding | None:
    """Hold one metric of a run against its limit; None where it lacks it and need not have it."""
    name, value = limit.name, run.run.metrics.get(limit.name)
    if value is None:
        known = is_known or is_among(name, baseline)
        return next(iter(miss(limit.policy, is_known=known, is_undefined=name in undefined_in(run))), None)
    broken = broken_value(value, limit.policy)
    if broken is not None:
        return Finding(name, Outcome.INVALID, broken, value=value)
    value = settle(value)
    usual = usual_of(baseline, limit)
    change = None if usual.value is None else value - usual.value
    said = Finding(
        name,
        Outcome.OK,
        Reason.WITHIN_LIMITS,
        value=value,
        baseline=usual.value,
        change=change,
        n_baseline=usual.runs,
        against=usual.against,
    )
    low, high = limit.low, limit.high
    if limit.share is not None:
        if usual.value is None or (usual.against is Against.RECENT and usual.runs < min_runs):
            outcome = Outcome.NO_BASELINE if usual.value is None else Outcome.INSUFFICIENT_DATA
            return replace(said, outcome=outcome, reason=Reason.FIRST_RUNS)
        room = limit.share * abs(usual.value)
        low, high = usual.value - room, usual.value + room
    if value > high:
        return replace(said, outcome=Outcome.OUTSIDE, reason=Reason.ABOVE_LIMIT, limit=high)
    if value < low:
        return replace(said, outcome=Outcome.OUTSIDE, reason=Reason.BELOW_LIMIT, limit=low)
    return replace(said, limit=min((low, high), key=lambda end: abs(end - value) if math.isfinite(end) else math.inf))


def usual_of(baseline: Baseline, limit: MetricLimit) -> Usual:
    """Return what a metric was before this run: a share of limits is a share of it, and others are shown beside it."""
    pinned = baseline.pinned
    if limit.share is not None and pinned is not None and limit.name in pinned.run.metrics:
        value = pinned.run.metrics[limit.name]
        if limit.policy.holds(value):
            return Usual(settle(value), 1, Against.PINNED)
    recent = [each.run.metrics.get(limit.name, math.nan) for each in baseline.of(limit.name).newest.recent]
    values = [value for value in recent if limit.policy.holds(value)]
    return Usual(settle(float(np.median(values))) if values else None, len(values))
