"""What the judge over time says of a run, as a finding in the metric's own unit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from bot.domain.judge.calibration import THRESHOLDS
from bot.domain.judge.evidence import smallest_found
from bot.domain.judge.findings import Finding, Method, Outcome, Reason
from bot.domain.judge.ranges import effect_at
from bot.domain.judge.spread import p_below, t_quantile
from bot.domain.judge.track import Signal, Track, View, watch
from bot.domain.policy import MetricPolicy, Preset

SAID = {
    Signal.TOO_FEW: (Outcome.INSUFFICIENT_DATA, Reason.FIRST_RUNS),
    Signal.STEADY: (Outcome.OK, Reason.WITHIN_SPREAD),
    Signal.LONE: (Outcome.SUSPICIOUS, Reason.BEYOND_SPREAD),
    Signal.SMALL: (Outcome.OK, Reason.BELOW_MIN_EFFECT),
    Signal.FELL: (Outcome.REGRESSED, Reason.LEVEL_FELL),
    Signal.FELL_FURTHER: (Outcome.REGRESSED, Reason.FELL_FURTHER),
    Signal.FALLEN: (Outcome.REGRESSED, Reason.LEVEL_FELL),
    Signal.ROSE: (Outcome.IMPROVED, Reason.LEVEL_ROSE),
}


def watch_metric(
    track: Track, value: float, policy: MetricPolicy, preset: Preset, extra: float = 0.0
) -> tuple[Track, View]:
    """Watch a value in the metric's unit; the view is oriented so that lower is worse."""
    sign = policy.direction.sign
    return watch(track, sign * value, preset, smallest_effect(track, policy), extra)


def smallest_effect(track: Track, policy: MetricPolicy) -> float:
    """Return the smallest effect in the metric's unit, a relative one against the middle of the earlier runs."""
    if not policy.min_effect.relative or not policy.min_effect.value or not track.values:
        return policy.min_effect.against(0.0)
    return effect_at(policy, policy.direction.sign * sorted(track.values)[len(track.values) // 2])


def name_onset(finding: Finding, name: Callable[[int], str]) -> Finding:
    """Put the name of a run in the place of its count among the runs watched."""
    return finding if finding.onset is None else replace(finding, onset=name(int(finding.onset)))


def least_seen(view: View, min_effect: float, preset: Preset, extra: float) -> float:
    """Return the smallest lasting fall that further runs would show, where *extra* nats are asked of many metrics."""
    return max(min_effect, smallest_found(view.sd, max(view.runs, 1), view.df, THRESHOLDS[preset], extra))


def tell(
    view: View, value: float, min_effect: float, policy: MetricPolicy, preset: Preset, extra: float = 0.0
) -> Finding:
    """Return the finding for *view*, its numbers in the metric's unit and its onset as the count of runs watched."""
    sign = policy.direction.sign
    outcome, reason = SAID[view.sight]
    if view.sight is Signal.LONE and -view.change <= min_effect:
        outcome, reason = Outcome.OK, Reason.BELOW_MIN_EFFECT
    if view.sight is Signal.TOO_FEW and view.runs == 0:
        outcome = Outcome.NO_BASELINE
    if math.isnan(view.error):  # no spread yet
        return Finding(policy.name, outcome, reason, value=value, n_baseline=view.runs)
    margin = t_quantile(0.975, view.df) * view.error
    change = sign * view.change
    return Finding(
        metric=policy.name,
        outcome=outcome,
        reason=reason,
        value=value,
        baseline=sign * view.level,
        change=change,
        change_low=change - margin,
        change_high=change + margin,
        spread=view.sd,
        p_runs=p_below(-abs(view.change), view.error, view.df),
        detectable=least_seen(view, min_effect, preset, extra),
        n_baseline=view.runs,
        n_since=view.since,
        method=Method.PREDICTIVE_T if view.sight is Signal.LONE else Method.LEVELS,
        onset=None if view.onset is None or view.sight is Signal.SMALL else str(view.onset),
    )
