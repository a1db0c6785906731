"""Reads from the state the facts that a conclusion is drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from bot.domain.conclusion import Facts, Past
from bot.domain.fires import Fire
from bot.domain.incidents import Incident, Kind, SeriesKey
from bot.domain.judge import Assessment
from bot.domain.judged_run import JudgedRun
from bot.domain.rules import Rule
from bot.domain.runs import RunResult
from bot.judging.context import JudgingContext
from bot.judging.titles import page_title
from bot.store import incidents, rules, runs

HISTORY_RUNS = 40
_EARLIER = 20  # incidents that are over, among which a new one may be known


def rules_in_force(tx: Connection, now: datetime, pipeline: str | None = None) -> tuple[Rule, ...]:
    """Return the rules that hold, of a pipeline or of all; what repeats another incident does so while that stands."""
    found = rules.in_force(tx, now, pipeline)
    over = incidents.which_are_over(tx, {rule.joins for rule in found if rule.joins})
    return tuple(rule for rule in found if rule.joins not in over)


@dataclass(frozen=True, slots=True)
class FactReader:
    """Gathers facts of one pipeline, all as of *now*."""

    context: JudgingContext
    now: datetime

    def of_new_run(self, tx: Connection, result: RunResult, assessment: Assessment, fire: Fire | None) -> Facts:
        """Gather what a new run is concluded from: it may also end the silence of the whole pipeline.

        That nothing could be seen it does not end: a look does, whenever the runs it sees had ended; nor that a cluster
        cannot be asked.
        """
        series = self.context.series_of(result.run)
        standing = self._standing(tx, series)
        whole = SeriesKey(self.context.name)
        if series != whole:
            standing += [each for each in incidents.standing(tx, whole) if each.kind is Kind.STALE]
        # A run that was there before the silence, and was only seen now, does not end it.
        standing = [each for each in standing if each.kind is not Kind.STALE or each.since < result.run.ended]
        earlier, in_force = runs.recent(tx, series, HISTORY_RUNS), rules_in_force(tx, self.now, self.context.name)
        facts = self._facts(series, result, assessment, earlier, standing, fire.fire_id if fire else None, in_force)
        over = incidents.resolved(tx, series, _EARLIER)
        return replace(facts, over=over, task=self.context.task_of(result.run))

    def of_past_run(self, tx: Connection, result: RunResult, assessment: Assessment, fire: Fire | None) -> Facts:
        series = self.context.series_of(result.run)
        earlier = runs.recent(tx, series, HISTORY_RUNS)
        return self._facts(
            series, result, assessment, earlier, self._standing(tx, series), fire.fire_id if fire else None
        )

    def of_late_run(self, tx: Connection, result: RunResult, assessment: Assessment, fire: Fire | None) -> Facts:
        """Gather what is put on record of a run that came after later ones: it is seen beside those before it."""
        series = self.context.series_of(result.run)
        earlier = runs.recent(tx, series, HISTORY_RUNS, ahead_of=result.run)
        facts = self._facts(series, result, assessment, earlier, (), fire.fire_id if fire else None)
        return replace(facts, task=self.context.task_of(result.run))

    def of_newest_run(self, tx: Connection, newest: JudgedRun, assessment: Assessment) -> Facts:
        """Gather what is told of a series by its newest run, which is on record."""
        earlier, standing = runs.recent(tx, newest.series, HISTORY_RUNS), self._standing(tx, newest.series)
        in_force = rules_in_force(tx, self.now, self.context.name)
        result = RunResult(newest.run, newest.card)
        return self._facts(newest.series, result, assessment, earlier, standing, in_force=in_force)

    def of_reruns(
        self, tx: Connection, asked: JudgedRun, assessment: Assessment, standing: Sequence[Incident]
    ) -> Facts:
        """Gather what is concluded from once a run was made again; *standing* are the incidents that it concerns."""
        earlier = runs.recent(tx, asked.series, HISTORY_RUNS, ahead_of=asked.run)
        result, in_force = RunResult(asked.run, asked.card), rules_in_force(tx, self.now, self.context.name)
        facts = self._facts(asked.series, result, assessment, earlier, standing, asked.fire_id, in_force)
        return replace(facts, over=incidents.resolved(tx, asked.series, _EARLIER))

    def of_old_run(self, tx: Connection, result: RunResult, assessment: Assessment) -> Facts:
        """Gather what a run is concluded from of which nothing is told, whatever came before it."""
        series = self.context.series_of(result.run)
        return self._facts(series, result, assessment, (), self._standing(tx, series))

    def without_run(
        self, last: JudgedRun, assessment: Assessment, in_force: Sequence[Rule], standing: Sequence[Incident] = ()
    ) -> Facts:
        """Gather what is concluded from without a run; *last* is the pipeline's latest."""
        series = SeriesKey(self.context.name)
        return self._facts(series, RunResult(last.run), assessment, (last,), standing, in_force=in_force)

    def past(self, tx: Connection, series: SeriesKey, *, is_newest: bool, is_late: bool) -> Past:
        recent = self.context.section.watch.recent
        return Past(runs.doubtful(tx, series), recent, is_newest=is_newest, is_late=is_late)

    def _standing(self, tx: Connection, series: SeriesKey) -> list[Incident]:
        return [each for each in incidents.standing(tx, series) if each.kind not in {Kind.BLIND, Kind.AWAY}]

    def _facts(
        self,
        series: SeriesKey,
        result: RunResult,
        assessment: Assessment,
        earlier: Sequence[JudgedRun],
        standing: Sequence[Incident],
        fire_id: str | None = None,
        in_force: Sequence[Rule] = (),
    ) -> Facts:
        context, section = self.context, self.context.section
        return Facts(
            series=series,
            result=result,
            assessment=assessment,
            earlier=earlier,
            standing=standing,
            policy=section.incident_policy,
            metrics=section.metrics.keys(),
            places=context.places(result.run),
            page_title=page_title(context.title_of(result.run), result.run, context.locale),
            now=self.now,
            fire_id=fire_id,
            rules=in_force,
        )
