"""What rules keep people from hearing, and when it is said after all: once, where it still stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from bot.domain.incidents import Incident, IncidentState, Kind, Step, Turn, speak
from bot.domain.judge.findings import whole_of
from bot.domain.last_words import NOTHING_SAID
from bot.domain.rules import Rule, RuleKind

_QUIET = frozenset({RuleKind.MUTE, RuleKind.ACCEPTED})
_OF_LEVELS = frozenset({RuleKind.EXPECTED, RuleKind.NOISE})
_WORDS = frozenset(
    {Turn.FILED, Turn.REPEATED, Turn.RESOLVED, Turn.CONFIRMED, Turn.REOPENED, Turn.RETURNED, Turn.WITHDRAWN}
)


def keeps_quiet(rule: Rule, incident: Incident) -> bool:
    """Say whether a rule, as long as it holds, keeps people from hearing of an incident.

    It is quiet about what had fallen when it was made: where a metric falls besides, that is said. An expected level
    and noise change what is found, and say nothing more about levels; of what is no level, such as a failed job, they
    are kept as silence.
    """
    if rule.kind is RuleKind.DUPLICATE:
        return rule.scope.incident_id == incident.incident_id
    if rule.kind not in _QUIET and not (rule.kind in _OF_LEVELS and rule.scope.problem is not Kind.REGRESSED):
        return False
    if rule.scope.series != incident.series or rule.scope.problem is not incident.kind:
        return False
    if not rule.scope.keys:
        return rule.scope.incident_id == incident.incident_id
    return all(key in rule.scope.keys or whole_of(key) in rule.scope.keys for key in incident.fallen)


def is_quiet(incident: Incident, rules: Iterable[Rule]) -> bool:
    """Say whether any of the rules, which hold, keeps people from hearing of an incident."""
    return any(keeps_quiet(rule, incident) for rule in rules)


def word_on(incident: Incident, rules: Iterable[Rule]) -> Rule | None:
    """Return somebody's word by which nobody need see to an incident now; of several *rules* that hold the longest."""
    said = [
        rule
        for rule in rules
        if keeps_quiet(rule, incident)
        or (rule.kind is RuleKind.FIXED and incident.watch and rule.scope.incident_id == incident.incident_id)
    ]
    return max(said, key=lambda rule: (rule.until is None, rule.until or rule.made_at), default=None)


def hush(steps: Iterable[Step], rules: Sequence[Rule], before: Iterable[Incident], now: datetime) -> tuple[Step, ...]:
    """Let people hear of the steps of a run only what no rule that holds keeps from them.

    *before* are the incidents as they stood. What was kept from people until now is said with the first bad run after.
    """
    known = {incident.incident_id: incident for incident in before}
    return tuple(_heed(step, rules, known.get(step.incident.incident_id), now) for step in steps)


def _heed(step: Step, rules: Sequence[Rule], before: Incident | None, now: datetime) -> Step:
    incident = step.incident
    if step.turn in {Turn.SUSPECTED, Turn.DISMISSED}:
        return step
    if is_quiet(incident, rules):
        if step.turn not in _WORDS:
            return replace(step, incident=replace(incident, is_hushed=True))
        told_at, last_word = (before.told_at, before.last_word) if before is not None else (None, NOTHING_SAID)
        return Step(replace(incident, is_hushed=True, told_at=told_at, last_word=last_word), Turn.HUSHED)
    if not incident.is_hushed:
        return step
    if incident.state.is_over:
        return step if incident.told_at is not None else Step(incident, Turn.HUSHED)
    return _say_again(incident, now) if step.turn in {Turn.REPEATED, Turn.COUNTED} else step


def say_again(standing: Iterable[Incident], rules: Sequence[Rule], now: datetime) -> tuple[Step, ...]:
    """Say of incidents which rules kept quiet that they still stand, where none of the *rules* that hold does any more.

    What is over, or was said again before, is said no more: a rule that ends late, or twice, ends nothing.
    """
    heard = (incident for incident in standing if incident.is_hushed and not is_quiet(incident, rules))
    return tuple(_say_again(incident, now) for incident in heard if incident.state is IncidentState.OPEN)


def _say_again(incident: Incident, now: datetime) -> Step:
    turn = Turn.FILED if incident.told_at is None else Turn.SAID_AGAIN
    return speak(replace(incident, is_hushed=False), turn, now)
