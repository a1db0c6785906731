"""What a run comes to: the run on record, the turns of its incidents, and the effects owed; from facts alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.domain.effects import CommentTicket, Effect, UpdateSection
from bot.domain.first_contact import limits_alone, open_standing, settle_past
from bot.domain.headlines import charted, exampled
from bot.domain.hush import hush
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Step, Turn, advance
from bot.domain.judge.findings import Assessment, SeriesState
from bot.domain.judged_run import JudgedRun
from bot.domain.notifications import Places, effects_of, is_told, wants_page
from bot.domain.objects import ObjectKey
from bot.domain.policy import IncidentPolicy
from bot.domain.returning import Recalled, recall
from bot.domain.ruled_state import RuledAssessment, RuledState
from bot.domain.rules import Rule
from bot.domain.runs import RunResult


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known once a run was judged; where no run is behind it, *result* is the latest there was."""

    series: SeriesKey
    result: RunResult
    assessment: Assessment
    earlier: Sequence[JudgedRun]  # of the series, oldest first
    standing: Sequence[Incident]  # those that may take a turn, none of them over
    policy: IncidentPolicy
    metrics: Collection[str]  # that config names
    places: Places
    page_title: str  # of the run's own page, should it get one
    now: datetime
    fire_id: str | None = None
    rules: Sequence[Rule] = ()  # of the pipeline, that hold now
    task: ObjectKey | None = None  # the ticket that the run is an experiment for
    over: Sequence[Incident] = ()  # incidents of the series that were resolved, the latest first
    plain: Assessment | None = None  # what is found without rules, where they change it
    ruled: RuledState | None = None  # how the series stands under them after the run
    reruns_follow: bool = False  # the run is made again, and what comes of that is told with it
    examples: frozenset[str] = frozenset()  # keys of the findings whose worst examples are listed in a file

    def under(self, said: RuledAssessment) -> Facts:
        """Return the facts of a run that was judged under rules."""
        changes = said.plain.findings != said.told.findings
        return replace(self, plain=said.plain if changes else None, ruled=said.ruled)

    @property
    def ends(self) -> dict[str, datetime]:
        """When the series' runs ended, by their ids."""
        return {run.run_id: run.ended for run in (*(judged.run for judged in self.earlier), self.result.run)}


@dataclass(frozen=True, slots=True)
class Past:
    """What is known besides of a run that had ended before first contact."""

    doubtful: Sequence[str] = ()  # the series' bad runs that are not accepted, oldest first
    recent: int = 0  # for how many runs a fall may have stood without being the level that the team lives with
    is_newest: bool = False  # of its series
    is_late: bool = False  # later runs of its series were judged before it


@dataclass(frozen=True, slots=True)
class Told:
    """What is put on record, and what people are told of it."""

    run: JudgedRun | None  # None where no run is behind it
    steps: tuple[Step, ...]
    standing: tuple[Incident, ...]  # open from now on
    effects: tuple[Effect, ...] = ()
    page: ObjectKey | None = None  # the run's own
    accepted: frozenset[str] = frozenset()  # runs of before that are baseline from now on
    state: SeriesState | None = None  # of the series from now on; None where it stays as it is
    ruled: RuledState | None = None  # of the series under rules
    superseded: tuple[str, ...] = ()  # ids of candidates that turned out to be incidents of before

    @property
    def incidents(self) -> tuple[Incident, ...]:
        return tuple(step.incident for step in self.steps)

    @property
    def silence(self) -> Step | None:
        """The turn of the pipeline's silence, which concerns every series."""
        return next((step for step in self.steps if step.incident.kind is Kind.STALE), None)


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """The page of a series."""

    series: SeriesKey
    page: ObjectKey
    is_there: bool  # or is owed


def conclude(facts: Facts) -> Told:
    """Decide what comes of a new run; of a job that failed, as of a run that says nothing but that."""
    assessment = facts.assessment
    recalled = _advance(facts, facts.ends)
    steps = recalled.steps
    page = _own_page(facts, steps)
    run = _judged(facts, page, is_accepted=(facts.plain or assessment).accepted)
    return Told(
        run=run,
        steps=steps,
        standing=still_standing(facts.standing, steps),
        effects=(*_effects(facts, steps, (*facts.earlier, run), page), *_result(facts)),
        page=page,
        state=assessment.state,
        ruled=facts.ruled,
        superseded=recalled.superseded,
    )


