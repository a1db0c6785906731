"""One run against one baseline: the drop must exceed what matters, what runs do by themselves, and what rows do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.domain.judge.few_values import study_few
from bot.domain.judge.findings import Against, Finding, Method, Outcome, Reason
from bot.domain.judge.paired import Rows
from bot.domain.judge.ranges import effect_at, range_of
from bot.domain.judge.spread import Spread, p_below, t_quantile
from bot.domain.policy import MetricPolicy, Preset
from bot.domain.runs import RowsSaid

FEW_RUNS = 10  # up to which the evidence over time has little to go by
POWER = 0.8  # of the smallest change that is called detectable


@dataclass(frozen=True, slots=True)
class SignificanceLevels:
    """How small the p values must be, one-sided, before a run is called different."""

    runs: float
    rows: float
    again: float  # of the mean of two runs in a row, if both were like the second: it makes them certain
    again_of_release: float  # the same against a release, which no evidence over time is gathered against
    again_early: float = 0.0  # what is asked of it at least, times the sixth power of how few runs there are

    def for_many(self, metrics: float) -> SignificanceLevels:
        """Return the levels at which one of so many independent metrics is called worse as seldom as one alone."""
        if metrics == 1:
            return self
        return replace(
            self,
            runs=self.runs / metrics,
            again=self.again / metrics,
            again_early=self.again_early / metrics,
            again_of_release=self.again_of_release / metrics,
        )

    def against_release(self) -> SignificanceLevels:
        return replace(self, again=self.again_of_release, again_early=0.0)

    def again_after(self, runs: int) -> float:
        """Return what is asked of the second run: far less after few, where nothing else can tell a collapse yet."""
        few = FEW_RUNS / runs
        return max(self.again * (1 + few**3), self.again_early * few**6)


LEVELS = {
    Preset.QUIET: SignificanceLevels(
        runs=0.005, rows=0.05, again=0.00001, again_of_release=0.0003, again_early=0.000003
    ),
    Preset.SENSITIVE: SignificanceLevels(
        runs=0.02, rows=0.05, again=0.00002, again_of_release=0.0012, again_early=0.000006
    ),
}


@dataclass(frozen=True, slots=True)
class EarlierRuns:
    """All earlier runs of a metric, whether anybody accepted them or not; oriented: higher is better."""

    values: Sequence[float]
    row: int = 0  # bad runs in a row since


@dataclass(frozen=True, slots=True)
class Comparison:
    """A value held against a level, with all that decides what is said of it."""

    value: float
    level: float
    sd: float  # of the change, were there none
    sd_of_two: float  # of that of the mean of two runs in a row
    df: float
    min_effect: float  # in the metric's unit
    rows: Rows | RowsSaid | None
    chance: float = 0.0  # of a run as bad, where the metric is mostly at one value; p is no less
    chance_again: float = 0.0  # of all runs in a row being as bad

    @property
    def change(self) -> float:
        return self.value - self.level

    def p_runs(self) -> float:
        """Return the one-sided p value in the direction of the change, against the spread of runs."""
        return max(self.chance, p_below(-abs(self.change), self.sd, self.df))

    def p_again(self) -> float:
        """Return the one-sided p value of two runs in a row that are both like this one."""
        return max(self.chance_again, p_below(-abs(self.change), self.sd_of_two, self.df))

    def p_rows(self) -> float | None:
        """Return the one-sided p value in the direction of the change, paired over examples."""
        if self.rows is None:
            return None
        below = self.rows.p_below()
        return below if self.change < 0 else 1 - below


def hold(
    value: float, spread: Spread, policy: MetricPolicy, rows: Rows | RowsSaid | None, past: EarlierRuns | None = None
) -> Comparison:
    """Hold *value* against the recent accepted runs; it must be unlikely also by the whole *past*."""
    effect = effect_at(policy, spread.level)
    held = Comparison(value, spread.level, spread.predictive_sd, spread.of_two(spread.n), spread.df, effect, rows)
    sign = policy.direction.sign
    if past is None or held.change * sign >= 0:
        return held
    low, high = range_of(policy, spread.level)
    few = study_few(past.values, high - low if math.isfinite(high - low) else 0.0)
    if few is None:
        return held
    alone, again = few.chance_of(sign * value, 1), few.chance_of(sign * value, past.row + 1)
    return replace(held, chance=alone, chance_again=again)


def hold_pinned(
    value: float, pinned: float, spread: Spread, policy: MetricPolicy, rows: Rows | RowsSaid | None
) -> Comparison:
    """Hold *value* against the pinned release: one run, with the spread that recent runs show."""
    effect = effect_at(policy, pinned)
    return Comparison(value, pinned, spread.sd * math.sqrt(2), spread.of_two(1), spread.df, effect, rows)


def weigh(
    held: Comparison, sign: int, levels: SignificanceLevels, p_runs: float, p_rows: float | None
) -> tuple[Outcome, Reason]:
    """Say whether the change is worth telling: all of spread, smallest effect and rows must agree."""
    if p_runs >= levels.runs:
        return Outcome.OK, Reason.WITHIN_SPREAD
    if abs(held.change) <= held.min_effect:
        return Outcome.OK, Reason.BELOW_MIN_EFFECT
    if p_rows is not None and p_rows >= levels.rows:
        return Outcome.OK, Reason.ROWS_AGREE
    return Outcome.SUSPICIOUS if held.change * sign < 0 else Outcome.IMPROVED, Reason.BEYOND_SPREAD


def describe(
    held: Comparison, policy: MetricPolicy, spread: Spread, levels: SignificanceLevels, runs: int | None = None
) -> Finding:
    """Return the finding on a whole metric with every number that led to it.

    The level rests on so many *runs*, where some of them are one result that was logged again.
    """
    if math.isnan(held.sd):
        return measure(held, policy, spread, levels, runs)
    p_runs, p_rows = held.p_runs(), held.p_rows()
    said = weigh(held, policy.direction.sign, levels, p_runs, p_rows)
    return _with_numbers(held, policy, spread, levels, runs, said, p_runs, p_rows)


def measure(
    held: Comparison, policy: MetricPolicy, spread: Spread, levels: SignificanceLevels, runs: int | None = None
) -> Finding:
    """Return the numbers of a comparison, not yet judged; of one earlier run alone, only how far off it is."""
    said = Outcome.INSUFFICIENT_DATA, Reason.FIRST_RUNS
    if not math.isnan(held.sd):
        return _with_numbers(held, policy, spread, levels, runs, said, held.p_runs(), held.p_rows())
    return Finding(
        metric=policy.name,
        outcome=Outcome.INSUFFICIENT_DATA,
        reason=Reason.FIRST_RUNS,
        value=held.value,
        baseline=held.level,
        change=held.change,
        p_rows=held.p_rows(),
        n_baseline=spread.n if runs is None else runs,
        n_examples=held.rows.n if held.rows else 0,
    )


def _with_numbers(
    held: Comparison,
    policy: MetricPolicy,
    spread: Spread,
    levels: SignificanceLevels,
    runs: int | None,
    said: tuple[Outcome, Reason],
    p_runs: float,
    p_rows: float | None,
) -> Finding:
    margin = t_quantile(0.975, held.df) * held.sd
    detectable = (t_quantile(1 - levels.runs, held.df) + t_quantile(POWER, held.df)) * held.sd
    outcome, reason = said
    return Finding(
        metric=policy.name,
        outcome=outcome,
        reason=reason,
        value=held.value,
        baseline=held.level,
        change=held.change,
        change_low=held.change - margin,
        change_high=held.change + margin,
        spread=spread.sd,
        p_runs=p_runs,
        p_rows=p_rows,
        detectable=None if spread.is_same else max(detectable, held.min_effect),  # none of their noise is known
        n_baseline=spread.n if runs is None else runs,
        n_examples=held.rows.n if held.rows else 0,
        method=Method.PREDICTIVE_AND_PAIRED_T if held.rows else Method.PREDICTIVE_T,
        # Asked of the second bad run alone, and so not worked out for the others.
        confirms=outcome is not Outcome.SUSPICIOUS or held.p_again() < levels.again_after(spread.n),
    )


def worse_of(recent: Finding, pinned: Finding) -> Finding:
    """Return the worse finding of the two baselines; the recent runs speak where both say the same."""
    return replace(pinned, against=Against.PINNED) if pinned.outcome.severity > recent.outcome.severity else recent
