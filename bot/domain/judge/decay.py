"""What the best level within memory says of runs that their own past calls healthy: decay in small steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from bot.domain.judge.best_level import CHANCE, DAY, RUNS, Decay, Levels, add, from_numbers, hold_best, to_numbers
from bot.domain.judge.findings import Against, Finding, Method, Outcome, Reason
from bot.domain.judge.ranges import effect_at
from bot.domain.judge.spread import t_quantile
from bot.domain.judge.track import Track
from bot.domain.policy import MetricPolicy, Policies, is_usable, settle
from bot.domain.runs import RunResult

SECONDS_A_DAY = DAY.total_seconds()


def watch_decay(
    remembered: Sequence[float],
    accepted: Sequence[RunResult],
    run: RunResult,
    finding: Finding,
    track: Track,
    policy: MetricPolicy,
    policies: Policies,
    metrics: float,
) -> tuple[tuple[float, ...], Finding]:
    """Hold the newest runs of a metric against the best level, where nothing else is wrong; return the levels after.

    *track* ends with this run. Levels that are not remembered are made of the *accepted* runs that there are.
    """
    levels = from_numbers(remembered)
    if not levels.open and not levels.held:
        levels = replay(accepted, policy, policies)
    if track.fall is None and finding.outcome.is_acceptable:
        decay = hold_best(levels, track.values, metrics)
        if decay is not None and matters(decay, policy, policies):
            finding = tell(decay, finding, policy)
    if finding.outcome.is_acceptable:
        levels = remember(levels, run, policy, policies)
    return to_numbers(levels), finding


def replay(accepted: Sequence[RunResult], policy: MetricPolicy, policies: Policies) -> Levels:
    levels = Levels()
    for result in accepted:
        levels = remember(levels, result, policy, policies)
    return levels


def remember(levels: Levels, result: RunResult, policy: MetricPolicy, policies: Policies) -> Levels:
    value = settle(result.run.metrics.get(policy.name, float("nan")))
    if not policy.holds(value) or not is_usable(value):
        return levels
    return add(levels, policy.direction.sign * value, days(result.run.ended), policies.memory / DAY)


def days(moment: datetime) -> float:
    return moment.timestamp() / SECONDS_A_DAY


def matters(decay: Decay, policy: MetricPolicy, policies: Policies) -> bool:
    """Say whether a decay is certain, and as large as the team cares about."""
    effect = effect_at(policy, policy.direction.sign * decay.level)
    return decay.p < CHANCE[policies.preset] and -decay.change > effect


def tell(decay: Decay, finding: Finding, policy: MetricPolicy) -> Finding:
    """Let a finding speak of the decay."""
    sign, margin = policy.direction.sign, t_quantile(0.975, decay.df) * decay.error
    change = sign * decay.change
    return replace(
        finding,
        outcome=Outcome.SUSPICIOUS,
        reason=Reason.DECAYED,
        baseline=sign * decay.level,
        change=change,
        change_low=change - margin,
        change_high=change + margin,
        p_runs=decay.p,
        n_since=RUNS,
        method=Method.LEVELS,
        against=Against.BEST,
        confirms=True,
    )
