"""What an answer comes to: the rule that holds from now on, and how its incident goes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from bot.domain.commands import Accept, CallNoise, Command, Expected, Fixed, Mute
from bot.domain.incidents import UNSEEN, Incident, IncidentState, Kind, Watch
from bot.domain.judge.findings import Finding
from bot.domain.rules import Bar, Person, Rule, RuleKind, SaidAt, Scope

_ENDING = frozenset({RuleKind.EXPECTED, RuleKind.NOISE})
_SILENCES = frozenset({RuleKind.MUTE, RuleKind.ACCEPTED, RuleKind.DUPLICATE})
_SUPERSEDED = {  # what a later word on the same incident takes the place of, or the end that it names would not be one
    RuleKind.FIXED: _SILENCES | {RuleKind.FIXED},
    RuleKind.NOISE: frozenset({RuleKind.NOISE}),
    **dict.fromkeys(_SILENCES, _SILENCES),
}


class Unanswerable(StrEnum):
    """Why an answer changes nothing."""

    OVER = "over"  # the incident had ended before
    LOOP = "loop"  # it would repeat itself, however many others lie between
    PAST = "past"  # it would have lapsed already


@dataclass(frozen=True, slots=True)
class AnswerPolicy:
    """How long an answer holds that does not say so itself."""

    noise_lasts: timedelta = timedelta(days=30)
    accepted_lasts: timedelta = timedelta(days=90)
    watch_runs: int = 3  # good ones that confirm a fix


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer that changes what is judged or said, whether a resolution, a command or by hand."""

    kind: RuleKind
    author: Person
    said_at: SaidAt
    reason: str = ""
    until: datetime | None = None  # None: as long as config says
    joins: str = ""  # DUPLICATE: the other incident's id, or the key of a ticket that is none of ours
    repeats: str = ""  # DUPLICATE: the other ticket's key


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer comes to."""

    incident: Incident
    rule: Rule  # without a number as yet
    replaces: tuple[Rule, ...] = ()  # rules that whoever answered takes back by it
    closes: bool = False  # the incident is over by it


def asked_by(command: Command, author: Person, said_at: SaidAt, now: datetime, zone: ZoneInfo) -> Asked | None:
    """Read a command as an answer; None where it only asks something. A day ends at midnight in *zone*."""
    match command:
        case Fixed(reason):
            return Asked(RuleKind.FIXED, author, said_at, reason)
        case Expected(reason):
            return Asked(RuleKind.EXPECTED, author, said_at, reason)
        case CallNoise(lasts, reason):
            return Asked(RuleKind.NOISE, author, said_at, reason, now + lasts)
        case Mute(lasts, reason):
            return Asked(RuleKind.MUTE, author, said_at, reason, now + lasts)
        case Accept(until, reason):
            end = datetime.combine(until + timedelta(days=1), time(), zone)
            return Asked(RuleKind.ACCEPTED, author, said_at, reason, end)
        case _:
            return None


def answer(
    incident: Incident,
    asked: Asked,
    policy: AnswerPolicy,
    now: datetime,
    in_force: Sequence[Rule] = (),
    findings: Iterable[Finding] = (),
) -> Answered | Unanswerable:
    """Decide what an answer comes to. *in_force* are all rules that hold, *findings* those of the newest bad run.

    A candidate, of which nobody was told, and an incident that is over can be answered as far as that has a meaning.
    """
    until = _until(incident, asked, policy, now)
    if until is not None and until <= now:
        return Unanswerable.PAST
    if incident.state.is_over and asked.kind in {RuleKind.EXPECTED, RuleKind.DUPLICATE, RuleKind.ACCEPTED}:
        return Unanswerable.OVER
    if asked.kind is RuleKind.DUPLICATE and _leads_to(asked.joins, incident.incident_id, in_force):
        return Unanswerable.LOOP
    rule = Rule(
        number=0,
        kind=asked.kind,
        scope=Scope(incident.series, tuple(sorted(incident.fallen)), incident.incident_id, incident.kind),
        author=asked.author,
        said_at=asked.said_at,
        made_at=now,
        reason=asked.reason,
        from_run=incident.onset,
        to_run=incident.bad_runs[-1] if incident.bad_runs else "",
        bars=_bars(incident, findings) if asked.kind is RuleKind.NOISE else (),
        joins=asked.joins,
        repeats=asked.repeats,
        until=until,
    )
    mine = [each for each in in_force if each.scope.incident_id == incident.incident_id]
    replaces = tuple(each for each in mine if each.kind in _SUPERSEDED.get(asked.kind, ()))
    after, closes = _go_on(incident, asked.kind, policy, now)
    return Answered(after, rule, replaces, closes)


def take_back(rule: Rule, incident: Incident) -> Incident:
    """Let an incident go on as though a rule had not been made; what ended with the rule stays over.

    What falls still is found again by the next run, as what would have been found without the rule.
    """
    if rule.kind is RuleKind.FIXED and incident.watch is not None:
        return replace(incident, watch=None, is_hushed=True)
    return incident


def ended_by(incident: Incident, rules: Iterable[Rule]) -> Rule | None:
    """Return the answer by which an incident is over; None where what had fallen came back by itself."""
    own = (rule for rule in rules if rule.scope.incident_id == incident.incident_id and rule.kind in _ENDING)
    return next((rule for rule in own if rule.made_at == incident.closed_at), None)


def _until(incident: Incident, asked: Asked, policy: AnswerPolicy, now: datetime) -> datetime | None:
    """Return when an answer lapses: no silence is without a date, but that of another incident's end."""
    if asked.until is not None:
        return asked.until
    match asked.kind:
        case RuleKind.NOISE:
            return now + policy.noise_lasts
        case RuleKind.ACCEPTED | RuleKind.MUTE:
            return now + policy.accepted_lasts
        case RuleKind.EXPECTED if incident.kind is not Kind.REGRESSED:
            return now + policy.accepted_lasts
        case _:
            return None


