"""A run judged under the rules that people's answers made, beside how it is judged without them.

What a series carries on is always what it would be without rules. So a rule that is taken back leaves nothing behind:
the next run is judged as though it had never been made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bot.domain.incidents import Kind, SeriesKey
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState, assess
from bot.domain.judge.answered_levels import expect_level, forget_falls, forget_series
from bot.domain.judge.findings import whole_of
from bot.domain.judge.ranges import effect_at
from bot.domain.policy import MetricPolicy, MinEffect, Policies
from bot.domain.ruled_state import RuledAssessment, RuledState
from bot.domain.rules import Bar, Rule, RuleKind
from bot.domain.runs import Baseline, RunResult

_AT_LEAST = 2.0  # times the smallest effect that matters: so much less sensitive is what somebody called noise
_MARGIN = 1.2  # times the fall that was called noise: the next one like it may go a little further


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a run is judged from: what it is held against, and what is known of its slices without its examples."""

    run: RunResult
    baseline: Baseline
    slices: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True)
class RuledGrounds(Grounds):
    """The same under rules that change what is found."""

    rules: tuple[Rule, ...] = ()
    since: Mapping[int, frozenset[str]] = field(default_factory=dict)  # by rule: runs of before its level


def changing(rules: Iterable[Rule], series: SeriesKey) -> tuple[Rule, ...]:
    """Return the rules that change what is found in a series, in the order of their numbers."""
    mine = (rule for rule in rules if rule.scope.series == series and _changes(rule))
    return tuple(sorted(mine, key=lambda rule: rule.number))


def _changes(rule: Rule) -> bool:
    if rule.scope.problem is Kind.INVALID:  # data that changed: what is out of bounds stays so
        return rule.kind is RuleKind.EXPECTED
    return rule.scope.problem is Kind.REGRESSED and rule.kind in {RuleKind.EXPECTED, RuleKind.NOISE}


def assess_under(
    ruled: RuledState | None,
    state: SeriesState,
    plain: Grounds,
    told: RuledGrounds,
    policies: Policies,
    others: Sequence[SeriesState] = (),
) -> RuledAssessment:
    """Judge a run without rules, for what its series carries on, and under them, for what is said; else only once."""
    without = assess(state, plain.run, plain.baseline, policies, others, plain.slices)
    if not told.rules:
        return RuledAssessment(without, without)
    numbers = tuple(rule.number for rule in told.rules)
    if ruled is None or ruled.numbers != numbers:
        ruled = RuledState(numbers, _begin(state, told.rules))
    raised = _raise_bars(policies, told.rules)
    before = _leave_out(ruled.state, told)
    under = assess(before, told.run, told.baseline, raised, others, told.slices)
    findings = tuple(_weigh(finding, told.rules, policies) for finding in under.findings)
    quiet = {finding.key for finding, kept in zip(under.findings, findings, strict=True) if finding is not kept}
    after = replace(under.state, streaks={key: s for key, s in under.state.streaks.items() if key not in quiet})
    said = Assessment(under.run_id, findings, without.state, under.wants_confirmation)
    return RuledAssessment(said, without, RuledState(numbers, after))


def _begin(state: SeriesState, rules: Iterable[Rule]) -> SeriesState:
    """Let a series stand as rules have it that hold from now on."""
    for rule in rules:
        if rule.scope.problem is Kind.INVALID:
            state = forget_series(state)
        elif rule.kind is RuleKind.EXPECTED:
            state = expect_level(state, rule.scope.keys, rule.to_run)
        else:
            state = forget_falls(state, rule.scope.keys)
    return state


def _leave_out(state: SeriesState, told: RuledGrounds) -> SeriesState:
    """Let runs of before an expected level be no baseline of the slices that have it; of metrics they are none."""
    unfit = dict(state.unfit)
    for rule in told.rules:
        for key in rule.scope.keys:
            if rule.kind is RuleKind.EXPECTED and whole_of(key) != key:
                before = [r.run_id for r in told.baseline.recent if r.run_id in told.since.get(rule.number, ())]
                unfit[key] = tuple(dict.fromkeys((*before, *unfit.get(key, ()))))
    return replace(state, unfit=unfit)


def _raise_bars(policies: Policies, rules: Iterable[Rule]) -> Policies:
    raised = {policy.name: policy for policy in policies.metrics}
    for rule in rules:
        bars = {bar.key: bar for bar in rule.bars}
        for key in rule.scope.keys if rule.kind is RuleKind.NOISE else ():
            if key in raised:
                raised[key] = _raise(raised[key], bars.get(key))
    return replace(policies, metrics=tuple(raised.values()))


def _raise(policy: MetricPolicy, bar: Bar | None) -> MetricPolicy:
    size = 0.0 if bar is None else _MARGIN * bar.size
    usual = effect_at(policy, bar.level) if bar is not None and bar.level is not None else 0.0
    if policy.min_effect.value and (usual or not size):
        times = max(_AT_LEAST, size / usual if usual else 0.0)
        return replace(policy, min_effect=replace(policy.min_effect, value=times * policy.min_effect.value))
    return replace(policy, min_effect=MinEffect(size, relative=False))


def _weigh(finding: Finding, rules: Iterable[Rule], policies: Policies) -> Finding:
    """Let a slice's fall be none that is as small as what somebody called noise."""
    if finding.part is None or finding.outcome not in {Outcome.SUSPICIOUS, Outcome.REGRESSED}:
        return finding
    noise = [rule for rule in rules if rule.kind is RuleKind.NOISE and finding.key in rule.scope.keys]
    if not noise or finding.change is None:
        return finding
    usual = policies.slice_min_effect.against(finding.baseline or 0.0)
    sizes = [bar.size for rule in noise for bar in rule.bars if bar.key == finding.key]
    if abs(finding.change) > max(_AT_LEAST * usual, *(_MARGIN * size for size in sizes), 0.0):
        return finding
    return replace(finding, outcome=Outcome.OK, reason=Reason.BELOW_MIN_EFFECT, onset=None)
