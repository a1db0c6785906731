"""A whole series of runs, each judged from those before it, with the incidents that come of them; nobody is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

from bot.domain.baselines import BASELINE_RUNS, BEFORE_FALL, choose_baseline, onsets_of
from bot.domain.incidents import Incident, Kind, SeriesKey, Turn, advance
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState, assess
from bot.domain.judged_run import JudgedRun
from bot.domain.policy import IncidentPolicy, Policies
from bot.domain.runs import Baseline, Run, RunResult, RunStatus

SERIES = SeriesKey("")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)  # of runs whose times nobody knows, a day apart
A_DAY = timedelta(days=1)
RULES = IncidentPolicy()
MOST_EARLIER = 2 * (BASELINE_RUNS + BEFORE_FALL)  # runs kept at hand, beyond which those of no further use are let go


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one run of a series says, and of it what opens a ticket, or goes into the one that is open as news."""

    assessment: Assessment
    told: tuple[Finding, ...] = ()
    standing: tuple[Incident, ...] = ()  # incidents that are not over with it


def judge_series(runs: Iterable[Run], policies: Policies) -> Iterator[Judgement]:
    """Judge *runs* one by one, in their order, each as it is judged where it is seen when it comes."""
    return judge_results(map(RunResult, runs), policies)


def judge_results(found: Iterable[RunResult], policies: Policies) -> Iterator[Judgement]:
    """Judge runs in the same way, with the examples that they bring."""
    metrics = policies.names
    state, earlier, standing = SeriesState(), list[JudgedRun](), tuple[Incident, ...]()
    results: dict[str, RunResult] = {}
    for result in found:
        run = result.run
        results[run.run_id] = result
        chosen = choose_baseline(earlier, metrics, onsets_of(state.streaks))
        recent = tuple([results[each.run.run_id] for each in chosen.runs])
        said = assess(state, result, Baseline(recent, None, chosen.partly, most=BASELINE_RUNS), policies)
        state = said.state
        outcome = said.outcome
        is_well = all(finding.outcome.is_acceptable for finding in said.findings)
        standing, told = ((), ()) if is_well and not standing else follow(standing, said, run.ended)
        yield Judgement(said, told, standing)
        judged = JudgedRun(
            run=run,
            series=SERIES,
            card=result.card,
            findings=said.findings,
            outcome=outcome,
            accepted=said.accepted,
            wants_confirmation=said.wants_confirmation,
            judged_at=run.ended,
        )
        earlier.append(judged)
        if len(earlier) > MOST_EARLIER:
            earlier = let_go(earlier, state)
            results = {each.run.run_id: results[each.run.run_id] for each in earlier}


def follow(
    standing: tuple[Incident, ...], said: Assessment, now: datetime
) -> tuple[tuple[Incident, ...], tuple[Finding, ...]]:
    """Return the incidents that stand after a run, and the findings that people hear of with it."""
    steps = advance(standing, said, SERIES, RULES, now)
    known = {incident.kind: incident for incident in (*standing, *(step.incident for step in steps))}
    is_filed = any(step.turn is Turn.FILED and step.incident.kind is Kind.REGRESSED for step in steps)
    fallen = said.with_outcome(Outcome.REGRESSED)
    told = tuple(finding for finding in fallen if is_filed or finding.reason is Reason.FELL_FURTHER)
    return tuple(incident for incident in known.values() if not incident.state.is_over), told


def as_runs(values: Iterable[Mapping[str, float]], ends: Iterable[datetime] | None = None) -> Iterator[Run]:
    """Make runs of the metrics of each, a day apart where nothing is known of when they *end*; ids count from 0."""
    days = (BEGAN + number * A_DAY for number in count())
    for number, (metrics, ended) in enumerate(zip(values, ends or days, strict=False)):
        yield Run(str(number), str(number), RunStatus.FINISHED, ended, ended, metrics)


def let_go(earlier: list[JudgedRun], state: SeriesState) -> list[JudgedRun]:
    """Keep of many runs those that a baseline may still be chosen from."""
    onsets = onsets_of(state.streaks)
    kept = {judged.run.run_id for judged in choose_baseline(earlier, (), onsets).runs} | onsets
    newest = {judged.run.run_id for judged in earlier[-BASELINE_RUNS:]}
    return [judged for judged in earlier if judged.run.run_id in kept | newest]
