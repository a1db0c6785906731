"""Runs of the past judged one by one, each from what came before it alone, as if Herald had been there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from bot.domain.baselines import BASELINE_RUNS, choose_baseline, onsets_of
from bot.domain.conclusion import Facts, Past, Told, conclude, conclude_past
from bot.domain.incidents import Incident, IncidentState, SeriesKey, Step
from bot.domain.judge import Assessment, Outcome, SeriesState
from bot.domain.judge.acceptance import heed_acceptance
from bot.domain.judge.assessing import Company, assess, keep_company
from bot.domain.judged_run import JudgedRun
from bot.domain.notifications import Places, Publish
from bot.domain.policy import IncidentPolicy, Policies
from bot.domain.runs import Baseline, ExampleTable, Run, RunResult

WINDOW = 140  # runs of before that one is judged by: those it is held against, also while a fall stands for long
_KIN = 12  # other series, from which it is learnt how much metrics move by themselves
_REMEMBERED = 20  # incidents that are over, among which a new one may be known
NO_TABLES: Mapping[str, ExampleTable] = MappingProxyType({})
_NOWHERE = Places("", "", "", publish=Publish.INCIDENTS)
_BAD = (Outcome.SUSPICIOUS, Outcome.REGRESSED)


def ignore_progress(_done: int, _total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What a pipeline's history is judged by."""

    policies: Policies
    incidents: IncidentPolicy
    recent: int = 10  # at first contact: a fall that began more runs ago is the level that the team lives with


@dataclass(frozen=True, slots=True)
class Standpoint:
    """How a series stood before one of its runs."""

    series: SeriesKey
    state: SeriesState = field(default_factory=SeriesState)
    earlier: tuple[JudgedRun, ...] = ()  # the newest WINDOW, oldest first
    standing: tuple[Incident, ...] = ()  # not over
    over: tuple[Incident, ...] = ()  # the newest that were resolved, the latest first: what they were of may come back
    doubtful: tuple[str, ...] = ()  # bad runs of before first contact that are not accepted, oldest first

    @property
    def is_calm(self) -> bool:
        """Say whether nothing was wrong, nor suspected."""
        return not self.standing and not self.state.streaks


@dataclass(frozen=True, slots=True)
class Passed:
    """One run of the past, and what would have been said of it."""

    before: Standpoint
    others: tuple[SeriesState, ...]  # of the pipeline's other series, at the time
    judged: JudgedRun
    assessment: Assessment
    told: Told
    is_past: bool  # it had ended before Herald was there
    company: Company

    @property
    def run(self) -> Run:
        return self.judged.run

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.told.steps


def walk(
    runs: Sequence[tuple[SeriesKey, Run]],
    settings: Settings,
    since: datetime,
    on_run: Callable[[int, int], None] = ignore_progress,
) -> list[Passed]:
    """Judge a pipeline's runs in the order in which they ended, as if Herald had first looked at *since*.

    What had ended before is the past, as at any first contact. Artifacts are left aside: runs are judged by their
    metrics.
    """
    in_order = sorted(runs, key=lambda each: each[1].place)
    last_past = {series: run.run_id for series, run in in_order if run.ended < since}
    points: dict[SeriesKey, Standpoint] = {}
    passed: list[Passed] = []
    for number, (series, run) in enumerate(in_order):
        on_run(number, len(in_order))
        before = points.get(series) or Standpoint(series)
        others = tuple(points[name].state for name in sorted(points, key=lambda key: key.series) if name != series)
        each = take(before, run, settings, others[:_KIN], since, is_newest=last_past.get(series) == run.run_id)
        points[series] = after(each)
        passed.append(each)
    on_run(len(in_order), len(in_order))
    return passed


def take(
    before: Standpoint,
    run: Run,
    settings: Settings,
    others: tuple[SeriesState, ...],
    since: datetime,
    *,
    is_newest: bool = False,
    tables: Mapping[str, ExampleTable] = NO_TABLES,
    company: Company | None = None,
) -> Passed:
    """Judge one run of a series that stood as it did *before*; *is_newest* of those of before *since*.

    *tables* are per-example results by run, of those that are at hand; *company* is what is known by metrics that the
    settings leave out.
    """
    policies, result = settings.policies, RunResult(run, examples=tables.get(run.run_id))
    metrics = policies.names
    chosen = choose_baseline(before.earlier, metrics, onsets_of(before.state.streaks))
    recent = tuple(RunResult(judged.run, judged.card, tables.get(judged.run.run_id)) for judged in chosen.runs)
    baseline = Baseline(recent, None, chosen.partly, most=BASELINE_RUNS)
    state = heed_acceptance(before.state, baseline, policies)
    company = company or keep_company(state, result, baseline, policies, others)
    said = assess(state, result, baseline, policies, others, company=company)
    facts = Facts(
        series=before.series,
        result=result,
        assessment=said,
        earlier=before.earlier,
        standing=before.standing,
        policy=settings.incidents,
        metrics=metrics,
        places=_NOWHERE,
        page_title="",
        now=max(run.ended, since),
        over=before.over,
    )
    is_past = run.ended < since
    told = conclude_past(facts, Past(before.doubtful, settings.recent, is_newest)) if is_past else conclude(facts)
    assert told.run is not None
    return Passed(before, others, told.run, said, told, is_past, company)


def after(each: Passed) -> Standpoint:
    """Return how the series stood once the run was judged."""
    before, judged, accepted = each.before, each.judged, each.told.accepted
    earlier = (*before.earlier, judged)[-WINDOW:]
    doubtful = before.doubtful
    if each.is_past and judged.outcome in _BAD and not judged.accepted:
        doubtful = (*doubtful, judged.run.run_id)
    if accepted:
        earlier = tuple(replace(old, accepted=True) if old.run.run_id in accepted else old for old in earlier)
        doubtful = tuple(run_id for run_id in doubtful if run_id not in accepted)
    known = {incident.incident_id: incident for incident in before.standing}
    known |= {step.incident.incident_id: step.incident for step in each.steps}
    standing = tuple(
        incident
        for incident in known.values()
        if not incident.state.is_over and incident.incident_id not in each.told.superseded
    )
    return Standpoint(before.series, each.assessment.state, earlier, standing, _over(each), doubtful)


def _over(each: Passed) -> tuple[Incident, ...]:
    turned = {step.incident.incident_id: step.incident for step in reversed(each.steps)}
    now_over = [incident for incident in turned.values() if incident.state is IncidentState.RESOLVED]
    return (*now_over, *(old for old in each.before.over if old.incident_id not in turned))[:_REMEMBERED]
