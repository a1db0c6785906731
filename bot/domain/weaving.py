"""A run that comes late, woven in where it ended: the runs after it are judged anew, and what is true now is told.

What was said of those runs is not said again. Only where the series stands otherwise than people were told does a step
come of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bot.domain.baselines import onsets_of
from bot.domain.checkpoints import OF_RUNS, Checkpoint, is_marked
from bot.domain.confirmation import settle_ruled
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Step, Turn, advance, mint_id, speak
from bot.domain.judge.findings import Finding, Outcome, SeriesState
from bot.domain.judged_run import JudgedRun
from bot.domain.policy import IncidentPolicy, Policies
from bot.domain.rerun_answers import Confirmation
from bot.domain.ruled_assessment import Grounds, RuledGrounds, assess_under, changing
from bot.domain.ruled_baselines import choose_both
from bot.domain.ruled_state import RuledAssessment, RuledState
from bot.domain.rules import Rule, in_force
from bot.domain.runs import RowsSaid, RunResult


@dataclass(frozen=True, slots=True)
class Rules:
    """What a series is judged by."""

    series: SeriesKey
    policies: Policies
    incidents: IncidentPolicy
    others: Sequence[SeriesState] = ()
    pinned: RunResult | None = None
    reruns: Mapping[str, Confirmation] = field(default_factory=dict)  # what they came to, by the run asked about
    answers: Sequence[Rule] = ()  # what people said of the series, and nobody took back


@dataclass(frozen=True, slots=True)
class Replay:
    """A series judged anew from a checkpoint on."""

    runs: tuple[JudgedRun, ...]  # oldest first
    assessments: tuple[RuledAssessment, ...]
    checkpoints: Mapping[str, Checkpoint]
    state: SeriesState
    ruled: RuledState | None
    latest: Mapping[Kind, Incident]  # by kind, whether it is over or not


def replay(
    start: Checkpoint,
    earlier: Sequence[JudgedRun],
    to_judge: Sequence[JudgedRun],
    late: tuple[Grounds, RuledGrounds],
    rules: Rules,
    marked: Collection[str] = (),
) -> Replay:
    """Judge runs anew in their order, by what is on record of them; the *late* one by all that it brings.

    *earlier* are the runs before them, *marked* those of which a checkpoint was kept.
    """
    state, ruled, known = start.state, start.ruled, {incident.kind: incident for incident in start.standing}
    done: list[JudgedRun] = []
    assessments: list[RuledAssessment] = []
    checkpoints: dict[str, Checkpoint] = {}
    before = list(earlier)
    ends = {judged.run.run_id: judged.run.ended for judged in (*earlier, *to_judge)}
    for judged in to_judge:
        _heed_answers(known, rules.answers, judged.judged_at)
        is_late = judged.run.run_id == late[0].run.run_id
        plain, told = late if is_late else recollect(judged, before, state, rules)
        said = judge_again(state, ruled, judged, plain, told, rules)
        if judged.run.run_id in rules.reruns:
            said = settle_ruled(rules.reruns[judged.run.run_id], said)
        state, ruled = said.told.state, said.ruled
        standing = [incident for incident in known.values() if not incident.state.is_over]
        for step in advance(standing, said.told, rules.series, rules.incidents, judged.judged_at, ends):
            known[step.incident.kind] = step.incident
        judged = anew(judged, said)  # noqa: PLW2901 - the same run, as it stands now
        before.append(judged)
        done.append(judged)
        assessments.append(said)
        if is_marked(state) or judged.run.run_id in marked:
            standing = [incident for incident in known.values() if not incident.state.is_over]
            checkpoints[judged.run.run_id] = Checkpoint(state, tuple(standing), ruled)
    for answer in rules.answers:
        _heed_answers(known, rules.answers, answer.made_at)
    return Replay(tuple(done), tuple(assessments), checkpoints, state, ruled, known)


def _heed_answers(known: dict[Kind, Incident], answers: Iterable[Rule], moment: datetime) -> None:
    """End an incident that people called expected, or noise, by a moment."""
    standing = known.get(Kind.REGRESSED)
    for rule in changing(answers, standing.series) if standing is not None else ():
        is_meant = rule.scope.problem is Kind.REGRESSED and rule.made_at <= moment
        if standing is not None and not standing.state.is_over and is_meant and standing.opened_at <= rule.made_at:
            known[Kind.REGRESSED] = replace(standing, state=IncidentState.RESOLVED, closed_at=rule.made_at)


def recollect(
    judged: JudgedRun, before: Sequence[JudgedRun], state: SeriesState, rules: Rules
) -> tuple[Grounds, RuledGrounds]:
    """Return a run, and what it is held against, as they are on record: without rules, and under those of its time."""
    metrics = rules.policies.names
    held = changing(in_force(rules.answers, judged.judged_at), rules.series)
    chosen = choose_both(before, metrics, onsets_of(state.streaks), held)
    found = [RunResult(each.run, each.card) for each in chosen.runs]
    pinned = rules.pinned if rules.pinned is not None and rules.pinned.run.place < judged.run.place else None
    alone, ruled = judged.without_rules.findings, judged.findings
    plain = chosen.grounds(_recalled(judged, alone), found, pinned, _slices(alone))
    return plain, chosen.ruled_grounds(_recalled(judged, ruled), found, pinned, _slices(ruled))


def _recalled(judged: JudgedRun, findings: Iterable[Finding]) -> RunResult:
    return RunResult(judged.run, judged.card, rows_said=rows_of(findings))


def _slices(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.part is not None)


def rows_of(findings: Iterable[Finding]) -> dict[str, RowsSaid]:
    """Return what the examples of a run said of its metrics."""
    return {
        finding.metric: RowsSaid(
            finding.n_examples, finding.p_rows if finding.change < 0 else 1 - finding.p_rows, finding.where
        )
        for finding in findings
        if finding.part is None and finding.p_rows is not None and finding.change is not None
    }


def judge_again(
    state: SeriesState, ruled: RuledState | None, judged: JudgedRun, plain: Grounds, told: RuledGrounds, rules: Rules
) -> RuledAssessment:
    """Judge a run; of one that failed, and of slices whose examples are not at hand, stands what was said."""
    if any(finding.outcome is Outcome.FAILED for finding in judged.findings):
        said = replace(judged.assessment, state=state)
        return RuledAssessment(said, said, ruled)
    return assess_under(ruled, state, plain, told, rules.policies, rules.others)


def anew(judged: JudgedRun, said: RuledAssessment) -> JudgedRun:
    told = said.told
    return replace(
        judged,
        findings=told.findings,
        outcome=told.outcome,
        accepted=said.plain.accepted,
        wants_confirmation=told.wants_confirmation,
        plain=None if said.plain.findings == told.findings else said.plain.findings,
    )


def settle(
    standing: Iterable[Incident], replayed: Replay, late: str, now: datetime, taken: Collection[str]
) -> tuple[Step, ...]:
    """Bring the incidents that people know of to what the replay shows; each keeps its name, and what it told.

    *taken* are the names of incidents that are over: one that opens now has a name of its own.
    """
    known = {incident.kind: incident for incident in standing if not incident.state.is_over}
    steps: list[Step] = []
    for kind in OF_RUNS:
        steps += settle_kind(known.get(kind), replayed.latest.get(kind), late, now, taken)
    return tuple(steps)


def settle_kind(
    told: Incident | None, shown: Incident | None, late: str, now: datetime, taken: Collection[str]
) -> Iterator[Step]:
    stands = shown is not None and not shown.state.is_over
    if shown is None or not stands:
        if told is not None:
            yield end(told, shown, now)
        return
    if told is None:
        new = mint_id(shown.series, shown.kind, f"{shown.opened_by} {late}")
        shown = replace(shown, incident_id=new if shown.incident_id in taken else shown.incident_id, opened_at=now)
        yield begin(shown, now)
        return
    if told.state is IncidentState.OPEN and shown.state is IncidentState.CANDIDATE:
        yield end(told, None, now)
        new = mint_id(shown.series, shown.kind, f"{shown.opened_by} {late}")
        yield begin(replace(shown, incident_id=new, opened_at=now), now)
        return
    merged = replace(
        shown,
        incident_id=told.incident_id,
        opened_by=told.opened_by,
        opened_at=told.opened_at,
        told_at=told.told_at,
        last_word=told.last_word,
        watch=told.watch,
        is_hushed=told.is_hushed,
        waits_since=told.waits_since,
        reminded_at=told.reminded_at,
        closed_by_people=told.closed_by_people,
        ticket_gone_at=told.ticket_gone_at,
        follows=told.follows,
        closed_at=None,
    )
    if told.state is not shown.state:
        yield begin(merged, now)
    elif merged.onset != told.onset and merged.state is IncidentState.OPEN:
        yield speak(merged, Turn.REPEATED, now)
    elif merged != told:
        yield Step(merged, Turn.COUNTED)


def begin(incident: Incident, now: datetime) -> Step:
    if incident.state is IncidentState.OPEN:
        return speak(incident, Turn.FILED, now)
    return Step(replace(incident, told_at=None), Turn.SUSPECTED)


def end(told: Incident, shown: Incident | None, now: datetime) -> Step:
    """End an incident: it has recovered, or with all runs in their places it never was for certain: it is withdrawn."""
    if told.state is IncidentState.CANDIDATE:
        return Step(replace(told, state=IncidentState.DISMISSED, closed_at=now), Turn.DISMISSED)
    over = replace(told, state=IncidentState.RESOLVED, closed_at=now, closed_by_herald=not told.closed_by_people)
    if shown is not None and shown.state is IncidentState.RESOLVED:
        over = replace(
            over, good_runs=shown.good_runs, recovered_at=shown.recovered_at, recovered_by=shown.recovered_by
        )
        return Step(over, Turn.RESOLVED)
    return Step(replace(over, good_runs=0, recovered_at=None, recovered_by=""), Turn.WITHDRAWN)
