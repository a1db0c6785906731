"""What makes a run impossible to compare: broken values and data that changed underneath."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bot.domain.judge.findings import Finding, Outcome, Reason
from bot.domain.policy import Guard, MetricPolicy, is_usable
from bot.domain.runs import DataCard, RunResult


def broken_value(value: float, policy: MetricPolicy) -> Reason | None:
    """Name what is wrong with *value* itself, or None."""
    if math.isnan(value):
        return Reason.NOT_A_NUMBER
    if not is_usable(value):
        return Reason.ABSURD
    return None if policy.holds(value) else Reason.OUT_OF_BOUNDS


def check_data(card: DataCard, baseline: Sequence[RunResult], guards: Sequence[Guard]) -> tuple[Finding, ...]:
    """Return an invalid finding for every fact of the data card that moved further than its guard allows."""
    if not card.numbers:
        return ()
    findings = (check_fact(card, baseline, guard) for guard in guards)
    return tuple(finding for finding in findings if finding is not None)


def check_fact(card: DataCard, baseline: Sequence[RunResult], guard: Guard) -> Finding | None:
    value = card.numbers.get(guard.fact, math.nan)
    if not is_usable(value):
        return None
    known = [result.card.numbers.get(guard.fact, math.nan) for result in baseline]
    known = [fact for fact in known if is_usable(fact)]
    if not known:
        return None
    usual = float(np.median(known))
    if -guard.max_fall <= relative_move(value, usual) <= guard.max_rise:
        return None
    return Finding(
        metric=f"data.{guard.fact}",
        outcome=Outcome.INVALID,
        reason=Reason.DATA_CHANGED,
        value=value,
        baseline=usual,
        change=value - usual,
        n_baseline=len(known),
    )


def relative_move(value: float, usual: float) -> float:
    """Return the move relative to *usual*; any move away from nothing is infinite."""
    if value == usual:
        return 0.0
    return (value - usual) / abs(usual) if usual else math.copysign(math.inf, value)
