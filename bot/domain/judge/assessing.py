"""Every metric and slice of one run judged together, from the past alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.domain.judge.absence import is_among, miss, undefined_in
from bot.domain.judge.acceptance import baseline_since, heed_acceptance
from bot.domain.judge.alignment import Alignment
from bot.domain.judge.caveats import caveat_of
from bot.domain.judge.compare import LEVELS, EarlierRuns, describe, hold, hold_pinned, measure, worse_of
from bot.domain.judge.decay import watch_decay
from bot.domain.judge.findings import Assessment, Finding, Outcome, Reason, SeriesState, Streak
from bot.domain.judge.guards import broken_value, check_data
from bot.domain.judge.kin import Kin, expect, gather
from bot.domain.judge.limits import hold_limits
from bot.domain.judge.logged_again import is_logged_again, made_by
from bot.domain.judge.many_metrics import effective_number, extra_evidence
from bot.domain.judge.over_time import least_seen, name_onset, smallest_effect, tell, watch_metric
from bot.domain.judge.paired import Rows
from bot.domain.judge.slice_views import Remembered
from bot.domain.judge.slices import judge_slices, note_unfit
from bot.domain.judge.spread import estimate_spread
from bot.domain.judge.streaks import BAD, follow_streaks
from bot.domain.judge.track import WINDOW, Signal, Track, accept_fall
from bot.domain.judge.track_numbers import from_numbers, to_numbers
from bot.domain.policy import LARGEST, MetricPolicy, Policies, is_usable, settle
from bot.domain.runs import Baseline, RowsSaid, RunResult

FALLS = frozenset({Signal.FELL, Signal.FELL_FURTHER, Signal.FALLEN})
CONTRADICTED = 0.5  # p of the rows from which on they say that this run is no worse


@dataclass(frozen=True, slots=True)
class Watched:
    """A metric's track and the runs it was made of."""

    track: Track
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Company:
    """What is known of a metric by those beside it."""

    kin: tuple[Kin, ...]  # how much they move by themselves
    number: float  # of independent metrics that are as often wrong by chance


def assess(
    state: SeriesState,
    run: RunResult,
    baseline: Baseline,
    policies: Policies,
    others: Sequence[SeriesState] = (),
    slices: Sequence[Finding] = (),
    company: Company | None = None,
) -> Assessment:
    """Judge every metric and slice of *run* together, from the past alone.

    From the pipeline's *other* series it is learnt how much a metric moves by itself. What is known of its *slices*
    stands for examples that are not at hand, and the *company* for metrics that the policies leave out.
    """
    state = heed_acceptance(state, baseline, policies)
    company = company or keep_company(state, run, baseline, policies, others)
    moved = check_data(run.card, baseline.newest.recent, policies.guards)
    is_again = is_logged_again(run, state, policies)
    alignment = None if run.examples is None else Alignment(run.examples)
    found: list[Finding] = []
    memory, watched, levels = dict(state.memory), dict(state.watched), dict(state.levels)
    for policy in policies.metrics:
        longest = baseline_since(baseline.of(policy.name), state.level_from.get(policy.name))
        since = longest.newest
        if policy.name not in run.run.metrics:
            is_known = policy.name in state.memory or is_among(policy.name, baseline)
            found += miss(policy, is_known=is_known, is_undefined=policy.name in undefined_in(run))
            continue
        before = recall(state, since, policy, policies)
        past = past_of(before.track, state.streaks.get(policy.name))
        finding = judge_run(run, since, policy, policies, company, past, alignment)
        if moved or finding.outcome is Outcome.INVALID:
            found.append(distrust(finding))
            continue
        after, finding = (
            (before, replace(finding, confirms=False))
            if is_again
            else judge_over_time(before, run.run_id, finding, policy, policies, company)
        )
        memory[policy.name], watched[policy.name] = to_numbers(after.track), after.runs
        best = state.levels.get(policy.name, ())
        levels[policy.name], finding = watch_decay(
            best, longest.recent, run, finding, after.track, policy, policies, company.number
        )
        if finding.outcome in BAD:
            earlier = past if after.track.fall is None else after.track
            finding = replace(finding, caveat=caveat_of(earlier.values, finding.change))
        known = [each for each in slices if each.metric == policy.name]
        if alignment is not None:
            parts = judge_slices(alignment, longest, policy, policies, Remembered(state.unfit, state.streaks))
            known += parts.findings
            finding = replace(finding, where=parts.where)
        elif policy.name in run.rows_said:
            finding = replace(finding, where=run.rows_said[policy.name].where)
        found += [finding, *known]
    findings, streaks = follow_streaks(state.streaks, found, run.run_id)
    limits = hold_limits(state.breaches, run, baseline, policies)
    findings = (*findings, *limits.findings)
    doubtful = any(f.part is None and not f.outcome.is_certain for f in findings)
    return Assessment(
        run_id=run.run_id,
        findings=(*moved, *findings),
        state=SeriesState(
            state.judged + 1,
            streaks,
            memory,
            state.level_from,
            watched,
            levels,
            note_unfit(state.unfit, findings, run.run_id, baseline),
            made_by(run),
            limits.breaches,
        ),
        wants_confirmation=doubtful and policies.confirm_reruns > 0,
    )