def conclude_reruns(facts: Facts, said: RuledAssessment, asked: JudgedRun) -> Told:
    """Decide what comes of a run once it was made again: *facts* are of what its reruns were asked about alone.

    What is *said* of the whole run now is put on record, and its page is written, which waited for that.
    """
    recalled = _advance(facts, facts.ends)
    steps = tuple(step for step in recalled.steps if step.turn is not Turn.SUSPECTED)
    whole = replace(facts, assessment=said.told, reruns_follow=False, now=asked.judged_at).under(said)
    page = None if asked.page_title else _own_page(whole, steps)
    run = replace(_judged(whole, page, is_accepted=said.plain.accepted), unread=asked.unread)
    run = replace(run, page_title=asked.page_title or run.page_title)
    told_on = facts.places.page(facts.places.pipeline_page)
    section = () if page is not None or told_on is None else (UpdateSection(told_on, f"{asked.run.run_id}/reruns"),)
    return Told(
        run=run,
        steps=steps,
        standing=still_standing(facts.standing, steps),
        effects=(*_effects(whole, steps, (*facts.earlier, run), page), *section),
        page=page,
        state=said.told.state,
        ruled=said.ruled,
        superseded=recalled.superseded,
    )


def conclude_past(facts: Facts, past: Past) -> Told:
    """Decide what comes of a run of before first contact: only what still stands with the newest is told.

    What stands in a series that is known stays as it is.
    """
    is_known = past.is_late or bool(facts.standing)
    settled = settle_past(facts.assessment, () if is_known else past.doubtful, 0 if past.is_late else past.recent)
    steps: tuple[Step, ...] = ()
    if past.is_newest and not is_known:
        owners = facts.policy.owners
        steps = open_standing(facts.assessment, settled.standing, facts.series, facts.now, facts.ends, owners)
        steps += advance((), limits_alone(facts.assessment), facts.series, facts.policy, facts.now, facts.ends)
    page = _own_page(facts, steps) if any(step.turn is Turn.FILED for step in steps) else None
    run = _judged(facts, page, is_accepted=facts.assessment.accepted or facts.result.run_id in settled.accepted)
    return Told(
        run=run,
        steps=steps,
        standing=still_standing(facts.standing, steps),
        effects=_effects(facts, steps, (*facts.earlier, run), page),
        page=page,
        accepted=settled.accepted,
        state=None if past.is_late else facts.assessment.state,
    )


def conclude_late(facts: Facts) -> Told:
    """Decide what is put on record of a run that came late, and whether it gets a page; *earlier* are those before it.

    What it means for the series is told by :func:`conclude_woven`.
    """
    page = _own_page(facts, ())
    run = _judged(facts, page, is_accepted=(facts.plain or facts.assessment).accepted)
    effects = *_effects(facts, (), (*facts.earlier, run), page), *_result(facts)
    return Told(run=run, steps=(), standing=tuple(facts.standing), effects=effects, page=page)


def conclude_woven(facts: Facts, steps: Sequence[Step], late: str) -> Told:
    """Decide what people are told of a series whose runs stand in another order since one came *late*.

    It is told by the newest run, once: of what was said before nothing is said again.
    """
    told = (part for step in steps for part in (step, *step.split()))
    charts = [s.incident.part_id for s in told if charted(facts.assessment, s, facts.metrics, facts.earlier)]
    effects = effects_of(late, steps, facts.places, None, has_chart=False, charted=charts)
    page = facts.places.page(facts.places.pipeline_page)
    section = () if page is None else (UpdateSection(page, f"{late}/woven"),)
    standing = still_standing(facts.standing, tuple(steps))
    return Told(run=None, steps=tuple(steps), standing=standing, effects=(*effects, *section))


