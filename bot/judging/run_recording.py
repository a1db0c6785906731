"""The shell around a conclusion: stores all that comes of it in one transaction, with the effects owed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType

from sqlalchemy import Connection

from bot.domain.checkpoints import OF_RUNS, Checkpoint, is_marked
from bot.domain.conclusion import (
    Facts,
    SeriesPage,
    Told,
    conclude,
    conclude_past,
    still_standing,
    update_sections,
)
from bot.domain.effects import Effect
from bot.domain.fires import Fire
from bot.domain.incidents import Incident, SeriesKey, Step, Turn
from bot.domain.judge import Assessment
from bot.domain.judged_run import JudgedRun
from bot.domain.objects import Bound, ObjectKey
from bot.domain.recipes import AS_CONFIGURED
from bot.domain.rerun_answers import Confirmation
from bot.domain.ruled_state import RuledAssessment
from bot.domain.runs import Baseline, RunResult
from bot.domain.tasks import ticket_of
from bot.domain.worst_examples import WorstExamples
from bot.judging.context import JudgingContext
from bot.judging.facts import HISTORY_RUNS, FactReader
from bot.judging.noting import note_judged
from bot.judging.reruns import ask, can_be_made_again
from bot.judging.telling import owe_told
from bot.judging.views.by_effect import view_of
from bot.judging.views.occasion import Occasion
from bot.store import confirmations, filings, fires, incidents, objects, outbox, quarantine, rules, runs
from bot.store.objects import KnownObject

_LONG_AGO = timedelta(hours=1)  # no service takes so long to show what was made


class Age(Enum):
    """When a run had ended, as seen from first contact."""

    NEW = "new"
    PAST = "past"  # before it
    NEWEST_OF_PAST = "newest of past"  # before it, and no run of its series after it


@dataclass(frozen=True, slots=True)
class Background:
    """What is shown beside a conclusion and decides nothing."""

    baseline: Baseline = field(default_factory=Baseline)
    log_tail: str = ""
    exit_code: str = ""
    said: str = ""  # why the runs, or a cluster, could not be asked, in the words of whoever was
    waiting: tuple[str, ...] = ()  # titles of the pipelines whose jobs wait for a cluster
    worst: Mapping[str, WorstExamples] = field(default_factory=dict)  # examples, by the finding that they are of


_NOTHING_BESIDE = Background()


@dataclass(frozen=True, slots=True)
class RunRecorder:
    """Puts on record what the runs of one pipeline come to, with the effects owed."""

    context: JudgingContext

    def record(
        self,
        result: RunResult,
        assessment: Assessment,
        background: Background,
        fire: Fire | None,
        age: Age = Age.NEW,
        *,
        is_late: bool = False,
        beside: RuledAssessment | None = None,
    ) -> Sequence[JudgedRun]:
        """Store what a run comes to, once: a run that is on record owes nothing.

        One of the past *is_late* where later runs of its series were judged before it. *Beside* the assessment stands
        what is found without rules, and how the series stands under them.
        """
        context, now = self.context, self.context.clock()
        with context.database.begin() as tx:
            if runs.is_seen(tx, context.name, result.run_id):
                return ()
            reader = FactReader(context, now)
            if age is Age.NEW:
                facts = reader.of_new_run(tx, result, assessment, fire)
                facts = facts if beside is None else facts.under(beside)
                is_asked = assessment.wants_confirmation and can_be_made_again(context, result.run, fire)
                listed = context.files_of(background.worst)
                told = conclude(replace(facts, reruns_follow=is_asked, examples=listed))
                if is_asked:
                    ask(tx, context, result.run, AS_CONFIGURED)
            else:
                facts = reader.of_past_run(tx, result, assessment, fire)
                is_newest = age is Age.NEWEST_OF_PAST
                told = conclude_past(facts, reader.past(tx, facts.series, is_newest=is_newest, is_late=is_late))
            _write(tx, told, now, fire)
            if age is not Age.PAST:
                _mark(tx, told, is_forced=age is Age.NEWEST_OF_PAST)
            context.on_step("run.recording")
            asked_before = None if age is Age.NEW else now - _LONG_AGO
            self.owe(tx, facts, told, background, context.title_of(result.run), asked_before)
            context.on_step("run.owing")
        context.on_step("run.recorded")
        note_judged(context.name, result.run, assessment, told.steps, fire)
        return () if told.run is None else (told.run,)

    def record_old(
        self, tx: Connection, result: RunResult, assessment: Assessment, now: datetime, *, is_late: bool
    ) -> JudgedRun:
        """Store a run of long before first contact, of which nothing is told."""
        reader = FactReader(self.context, now)
        facts = reader.of_old_run(tx, result, assessment)
        told = conclude_past(facts, reader.past(tx, facts.series, is_newest=False, is_late=is_late))
        assert told.run is not None
        _write(tx, told, now)
        return told.run

    def record_without_run(
        self,
        tx: Connection,
        facts: Facts,
        told: Told,
        beside: Background = _NOTHING_BESIDE,
        *,
        on_written: Callable[[], None] = lambda: None,
    ) -> None:
        """Store what was concluded of something that no run shows, and the effects owed."""
        _write(tx, told, facts.now)
        on_written()
        self.owe(tx, facts, told, beside, self.context.title, None)

    def owe(
        self,
        tx: Connection,
        facts: Facts,
        told: Told,
        background: Background,
        title: str,
        asked_before: datetime | None,
    ) -> None:
        """Owe the effects, each with what it shows, and the pages of all series where a silence took a turn."""
        on = self.occasion(
            facts,
            told.steps,
            title=title,
            result=facts.result,
            history=facts.earlier if told.run is None else (*facts.earlier, told.run),
            standing=told.standing,
            background=background,
            page=told.page,
            names=self.onsets(tx, told.steps),
            reruns=self.reruns(tx, facts, told.steps, told.standing),
        )
        know_tasks(tx, told.effects, facts.now)
        owe_told(tx, self.context.name, told.effects, on, facts.now, asked_before=asked_before)
        if told.silence is not None and facts.places.wiki is not None:
            self._owe_sections(tx, facts, told, told.silence)

    def _owe_sections(self, tx: Connection, facts: Facts, told: Told, silence: Step) -> None:
        """Let the page of every series say that the pipeline has fallen silent, or no longer is, without a new run."""
        last = facts.earlier[-1] if told.run is None else None
        fallen_silent = last.series if last is not None and last.run.run_id else None
        histories = {
            each.series: runs.recent(tx, each.series, HISTORY_RUNS)
            for each in runs.latest_of_each(tx, self.context.name)
        }
        pages = self._pages(tx, histories)
        for series, effect in update_sections(told, pages, fallen_silent):
            newest = histories[series][-1].run
            on = self.occasion(
                facts,
                told.steps,
                title=self.context.title_of(newest),
                result=RunResult(newest),
                history=histories[series],
                standing=still_standing(incidents.standing(tx, series), (silence,)),
            )
            outbox.owe(tx, self.context.name, [(effect, view_of(effect, on))], facts.now)

    def _pages(self, tx: Connection, histories: Mapping[SeriesKey, Sequence[JudgedRun]]) -> Iterator[SeriesPage]:
        for series, history in histories.items():
            places = self.context.places(history[-1].run)
            page = places.page(places.pipeline_page)
            if page is not None:
                is_there = page in objects.known_objects(tx, [page]) or any(judged.page_title for judged in history)
                yield SeriesPage(series, page, is_there=is_there)

    def onsets(self, tx: Connection, steps: Sequence[Step]) -> dict[str, JudgedRun]:
        """Return the runs at which incidents began, by their ids."""
        found = {i.onset: runs.find(tx, i.series.pipeline, i.onset) for i in (step.incident for step in steps)}
        return {run_id: judged for run_id, judged in found.items() if judged is not None}

    def reruns(
        self, tx: Connection, facts: Facts, steps: Iterable[Step], standing: Iterable[Incident]
    ) -> Mapping[str, Confirmation]:
        """Return what reruns came to of the runs that incidents, or this conclusion, speak of."""
        told = (*(step.incident for step in steps), *standing)
        spoken_of = {run_id for incident in told for run_id in incident.bad_runs} | {facts.result.run_id}
        return confirmations.of_runs(tx, self.context.name, spoken_of)

    def occasion(
        self,
        facts: Facts,
        steps: Sequence[Step],
        *,
        title: str,
        result: RunResult,
        history: Sequence[JudgedRun],
        standing: Sequence[Incident],
        background: Background = _NOTHING_BESIDE,
        page: ObjectKey | None = None,
        names: Mapping[str, JudgedRun] = MappingProxyType({}),
        reruns: Mapping[str, Confirmation] = MappingProxyType({}),
    ) -> Occasion:
        context = self.context
        return Occasion(
            title=title,
            config=context.section,
            locale=context.locale,
            channel_locale=context.channel_locale,
            zone=context.zone,
            places=context.places(result.run),
            result=result,
            assessment=facts.assessment,
            baseline=background.baseline,
            history=history,
            steps=steps,
            standing=standing,
            page=page,
            names=names,
            reruns=reruns,
            rules=facts.rules,
            log_tail=background.log_tail,
            said=background.said,
            waiting=background.waiting,
            worst=background.worst,
            exit_code=background.exit_code,
            now=facts.now,
        )


def _write(tx: Connection, told: Told, now: datetime, fire: Fire | None = None) -> None:
    """Store a conclusion: the run, the state of its series, and the incidents; with the fire that made the run."""
    if told.run is not None:
        runs.accept(tx, told.run.series.pipeline, told.accepted)
        runs.record(tx, told.run)
        quarantine.drop(tx, told.run.series.pipeline, told.run.run.run_id)
        if told.state is not None:
            runs.save_state(tx, told.run.series, told.state, told.ruled)
    save_steps(tx, told.steps, now)
    for incident_id in told.superseded:
        incidents.forget(tx, incident_id)
    if fire is not None:
        fires.save(tx, fire)


def save_steps(tx: Connection, steps: Iterable[Step], now: datetime) -> None:
    """Store the incidents that took a turn; somebody's word that one is fixed has served once runs have shown it."""
    for step in steps:
        incidents.save(tx, step.incident)
        if step.turn is Turn.FILED:
            filings.note(tx, step.incident)
        if step.turn in {Turn.CONFIRMED, Turn.REOPENED, Turn.LEFT}:
            rules.settle_fix(tx, step.incident.incident_id, now)


def know_tasks(tx: Connection, effects: Iterable[Effect], now: datetime) -> None:
    """Take the tickets that results are told on for what they are: the team's, which nobody has to make."""
    named = {effect.target: ticket for effect in effects if (ticket := ticket_of(effect.target)) is not None}
    for task in named.keys() - objects.known_objects(tx, named).keys():
        objects.know(tx, KnownObject(task, Bound(named[task], "", named[task]), "", now))


def _mark(tx: Connection, told: Told, *, is_forced: bool) -> None:
    """Keep now and then how a series stood after a run, and where its past ended."""
    if told.run is None or told.state is None or not (is_forced or is_marked(told.state)):
        return
    standing = [each for each in incidents.standing(tx, told.run.series) if each.kind in OF_RUNS]
    runs.mark(tx, told.run.series, told.run.run.run_id, Checkpoint(told.state, tuple(standing), told.ruled))