def _go_on(incident: Incident, kind: RuleKind, policy: AnswerPolicy, now: datetime) -> tuple[Incident, bool]:
    """Return the incident after the answer, and whether it is over by it."""
    if incident.state.is_over:
        return incident, False
    match kind:
        case RuleKind.FIXED if incident.kind in UNSEEN:
            return replace(incident, is_hushed=False), False
        case RuleKind.FIXED:
            return replace(incident, watch=Watch(now, policy.watch_runs), good_runs=0, is_hushed=False), False
        case _ if kind in _ENDING and incident.kind is Kind.REGRESSED:
            return replace(incident, state=IncidentState.RESOLVED, closed_at=now, watch=None), True
        case _:
            return replace(incident, is_hushed=True), False


def _leads_to(joins: str, incident_id: str, in_force: Iterable[Rule]) -> bool:
    """Say whether one incident repeats the other, straight or by way of others."""
    joined = {rule.scope.incident_id: rule.joins for rule in in_force if rule.kind is RuleKind.DUPLICATE}
    seen: set[str] = set()
    while joins and joins not in seen:
        if joins == incident_id:
            return True
        seen.add(joins)
        joins = joined.get(joins, "")
    return False


def _bars(incident: Incident, findings: Iterable[Finding]) -> tuple[Bar, ...]:
    """Return how far each part of the incident had fallen: as a level, or in its worst run."""
    worst = {each.key: each.value for each in incident.worst}
    bars = []
    for finding in findings:
        if finding.key in incident.fallen and finding.change is not None:
            lowest = worst.get(finding.key, finding.value)
            deepest = 0.0 if lowest is None or finding.baseline is None else abs(lowest - finding.baseline)
            bars.append(Bar(finding.key, max(abs(finding.change), deepest), finding.baseline))
    return tuple(bars)
