"""A run that comes late, woven in where it ended: the runs after it are judged anew, and what is true now is told.

What was said of those runs is not said again. Only where the series stands otherwise than people were told does a step
come of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.domain.baselines import BASELINE_RUNS, choose_baseline, onsets_of
from bot.domain.checkpoints import OF_RUNS, Checkpoint, is_marked
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Step, Turn, advance, mint_id, speak
from bot.domain.judge import Assessment, SeriesState, assess
from bot.domain.judge.findings import Finding, Outcome
from bot.domain.judged_run import JudgedRun
from bot.domain.policy import IncidentPolicy, Policies
from bot.domain.runs import Baseline, RowsSaid, RunResult


@dataclass(frozen=True, slots=True)
class Rules:
    """What a series is judged by."""

    series: SeriesKey
    policies: Policies
    incidents: IncidentPolicy
    others: Sequence[SeriesState] = ()
    pinned: RunResult | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """A series judged anew from a checkpoint on."""

    runs: tuple[JudgedRun, ...]  # oldest first
    assessments: tuple[Assessment, ...]
    checkpoints: Mapping[str, Checkpoint]
    state: SeriesState
    latest: Mapping[Kind, Incident]  # by kind, whether it is over or not


def replay(
    start: Checkpoint,
    earlier: Sequence[JudgedRun],
    to_judge: Sequence[JudgedRun],
    late: tuple[RunResult, Baseline],
    rules: Rules,
    marked: Collection[str] = (),
) -> Replay:
    """Judge runs anew in their order, by what is on record of them; the *late* one by all that it brings.

    *earlier* are the runs before them, *marked* those of which a checkpoint was kept.
    """
    state, known = start.state, {incident.kind: incident for incident in start.standing}
    done: list[JudgedRun] = []
    assessments: list[Assessment] = []
    checkpoints: dict[str, Checkpoint] = {}
    before = list(earlier)
    ends = {judged.run.run_id: judged.run.ended for judged in (*earlier, *to_judge)}
    for judged in to_judge:
        result, baseline = late if judged.run.run_id == late[0].run_id else recollect(judged, before, state, rules)
        said = judge_again(state, judged, result, baseline, rules)
        state = said.state
        standing = [incident for incident in known.values() if not incident.state.is_over]
        for step in advance(standing, said, rules.series, rules.incidents, judged.judged_at, ends):
            known[step.incident.kind] = step.incident
        judged = anew(judged, said)  # noqa: PLW2901 - the same run, as it stands now
        before.append(judged)
        done.append(judged)
        assessments.append(said)
        if is_marked(state) or judged.run.run_id in marked:
            standing = [incident for incident in known.values() if not incident.state.is_over]
            checkpoints[judged.run.run_id] = Checkpoint(state, tuple(standing))
    return Replay(tuple(done), tuple(assessments), checkpoints, state, known)


def recollect(
    judged: JudgedRun, before: Sequence[JudgedRun], state: SeriesState, rules: Rules
) -> tuple[RunResult, Baseline]:
    """Return a run, and what it is held against, as they are on record."""
    metrics = [policy.name for policy in rules.policies.metrics]
    chosen = choose_baseline(before, metrics, onsets_of(state.streaks))
    recent = tuple(RunResult(each.run, each.card) for each in chosen.runs)
    pinned = rules.pinned if rules.pinned is not None and rules.pinned.run.place < judged.run.place else None
    result = RunResult(judged.run, judged.card, rows_said=rows_of(judged.findings))
    return result, Baseline(recent, pinned, chosen.partly, most=BASELINE_RUNS)


def rows_of(findings: Iterable[Finding]) -> dict[str, RowsSaid]:
    """Return what the examples of a run said of its metrics."""
    return {
        finding.metric: RowsSaid(finding.n_examples, finding.p_rows if finding.change < 0 else 1 - finding.p_rows)
        for finding in findings
        if finding.part is None and finding.p_rows is not None and finding.change is not None
    }


def judge_again(
    state: SeriesState, judged: JudgedRun, result: RunResult, baseline: Baseline, rules: Rules
) -> Assessment:
    """Judge a run; of one that failed, and of slices whose examples are not at hand, stands what was said."""
    if any(finding.outcome is Outcome.FAILED for finding in judged.findings):
        return replace(judged.assessment, state=state)
    slices = () if result.examples is not None else [f for f in judged.findings if f.part is not None]
    return assess(state, result, baseline, rules.policies, rules.others, slices)


def anew(judged: JudgedRun, said: Assessment) -> JudgedRun:
    return replace(
        judged,
        findings=said.findings,
        outcome=said.outcome,
        accepted=said.accepted,
        wants_confirmation=said.wants_confirmation,
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
    """End an incident: it has recovered, or with all runs in their places it never was for certain."""
    if told.state is IncidentState.CANDIDATE:
        return Step(replace(told, state=IncidentState.DISMISSED, closed_at=now), Turn.DISMISSED)
    over = replace(told, state=IncidentState.RESOLVED, closed_at=now)
    if shown is not None and shown.state is IncidentState.RESOLVED:
        over = replace(
            over, good_runs=shown.good_runs, recovered_at=shown.recovered_at, recovered_by=shown.recovered_by
        )
    return Step(over, Turn.RESOLVED)
