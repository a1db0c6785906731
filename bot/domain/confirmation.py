"""Whether reruns show what one run let suspect, and whether it is the change that did it; from numbers alone.

A run that looks bad is made again with other seeds. Two levels are weighed against each other, by Wald's sequential
test (1945): the one from before, and one that is lower by most of what the run showed, since whoever is noticed for
being low was also unlucky. The ratio says `same`, `different` or `not yet`; then one more rerun is asked for, within
a budget. Where config says how the baseline's recipe is set, that is made again too: where it falls as well, it is not
the change, but the test set, the environment or the machine. The noise is taken at the upper 80 % limit of its
estimate: few runs make it look too small, and a spread that is believed too small is what makes accusations wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bot.domain.incidents import Incident, IncidentState, kind_of
from bot.domain.judge.findings import Assessment, Finding, Outcome, Reason, SeriesState, Streak
from bot.domain.judge.guards import broken_value
from bot.domain.judge.ranges import effect_at
from bot.domain.judge.spread import upper_limit
from bot.domain.policy import MetricLimit, MetricPolicy, Policies, settle
from bot.domain.recipes import BASELINE, OWN, Plan
from bot.domain.rerun_answers import Cause, Confirmation, RerunAnswer
from bot.domain.ruled_state import RuledAssessment

FALSE_SAME = 0.01  # of reruns of a healthy recipe that are called fallen
FALSE_DIFFERENT = 0.05  # of reruns of a fallen one that are called healthy
_SHRUNK = 2 / 3  # of the fall that was seen
_LEAST_SPREADS = 1.5  # a smaller fall no budget tells from luck


class Verdict(StrEnum):
    """What the reruns of one recipe say of one metric."""

    SAME = "same"  # they fell as the run did
    DIFFERENT = "different"  # they did not
    NOT_YET = "not_yet"


@dataclass(frozen=True, slots=True)
class Measured:
    """A rerun that is over: what it measured; nothing, where it failed."""

    recipe: str
    metrics: Mapping[str, float]


def doubtful(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return what reruns are asked about: whole metrics that look bad by one run."""
    return tuple(f for f in findings if f.part is None and not f.outcome.is_certain)


def confirm(run_id: str, findings: Sequence[Finding], done: Sequence[Measured], policies: Policies) -> Confirmation:
    """Say what the reruns that are *done* tell of the *findings* of a run that look bad."""
    answers = tuple(_answer(finding, done, policies) for finding in doubtful(findings))
    return Confirmation(run_id, answers, sum(not each.metrics for each in done))


def next_recipe(confirmation: Confirmation, done: int, plan: Plan) -> str | None:
    """Return the name of the recipe to make once more; None where all is settled, or as many *done* as may be."""
    if done >= plan.budget or not plan.reruns:
        return None
    causes = {answer.cause for answer in confirmation.answers}
    if Cause.NOT_YET in causes:
        return OWN
    return BASELINE if plan.has_baseline and Cause.SHOWN in causes else None


def _answer(finding: Finding, done: Sequence[Measured], policies: Policies) -> RerunAnswer:
    own = _values(finding, OWN, done, policies)
    baseline = _values(finding, BASELINE, done, policies)
    return RerunAnswer(finding.key, _cause(finding, own, baseline, policies), own, baseline, finding.outcome)


def _values(finding: Finding, recipe: str, done: Sequence[Measured], policies: Policies) -> tuple[float, ...]:
    """Return what reruns of a recipe have of a metric; what is no usable value says nothing."""
    policy = _policy(finding, policies)
    there = (each.metrics[finding.metric] for each in done if each.recipe == recipe and finding.metric in each.metrics)
    return tuple(settle(value) for value in there if policy is None or broken_value(value, policy) is None)


def _cause(finding: Finding, own: Sequence[float], baseline: Sequence[float], policies: Policies) -> Cause:
    match weigh(finding, own, policies):
        case Verdict.NOT_YET:
            return Cause.NOT_YET
        case Verdict.DIFFERENT:
            return Cause.LUCK
    match weigh(finding, baseline, policies):
        case Verdict.NOT_YET:
            return Cause.SHOWN
        case Verdict.DIFFERENT:
            return Cause.CHANGE
    return Cause.OUTSIDE


def weigh(finding: Finding, values: Sequence[float], policies: Policies) -> Verdict:
    """Say whether reruns fell as the run of a *finding* did."""
    if not values:
        return Verdict.NOT_YET
    if finding.outcome is Outcome.OUTSIDE:
        return _weigh_limit(finding, values, _limit(finding, policies))
    ratio = log_ratio(finding, values, _policy(finding, policies))
    if ratio >= math.log((1 - FALSE_DIFFERENT) / FALSE_SAME):
        return Verdict.SAME
    return Verdict.DIFFERENT if ratio <= math.log(FALSE_DIFFERENT / (1 - FALSE_SAME)) else Verdict.NOT_YET


