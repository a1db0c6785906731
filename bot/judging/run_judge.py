"""Judges the runs of one pipeline: each against what was accepted before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from bot.domain.absent_artifacts import with_absent
from bot.domain.baselines import BASELINE_RUNS, BEFORE_FALL, in_order, onsets_of
from bot.domain.fires import Fire, FireState
from bot.domain.incidents import SeriesKey
from bot.domain.job_protocol import TABLE_FILE
from bot.domain.judge import Assessment, Finding, Outcome, Reason, SeriesState, assess
from bot.domain.judged_run import JudgedRun
from bot.domain.ruled_assessment import Grounds, RuledGrounds, assess_under, changing
from bot.domain.ruled_baselines import RuledChoice, choose_both
from bot.domain.ruled_state import RuledAssessment, RuledState
from bot.domain.rules import Rule
from bot.domain.runs import Baseline, DataCard, Run, RunResult, RunStatus, Trouble, Unread
from bot.errors import in_short
from bot.judging.context import JudgingContext
from bot.judging.facts import rules_in_force
from bot.judging.loading import RunLoader
from bot.judging.run_recording import Age, Background, RunRecorder
from bot.judging.weaving import Weaver, span_around
from bot.judging.worst_examples import gather_examples
from bot.runtime.log import get_logger
from bot.store import contacts, fires, runs

OTHER_SERIES = 12  # of the pipeline, from which it is learnt how much metrics move by themselves

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunJudge:
    """Judges the runs of one pipeline, and puts on record what they come to."""

    context: JudgingContext

    @property
    def _recorder(self) -> RunRecorder:
        return RunRecorder(self.context)

    def judge(self, run: Run, fire: Fire | None, age: Age = Age.NEW) -> Sequence[JudgedRun]:
        """Judge one run, and store in one transaction everything it says."""
        name, series = self.context.name, self.context.series_of(run)
        with self.context.database.begin() as tx:
            if runs.is_seen(tx, name, run.run_id):
                if fire is not None:
                    fires.save(tx, fire)
                return ()
            is_late = runs.comes_late(tx, series, run)
            is_woven = is_late and age is Age.NEW and span_around(tx, series, run) is not None
            state, others = runs.load_state(tx, series), runs.other_states(tx, series, OTHER_SERIES)
            is_past = age is not Age.NEW or (is_late and not is_woven)
            ruled, answers = runs.load_ruled(tx, series), () if is_past else self._answers(tx, series)
            chosen = self._choose(tx, run, state, answers)
            known = [contact.experiment_id for contact in contacts.of_pipeline(tx, name) if contact.experiment_id]
        loader = RunLoader(self.context)
        result = loader.load(run)
        released = loader.released(run) if age is Age.NEW else None
        found = loader.baseline(result, chosen.runs, known, is_past=age is Age.PAST)
        result = with_absent(result, chosen.runs)
        plain, told = chosen.grounds(result, found, released), chosen.ruled_grounds(result, found, released)
        self.context.on_step("run.loaded")
        if is_late:
            state, ruled = SeriesState(), None
        result, said = self._assess(state, ruled, plain, told, others)
        shown = told.baseline if answers else plain.baseline
        if is_woven:
            pinned = loader.released(run, is_early=True)
            plain, told = replace(plain, run=result), replace(told, run=result)
            return Weaver(self.context).weave(plain, told, fire, others, pinned)
        age = Age.PAST if is_late else age  # too late to be more than put on record
        beside = None if said.ruled is None else said
        background = Background(shown)
        if age is Age.NEW:  # of the past no files are owed
            result, worst = gather_examples(self.context, result, said.told, shown, state)
            background = Background(shown, worst=worst)
        return self._recorder.record(result, said.told, background, fire, age, is_late=is_late, beside=beside)

    def _answers(self, tx: Connection, series: SeriesKey) -> tuple[Rule, ...]:
        """Return the rules that change what is found in a series now."""
        return changing(rules_in_force(tx, self.context.clock(), self.context.name), series)

    def _choose(self, tx: Connection, run: Run, state: SeriesState, answers: tuple[Rule, ...] = ()) -> RuledChoice:
        """Choose what a run is held against: of the runs of its series that come before it."""
        series, onsets = self.context.series_of(run), onsets_of(state.streaks)
        accepted = runs.recent(tx, series, BASELINE_RUNS, accepted_only=True, ahead_of=run)
        newest = runs.recent(tx, series, BASELINE_RUNS, ahead_of=run)
        named = {run_id for rule in answers for run_id in (rule.from_run, rule.to_run)}
        known = (runs.find(tx, self.context.name, each) for each in {*onsets, *named})
        began = [each for each in known if each is not None and each.run.place < run.place]
        first = min((each.run for each in began if each.run.run_id in onsets), key=lambda run: run.place, default=None)
        before = runs.recent(tx, series, BEFORE_FALL, accepted_only=True, ahead_of=first) if first is not None else ()
        earlier = in_order(accepted, newest, before, began)
        return choose_both(earlier, self.context.section.metrics.keys(), onsets, answers)

    def _assess(
        self,
        state: SeriesState,
        ruled: RuledState | None,
        plain: Grounds,
        told: RuledGrounds,
        others: Sequence[SeriesState],
    ) -> tuple[RunResult, RuledAssessment]:
        """Judge a run: by its metrics alone where the examples break the comparison."""
        policies, result = self.context.section.policies, plain.run
        try:
            return result, assess_under(ruled, state, plain, told, policies, others)
        except Exception as error:
            if result.examples is None:
                raise
            log.exception(
                "compared without examples", pipeline=self.context.name, run=result.run.run_id, named=result.run.name
            )
            why = Unread(TABLE_FILE, Trouble.NOT_COMPARED, f"{type(error).__name__}: {in_short(error)}")
            bare = replace(result, examples=None, unread=(*result.unread, why))
            plain, told = replace(plain, run=bare), replace(told, run=bare)
            return bare, assess_under(ruled, state, plain, told, policies, others)

    def judge_old(self, old: Sequence[Run]) -> Sequence[JudgedRun]:
        """Judge runs of long before first contact by their metrics alone, in one transaction: nothing is owed."""
        name, policies = self.context.name, self.context.section.policies
        now = self.context.clock()
        told: list[JudgedRun] = []
        with self.context.database.begin() as tx:
            for run in old:
                if runs.is_seen(tx, name, run.run_id):
                    continue
                series = self.context.series_of(run)
                is_late = runs.comes_late(tx, series, run)
                state = SeriesState() if is_late else runs.load_state(tx, series)
                chosen = self._choose(tx, run, state)
                found = tuple(RunResult(judged.run, judged.card) for judged in chosen.runs)
                result = RunResult(run)
                others = runs.other_states(tx, series, OTHER_SERIES)
                assessment = assess(state, result, chosen.grounds(result, found, None).baseline, policies, others)
                told.append(self._recorder.record_old(tx, result, assessment, now, is_late=is_late))
            self.context.on_step("past.recording")
        self.context.on_step("past.recorded")
        return told

    def put_on_record(self, old: Sequence[Run]) -> None:
        """Store runs of so long before first contact that no verdict leans on what would be said of them.

        Those with a metric that can be used are baseline, as the past is.
        """
        now, policies = self.context.clock(), self.context.section.policies
        with self.context.database.begin() as tx:
            seen = runs.seen(tx, self.context.name, [run.run_id for run in old])
            runs.record_all(
                tx,
                [
                    JudgedRun(
                        run,
                        self.context.series_of(run),
                        DataCard(),
                        (),
                        Outcome.NO_BASELINE,
                        accepted=any(each.holds(run.metrics.get(each.name, math.nan)) for each in policies.metrics),
                        wants_confirmation=False,
                        judged_at=now,
                    )
                    for run in old
                    if run.run_id not in seen
                ],
            )
            self.context.on_step("past.recording")
        self.context.on_step("past.recorded")

    def record_failure(self, fire: Fire, run: Run | None, *, log_tail: str) -> Sequence[JudgedRun]:
        """Store the failure of a job like a run that says nothing but that."""
        failed = run or stand_in(self.context.name, fire, fire.ended_at or self.context.clock())
        with self.context.database.begin() as tx:
            if runs.is_seen(tx, self.context.name, failed.run_id):
                fires.save(tx, fire)
                return ()
            series = self.context.series_of(failed)
            state, others = runs.load_state(tx, series), runs.other_states(tx, series, OTHER_SERIES)
            ruled = runs.load_ruled(tx, series)
            is_woven = span_around(tx, series, failed) is not None
        finding = Finding("job", Outcome.FAILED, Reason.RUN_FAILED)
        assessment = Assessment(failed.run_id, (finding,), state)
        result = RunResult(failed)
        if is_woven:
            bare = Grounds(result, Baseline()), RuledGrounds(result, Baseline())
            return Weaver(self.context).weave(*bare, fire, others, None, assessment)
        background = Background(log_tail=log_tail, exit_code=_how_it_ended(fire))
        beside = RuledAssessment(assessment, assessment, ruled)
        return self._recorder.record(result, assessment, background, fire, beside=beside)


def stand_in(pipeline: str, fire: Fire, ended: datetime) -> Run:
    """Return the run that a job should have left."""
    return Run(fire.fire_id, f"{pipeline} #{fire.number}", RunStatus.FAILED, fire.started_at or ended, ended)


def _how_it_ended(fire: Fire) -> str:
    """Return the exit code of a job that failed, or the name of what became of it instead."""
    if fire.timed_out:
        return "timeout"
    if fire.state is FireState.LOST:
        return "lost"
    return "start" if fire.exit_code is None else str(fire.exit_code)