def keep_company(
    state: SeriesState, run: RunResult, baseline: Baseline, policies: Policies, others: Sequence[SeriesState]
) -> Company:
    """Learn from the metrics beside each, and from the same ones of *other* series."""
    return Company(gather_kin(state, baseline, policies, others), count_metrics(run, baseline, policies))


def gather_kin(
    state: SeriesState, baseline: Baseline, policies: Policies, others: Sequence[SeriesState]
) -> tuple[Kin, ...]:
    """Gather what the metrics of this series and of the *others* show of how much such metrics move by themselves."""
    if len(policies.metrics) == 1 and not others:
        return ()
    own = {
        policy.name: usable_runs(
            baseline_since(baseline.of(policy.name), state.level_from.get(policy.name)).newest, policy
        )[1]
        for policy in policies.metrics
    }
    watched = [{name: from_numbers(numbers).values for name, numbers in other.memory.items()} for other in others]
    return gather(policies.metrics, own, watched)


def count_metrics(run: RunResult, baseline: Baseline, policies: Policies) -> float:
    """Return how many independent metrics the run has in effect, by how they moved together in accepted runs."""
    there = [policy for policy in policies.metrics if policy.name in run.run.metrics]
    if len(there) < 2:  # noqa: PLR2004 - one is one
        return float(len(there) or 1)
    recent = baseline.newest.recent
    values = [{result.run_id: metric_of(result, policy) for result in recent} for policy in there]
    known = [
        {run_id: v for run_id, v in each.items() if policy.holds(v)} for policy, each in zip(there, values, strict=True)
    ]
    return effective_number(known)


def usable_runs(baseline: Baseline, policy: MetricPolicy) -> tuple[list[RunResult], list[float]]:
    """Return the recent runs in which a metric can be compared with others, and its values."""
    runs, values = [], []
    name, lower, upper = policy.name, max(policy.lower, -LARGEST), min(policy.upper, LARGEST)
    for result in baseline.recent:
        value = settle(result.run.metrics.get(name, math.nan))
        if lower <= value <= upper:  # as the policy holds it
            runs.append(result)
            values.append(value)
    return runs, values


def past_of(track: Track, streak: Streak | None) -> EarlierRuns:
    """Return the earlier runs of a metric up to the bad runs in a row that this one may belong to."""
    if streak is None or track.fall is not None:
        return EarlierRuns(track.values)
    return EarlierRuns(track.values[: -streak.length], streak.length)


def judge_run(
    run: RunResult,
    baseline: Baseline,
    policy: MetricPolicy,
    policies: Policies,
    company: Company,
    past: EarlierRuns | None = None,
    alignment: Alignment | None = None,
) -> Finding:
    """Judge a whole metric of one run by itself, against the recent runs and the pinned release."""
    value = run.run.metrics[policy.name]
    usable, values = usable_runs(baseline, policy)
    broken = broken_value(value, policy)
    if broken is not None:
        return Finding(policy.name, Outcome.INVALID, broken, value=value)
    value = settle(value)
    if not usable:
        return Finding(policy.name, Outcome.NO_BASELINE, Reason.FIRST_RUNS, value=value)
    spread = estimate_spread(values, expect(policy, values, company.kin))
    held = hold(value, spread, policy, rows_against(run, usable, policy, alignment), past)
    levels = LEVELS[policies.preset].for_many(company.number)
    if len(usable) < policies.min_runs:
        return measure(held, policy, spread, levels, len(usable))
    finding = describe(held, policy, spread, levels, len(usable))
    pinned = baseline.pinned
    if pinned is None or not policy.holds(metric_of(pinned, policy)):
        return finding
    rows = rows_against(run, [pinned], policy, alignment)
    decayed = hold_pinned(value, metric_of(pinned, policy), spread, policy, rows)
    return worse_of(finding, describe(decayed, policy, spread, levels.against_release()))


