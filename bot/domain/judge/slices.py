"""Where a metric moved: every slice held against its own baseline, corrected for how many slices there are.

One run that is low in a slice is named, which explains. That a slice fell is told of its newest runs together, and
then it is a problem of its own, unless another slice only drags it along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.domain.judge.alignment import Alignment
from bot.domain.judge.compare import LEVELS, Comparison, hold, measure, weigh
from bot.domain.judge.explaining import Explaining, leave_out_dragged
from bot.domain.judge.findings import Finding, Outcome, Reason, Streak, key_of
from bot.domain.judge.paired import holm
from bot.domain.judge.slice_levels import SliceFall, SliceNoise, find_fall, is_back, spread_of, study
from bot.domain.judge.slice_views import Remembered, SliceView, Table, view_families
from bot.domain.judge.smallest_set import family_weights
from bot.domain.judge.spread import Spread
from bot.domain.judge.streaks import BAD
from bot.domain.policy import MetricPolicy, Policies, Preset
from bot.domain.runs import Baseline, Where

FAMILY_LEVEL = 0.05  # chance that a healthy run has any slice named
FALL_LEVEL = {Preset.QUIET: 0.0005, Preset.SENSITIVE: 0.0015}  # chance that one of its slices is said to have fallen
CONTRADICTED = 0.5  # p of the rows from which on they say that this run is no worse
UNFIT_KEPT = 40  # runs a slice, more than any baseline looks back over


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


@dataclass(frozen=True, slots=True)
class SlicesSaid:
    """What is said of the slices of one metric."""

    findings: tuple[Finding, ...] = ()
    where: Where | None = None  # None: there are no slices


def judge_slices(
    alignment: Alignment, baseline: Baseline, policy: MetricPolicy, policies: Policies, remembered: Remembered
) -> SlicesSaid:
    """Return a finding for every slice with enough examples, and the smallest set that explains a fall.

    Of combinations of two columns only those have a finding that are low, or were at the run before.
    """
    tables = {result.run_id: result.examples for result in baseline.recent if result.examples is not None}
    table = Table(alignment, tables, policy, policies)
    whole = table.whole() if policies.slice_by or policies.slice_pairs else None
    if whole is None:
        return SlicesSaid()
    families = list(view_families(table, remembered))
    held = [one for family in families for one in compare_all(family.views, policy, policies)]
    weights = family_weights([len(family.views) for family in families])
    named = holm([one.p_value() for one in held], weights)
    fallen = holm([one.p_fall() for one in held], weights)
    loss = whole.lost * policy.direction.sign < 0
    findings = []
    for one, p_named, p_fallen, weight in zip(held, named, fallen, weights, strict=True):
        streak = remembered.streaks.get(key_of(policy.name, one.view.part))
        finding = say(one, p_named, p_fallen, streak, policy, policies, of=sum(weights) / weight)
        share = one.view.rows.lost / whole.lost if loss else None
        findings.append(replace(finding, part=one.view.part, share_of_loss=share))
    noise = [one.spread.predictive_sd for one in held]
    explained = Explaining(table, [one.view for one in held], weights, noise, whole)
    findings = leave_out_dragged(findings, explained)
    where = explained.where([i for i, f in enumerate(findings) if f.outcome in BAD] if loss else [], families)
    return SlicesSaid(tuple(f for f in findings if is_of_note(f, remembered)), where)


def is_of_note(finding: Finding, remembered: Remembered) -> bool:
    """Say whether a finding is put on record: of combinations there may be hundreds that nobody asks about."""
    assert finding.part is not None
    return finding.part.within is None or finding.outcome in BAD or finding.key in remembered.streaks


def compare_all(views: Sequence[SliceView], policy: MetricPolicy, policies: Policies) -> list[SliceComparison]:
    noise = study([view.runs for view in views])
    return [compare(view, noise, policy, policies) for view in views]


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
    of: float,
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


def note_unfit(
    unfit: Mapping[str, tuple[str, ...]], findings: Iterable[Finding], run_id: str, baseline: Baseline
) -> dict[str, tuple[str, ...]]:
    """Note that runs are no baseline for the slices in which they were bad, however good they are as a whole."""
    after = dict(unfit)
    for finding in findings:
        if finding.part is not None and finding.outcome in BAD:
            ids = [result.run_id for result in baseline.recent]
            since = ids[ids.index(finding.onset) :] if finding.onset in ids else []
            after[finding.key] = tuple(dict.fromkeys((*unfit.get(finding.key, ()), *since, run_id)))[-UNFIT_KEPT:]
    return after