def log_ratio(finding: Finding, values: Sequence[float], policy: MetricPolicy | None) -> float:
    """Return the logarithm of how much likelier reruns of these *values* are at the fallen level than at the old one.

    Both levels leave the runs' own spread around them; the old one is known from as many runs as the finding says.
    """
    level, change = finding.baseline, finding.change
    if level is None or change is None or not change:
        return 0.0
    n = max(finding.n_baseline, 1)
    sd = upper_limit(finding.spread or 0.0, n - 1) or 1e-9 * max(abs(level), abs(change))
    smallest = 0.0 if policy is None else effect_at(policy, level)
    fall = max(_SHRUNK * abs(change), smallest, _LEAST_SPREADS * sd)
    seen = math.copysign(1.0, change) * (sum(values) / len(values) - level)
    return fall * (seen - fall / 2) / (sd * sd * (1 / len(values) + 1 / n))


def _weigh_limit(finding: Finding, values: Sequence[float], limit: MetricLimit | None) -> Verdict:
    """Say whether reruns break a limit: as many make it certain as would in a row, or end it where they keep to it."""
    wanted = max(1, (2 if limit is None else limit.breaches) - 1)
    is_above = finding.reason is Reason.ABOVE_LIMIT
    held = math.inf if finding.limit is None else finding.limit
    broken = sum((value > held) if is_above else (value < held) for value in values)
    if broken >= wanted:
        return Verdict.SAME
    return Verdict.DIFFERENT if len(values) - broken >= wanted else Verdict.NOT_YET


def _policy(finding: Finding, policies: Policies) -> MetricPolicy | None:
    limits = (limit.policy for limit in policies.limits)
    return next((each for each in (*policies.metrics, *limits) if each.name == finding.metric), None)


def _limit(finding: Finding, policies: Policies) -> MetricLimit | None:
    return next((limit for limit in policies.limits if limit.name == finding.metric), None)


def settle_by(confirmation: Confirmation, said: Assessment) -> Assessment:
    """Return what is said of the run once its reruns have been: what they show is certain, what they do not was luck.

    Of what they could not tell nothing changes: the next run tells.
    """
    causes = {(answer.key, answer.outcome): answer.cause for answer in confirmation.answers}
    findings = tuple(_settled(finding, causes.get((finding.key, finding.outcome))) for finding in said.findings)
    return replace(said, findings=findings, state=_after(said.state, causes), wants_confirmation=False)


def settle_ruled(confirmation: Confirmation, said: RuledAssessment) -> RuledAssessment:
    """Settle what is said under rules, what would be said without them, and how the series stands under them."""
    ruled = said.ruled
    if ruled is not None:
        causes = {(answer.key, answer.outcome): answer.cause for answer in confirmation.answers}
        ruled = replace(ruled, state=_after(ruled.state, causes))
    told, plain = settle_by(confirmation, said.told), settle_by(confirmation, said.plain)
    return RuledAssessment(replace(told, state=plain.state), plain, ruled)


def concerned(confirmation: Confirmation, said: Assessment, standing: Iterable[Incident]) -> Assessment:
    """Return what is said of what reruns were asked about, with its slices: nothing else is told anew.

    Of what an open incident of those *standing* knows already nothing is told again.
    """
    kinds = {answer.key: kind_of(answer.outcome) for answer in confirmation.answers}
    known = {(each.kind, key) for each in standing if each.state is IncidentState.OPEN for key in each.fallen}
    about = (f for f in said.findings if f.metric in kinds and (kind_of(f.outcome), f.key) not in known)
    findings = (f for f in about if f.part is not None or kind_of(f.outcome) in {None, kinds[f.key]})
    return replace(said, findings=tuple(findings))


def is_candidate(incident: Incident, run_id: str) -> bool:
    """Say whether an incident waits for what comes of that run."""
    return incident.state is IncidentState.CANDIDATE and run_id in incident.bad_runs


def concerns(about: Assessment, incident: Incident) -> bool:
    """Say whether what reruns show of a run changes an incident: its candidate, or an open one that gets more."""
    if is_candidate(incident, about.run_id):
        return True
    certain = {kind_of(each.outcome) for each in about.findings if each.outcome.is_certain}
    return incident.state is IncidentState.OPEN and incident.kind in certain


def _settled(finding: Finding, cause: Cause | None) -> Finding:
    if finding.part is not None or cause in {None, Cause.NOT_YET}:
        return finding
    if cause is Cause.LUCK:
        return replace(finding, outcome=Outcome.OK, reason=Reason.NOT_REPRODUCED, onset=None)
    if finding.outcome is Outcome.OUTSIDE:
        return replace(finding, outcome=Outcome.BREACHED)
    return replace(finding, outcome=Outcome.REGRESSED, reason=Reason.CONFIRMED)


def _after(state: SeriesState, causes: Mapping[tuple[str, Outcome], Cause]) -> SeriesState:
    streaks, breaches = dict(state.streaks), dict(state.breaches)
    for (key, outcome), cause in causes.items():
        rows: dict[str, Streak] = breaches if outcome is Outcome.OUTSIDE else streaks
        if key not in rows or cause is Cause.NOT_YET:
            continue
        if cause is Cause.LUCK:
            del rows[key]
        else:
            rows[key] = replace(rows[key], confirmed=True)
    return replace(state, streaks=streaks, breaches=breaches)
