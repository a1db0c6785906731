"""Puts a run that came late on record in its place, with what is true of its series now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.domain.checkpoints import REPLAYED, Checkpoint
from bot.domain.conclusion import Facts, Told, conclude_late, conclude_woven
from bot.domain.effects import UpdateSection
from bot.domain.fires import Fire
from bot.domain.hush import hush
from bot.domain.incidents import SeriesKey
from bot.domain.judge import Assessment, Outcome, SeriesState
from bot.domain.judged_run import JudgedRun
from bot.domain.ruled_assessment import Grounds, RuledGrounds
from bot.domain.runs import Baseline, Run, RunResult
from bot.domain.weaving import Replay, Rules, replay, settle
from bot.judging.context import JudgingContext
from bot.judging.facts import HISTORY_RUNS, FactReader, rules_in_force
from bot.judging.run_recording import Background, RunRecorder, know_tasks, save_steps
from bot.judging.telling import owe_told
from bot.judging.views.by_effect import view_of
from bot.runtime.log import get_logger
from bot.store import confirmations, fires, incidents, outbox, quarantine, runs
from bot.store import rules as answered

_LOOKED_BACK = 140  # runs: those that are judged anew, and what each of them is held against

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Span:
    """The runs around the place of one that came late, each in its order."""

    start: Checkpoint
    earlier: Sequence[JudgedRun]
    before: Sequence[JudgedRun]  # from the checkpoint on
    after: Sequence[JudgedRun]


def span_around(tx: Connection, series: SeriesKey, run: Run) -> Span | None:
    """Return what has to be judged anew for a late run; None where it comes too late for that."""
    after = runs.after(tx, series, run, REPLAYED + 1)
    before = runs.recent(tx, series, _LOOKED_BACK, ahead_of=run)
    marks = runs.marked(tx, series)
    last = max((number for number, judged in enumerate(before) if judged.run.run_id in marks), default=None)
    if len(after) > REPLAYED or not after:
        return None
    if last is not None:
        return Span(marks[before[last].run.run_id], before[: last + 1], before[last + 1 :], after)
    first = marks.get(after[0].run.run_id)
    is_beginning = not before and first is not None and first.state.judged <= 1
    return Span(Checkpoint(), (), (), after) if is_beginning else None


@dataclass(frozen=True, slots=True)
class Weaver:
    """Weaves late runs of one pipeline into their series."""

    context: JudgingContext

    def weave(
        self,
        plain: Grounds,
        told_by: RuledGrounds,
        fire: Fire | None,
        others: Sequence[SeriesState],
        pinned: RunResult | None,
        said: Assessment | None = None,
    ) -> Sequence[JudgedRun]:
        """Store a late run and all that it changes, in one transaction; one that failed with what is *said* of it.

        Without rules it is judged from *plain*, under those that hold now from *told_by*.
        """
        result, baseline = plain.run, told_by.baseline if told_by.rules else plain.baseline
        context, now, series = self.context, self.context.clock(), self.context.series_of(result.run)
        with context.database.begin() as tx:
            span = span_around(tx, series, result.run)
            if span is None or runs.is_seen(tx, context.name, result.run_id):
                return ()
            section = context.section
            answers = [rule for rule in answered.of_series(tx, series) if rule.undone_at is None]
            place = stand_in_place(result, series, now, fire, said)
            to_judge = [*span.before, place, *span.after]
            reruns = confirmations.of_runs(tx, context.name, [judged.run.run_id for judged in to_judge])
            rules = Rules(series, section.policies, section.incident_policy, others, pinned, reruns, answers)
            marks = frozenset(runs.marked(tx, series))
            replayed = replay(span.start, span.earlier, to_judge, (plain, told_by), rules, marks)
            told = self._record(tx, result, baseline, replayed, fire, now)
            context.on_step("run.recording")
            self._tell(tx, replayed, result.run_id, now)
            context.on_step("run.owing")
        context.on_step("run.recorded")
        log.info(
            "judged in its place",
            pipeline=context.name,
            run=result.run.run_id,
            named=result.run.name,
            after=len(span.after),
        )
        return () if told.run is None else (told.run,)

    def _record(
        self,
        tx: Connection,
        result: RunResult,
        baseline: Baseline,
        replayed: Replay,
        fire: Fire | None,
        now: datetime,
    ) -> Told:
        """Store the run, those that it changes, and the state of their series; owe the run's own page."""
        context, series = self.context, self.context.series_of(result.run)
        number = next(i for i, judged in enumerate(replayed.runs) if judged.run.run_id == result.run_id)
        facts = FactReader(context, now).of_late_run(tx, result, replayed.assessments[number].told, fire)
        told = conclude_late(facts.under(replayed.assessments[number]))
        if told.run is not None:
            runs.record(tx, told.run)
        for judged in replayed.runs:
            runs.judge_anew(tx, judged)
        runs.save_state(tx, series, replayed.state, replayed.ruled)
        for run_id, checkpoint in replayed.checkpoints.items():
            runs.mark(tx, series, run_id, checkpoint)
        quarantine.drop(tx, context.name, result.run_id)
        if fire is not None:
            fires.save(tx, fire)
        recorder, own = RunRecorder(context), (*facts.earlier, *((told.run,) if told.run is not None else ()))
        on = recorder.occasion(
            facts,
            (),
            title=context.title_of(result.run),
            result=result,
            history=own,
            standing=(),
            background=Background(baseline),
            page=told.page,
        )
        know_tasks(tx, told.effects, now)
        owed = [(effect, view_of(effect, on)) for effect in told.effects if not isinstance(effect, UpdateSection)]
        outbox.owe(tx, context.name, owed, now)
        return told

    def _tell(self, tx: Connection, replayed: Replay, late: str, now: datetime) -> None:
        """Owe what people have to be told by the series' newest run, now that all stand in their places."""
        context, newest = self.context, replayed.runs[-1]
        series = newest.series
        standing = incidents.standing(tx, series)
        over = {i.incident_id for i in replayed.latest.values() if incidents.is_known(tx, i.incident_id)}
        then = now + timedelta(
            microseconds=1
        )  # by its own moment a digest would show the late run, which ended nothing
        settled = settle(standing, replayed, late, then, over - {incident.incident_id for incident in standing})
        steps = hush(settled, rules_in_force(tx, now, context.name), standing, then)
        save_steps(tx, steps, now)
        facts = FactReader(context, now).of_newest_run(tx, newest, replayed.assessments[-1].told)
        told = conclude_woven(facts, steps, late)
        recorder = RunRecorder(context)
        on = recorder.occasion(
            facts,
            steps,
            title=context.title_of(newest.run),
            result=facts.result,
            history=runs.recent(tx, series, HISTORY_RUNS),
            standing=told.standing,
            background=Background(baseline_of(facts)),
            names=recorder.onsets(tx, steps),
            reruns=recorder.reruns(tx, facts, steps, told.standing),
        )
        owe_told(tx, context.name, told.effects, on, now)


def baseline_of(facts: Facts) -> Baseline:
    return Baseline(tuple(RunResult(judged.run, judged.card) for judged in facts.earlier[:-1] if judged.accepted))


def stand_in_place(
    result: RunResult, series: SeriesKey, now: datetime, fire: Fire | None, said: Assessment | None
) -> JudgedRun:
    """Return a run that is yet to be judged, or of which is said that it failed."""
    return JudgedRun(
        run=result.run,
        series=series,
        card=result.card,
        findings=() if said is None else said.findings,
        outcome=Outcome.OK if said is None else said.outcome,
        accepted=False,
        wants_confirmation=False,
        judged_at=now,
        fire_id=fire.fire_id if fire is not None else None,
        unread=result.unread,
    )