def conclude_without_run(facts: Facts, ends: Mapping[str, datetime]) -> Told:
    """Decide what comes of something that no run shows; *ends* says when what it speaks of began."""
    recalled = _advance(facts, ends)
    steps, superseded = recalled.steps, recalled.superseded
    standing = still_standing(facts.standing, steps)
    effects = _effects(facts, steps, facts.earlier, page=None)
    return Told(run=None, steps=steps, standing=standing, effects=effects, superseded=superseded)


def conclude_said_anew(facts: Facts, step: Step) -> Told:
    """Decide what people are told of an incident that no run shows, where why it goes on has changed."""
    steps = hush((step,), facts.rules, facts.standing, facts.now)
    effects = _effects(facts, steps, facts.earlier, page=None)
    return Told(run=None, steps=steps, standing=still_standing(facts.standing, steps), effects=effects)


def _advance(facts: Facts, ends: Mapping[str, datetime]) -> Recalled:
    steps = advance(facts.standing, facts.assessment, facts.series, facts.policy, facts.now, ends)
    recalled = recall(steps, facts.over, facts.policy, facts.now)
    before = (*facts.standing, *facts.over)
    return replace(recalled, steps=hush(recalled.steps, facts.rules, before, facts.now))


def update_sections(
    told: Told, pages: Iterable[SeriesPage], fallen_silent: SeriesKey | None = None
) -> Iterator[tuple[SeriesKey, Effect]]:
    """Let the page of every series say that the pipeline has fallen silent, or no longer is.

    The series that has *fallen_silent* gets its page now if it had none; a run that has a page tells its own.
    """
    if told.silence is None:
        return
    cause = f"{told.silence.incident.incident_id}/{told.silence.turn}"
    has_told = told.run.series if told.run is not None and told.page is not None else None
    for each in pages:
        if each.series != has_told and (each.is_there or each.series == fallen_silent):
            yield each.series, UpdateSection(each.page, cause)


def still_standing(before: Sequence[Incident], steps: Sequence[Step]) -> tuple[Incident, ...]:
    """Return the incidents that are open after the *steps*."""
    after = {incident.incident_id: incident for incident in before}
    after |= {step.incident.incident_id: step.incident for step in steps}
    return tuple(incident for incident in after.values() if incident.state is IncidentState.OPEN)


def _result(facts: Facts) -> tuple[Effect, ...]:
    """Tell the result of an experiment where it was asked for, once a run."""
    return () if facts.task is None else (CommentTicket(facts.task, f"{facts.result.run_id}/result"),)


def _own_page(facts: Facts, steps: Sequence[Step]) -> ObjectKey | None:
    previous = facts.earlier[-1].outcome if facts.earlier else None
    if facts.reruns_follow and not any(is_told(step) for step in steps):
        return None
    is_wanted = wants_page(facts.places.publish, facts.assessment.outcome, previous, steps)
    return facts.places.page(facts.page_title) if is_wanted else None


def _judged(facts: Facts, page: ObjectKey | None, *, is_accepted: bool) -> JudgedRun:
    return JudgedRun(
        run=facts.result.run,
        series=facts.series,
        card=facts.result.card,
        findings=facts.assessment.findings,
        outcome=facts.assessment.outcome,
        accepted=is_accepted,
        wants_confirmation=facts.assessment.wants_confirmation,
        judged_at=facts.now,
        fire_id=facts.fire_id,
        page_title=None if page is None else facts.page_title,
        unread=facts.result.unread,
        plain=None if facts.plain is None else facts.plain.findings,
    )


def _effects(
    facts: Facts, steps: Sequence[Step], history: Sequence[JudgedRun], page: ObjectKey | None
) -> tuple[Effect, ...]:
    def has_chart(step: Step | None) -> bool:
        return charted(facts.assessment, step, facts.metrics, history) is not None

    told = [part for step in steps for part in (step, *step.split())]
    shown = [step.incident.part_id for step in told if has_chart(step)]
    return effects_of(
        facts.assessment.run_id,
        steps,
        facts.places,
        page,
        has_chart=has_chart(None),
        charted=shown,
        listed=[step.incident.part_id for step in told if exampled(facts.assessment, step, facts.examples)],
        lists_examples=exampled(facts.assessment, None, facts.examples) is not None,
    )
