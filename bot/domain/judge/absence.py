"""What is said of a metric that a run lacks."""

from __future__ import annotations

from bot.domain.job_protocol import UNDEFINED_TAG
from bot.domain.judge.findings import Finding, Outcome, Reason
from bot.domain.policy import MetricPolicy
from bot.domain.runs import Baseline, RunResult


def miss(policy: MetricPolicy, *, is_known: bool, is_undefined: bool = False) -> tuple[Finding, ...]:
    """Return what is said of a metric that the run lacks: nothing of an optional one.

    One that no run has ever had is a wrong name rather than a wrong run; one that the run says is not defined is
    neither.
    """
    if policy.optional:
        return ()
    if is_undefined:
        return (Finding(policy.name, Outcome.INSUFFICIENT_DATA, Reason.UNDEFINED),)
    return (Finding(policy.name, Outcome.INVALID if is_known else Outcome.NO_BASELINE, Reason.MISSING),)


def undefined_in(run: RunResult) -> frozenset[str]:
    """Return the metrics of which the run itself says that its data do not define them."""
    return frozenset(name.strip() for name in run.run.tags.get(UNDEFINED_TAG, "").split(","))


def is_among(metric: str, baseline: Baseline) -> bool:
    """Say whether an earlier run has the metric."""
    return any(metric in result.run.metrics for result in baseline.recent)
