"""A series as it stands between two runs, for what has to be said of it though no run has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bot.domain.incidents import Incident, IncidentState, SeriesKey, Step
from bot.domain.judged_run import JudgedRun
from bot.judging.context import JudgingContext
from bot.judging.facts import HISTORY_RUNS, FactReader
from bot.judging.run_recording import RunRecorder
from bot.judging.silence import nothing_yet
from bot.judging.views.occasion import Occasion
from bot.store import incidents, runs


@dataclass(frozen=True, slots=True)
class BetweenRuns:
    """Shows how series of one pipeline stand by their newest runs."""

    context: JudgingContext

    def occasion(self, tx: Connection, series: SeriesKey, now: datetime, steps: Sequence[Step] = ()) -> Occasion:
        """Gather what can be shown of a series; of one without a run, by the pipeline's latest.

        Of *steps* that incidents have just taken, none needs to be on record yet.
        """
        context, recorder = self.context, RunRecorder(self.context)
        history = self._history(tx, series, now)
        newest = history[-1]
        facts = FactReader(context, now).of_newest_run(tx, newest, newest.assessment)
        taken = {step.incident.incident_id: step.incident for step in steps}
        standing = {each.incident_id: each for each in incidents.standing(tx, series)} | taken
        return recorder.occasion(
            facts,
            steps,
            title=context.title_of(newest.run),
            result=facts.result,
            history=history,
            standing=[each for each in standing.values() if each.state is IncidentState.OPEN],
            names=recorder.onsets(tx, steps),
        )

    def last_bad_run(self, tx: Connection, incident: Incident) -> JudgedRun | None:
        """Return the newest run that showed an incident, where it was one."""
        return runs.find(tx, incident.series.pipeline, incident.bad_runs[-1]) if incident.bad_runs else None

    def _history(self, tx: Connection, series: SeriesKey, now: datetime) -> Sequence[JudgedRun]:
        history = runs.recent(tx, series, HISTORY_RUNS)
        if history:
            return history
        latest = runs.latest(tx, series.pipeline)
        return [latest or nothing_yet(series, now)]