def recall(state: SeriesState, baseline: Baseline, policy: MetricPolicy, policies: Policies) -> Watched:
    """Return what is remembered of a metric: from the state, or from the accepted runs where that is of no use."""
    track = from_numbers(state.memory.get(policy.name, ()))
    levels = track.values if track.fall is None else (*track.values, track.fall.level, track.fall.low)
    if not track.seen or not (is_usable(max(levels, default=0.0)) and is_usable(min(levels, default=0.0))):
        return replay(baseline.recent, policy, policies)
    return Watched(track, state.watched.get(policy.name, ()))


def replay(runs: Sequence[RunResult], policy: MetricPolicy, policies: Policies) -> Watched:
    """Watch accepted runs that were there before the judge was."""
    track, ids = Track(), []
    for result in runs:
        value = metric_of(result, policy)
        if policy.holds(value):
            track, _ = watch_metric(track, value, policy, policies.preset)
            track = accept_fall(track)
            ids.append(result.run_id)
    return Watched(track, tuple(ids))


def judge_over_time(
    before: Watched, run_id: str, alone: Finding, policy: MetricPolicy, policies: Policies, company: Company
) -> tuple[Watched, Finding]:
    """Add what the runs together say to what the run says alone: the worse of both, where the rows do not object."""
    assert alone.value is not None  # invalid runs are not watched
    effect = smallest_effect(before.track, policy)
    extra = extra_evidence(company.number)
    track, view = watch_metric(before.track, alone.value, policy, policies.preset, extra)
    after = Watched(track, newest_of((*before.runs, run_id), track))
    fell = view.sight in FALLS and alone.n_baseline >= policies.min_runs
    if fell and not rows_allow(alone, policy):
        return after, alone
    if fell or (view.sight is Signal.ROSE and alone.outcome is Outcome.OK):
        together = tell(view, alone.value, effect, policy, policies.preset, extra)
        together = name_onset(together, lambda count: after.runs[max(count - track.seen, -len(after.runs))])
        return after, replace(together, p_rows=alone.p_rows, n_examples=alone.n_examples)
    if view.sight not in {Signal.LONE, Signal.TOO_FEW}:
        seen = least_seen(view, effect, policies.preset, extra)
        if alone.detectable is None or seen < alone.detectable:
            alone = replace(alone, detectable=seen)
    return after, alone


def newest_of(runs: tuple[str, ...], track: Track) -> tuple[str, ...]:
    """Return the newest of *runs*; before them the one at which a fall that still stands began, however long ago."""
    if track.fall is not None and len(runs) > WINDOW and track.fall.onset <= track.seen - len(runs):
        return (runs[0], *runs[-WINDOW + 1 :])
    return runs[-WINDOW:]


def rows_allow(alone: Finding, policy: MetricPolicy) -> bool:
    """Say whether the rows of this run, if any, show a fall too."""
    if alone.p_rows is None or alone.change is None:
        return True
    worse = alone.change * policy.direction.sign < 0
    return alone.p_rows < CONTRADICTED if worse else alone.p_rows >= CONTRADICTED


def metric_of(result: RunResult, policy: MetricPolicy) -> float:
    return settle(result.run.metrics.get(policy.name, math.nan))


def rows_against(
    run: RunResult, others: Sequence[RunResult], policy: MetricPolicy, alignment: Alignment | None
) -> Rows | RowsSaid | None:
    """Line up *run* with those of *others* that brought per-example results; or recall what they said before."""
    if alignment is None:
        return run.rows_said.get(policy.name)
    return alignment.whole(policy.name, {other.run_id: other.examples for other in others if other.examples})


def distrust(finding: Finding) -> Finding:
    """Call a comparison invalid that data which changed underneath has made worthless."""
    if finding.outcome is Outcome.INVALID:
        return finding
    return replace(finding, outcome=Outcome.INVALID, reason=Reason.DATA_CHANGED)
