"""Whether runs have stopped coming: told where none came in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.domain.conclusion import conclude_without_run
from bot.domain.incidents import SeriesKey
from bot.domain.judge import Assessment, Outcome, SeriesState
from bot.domain.judged_run import JudgedRun
from bot.domain.runs import DataCard, Run, RunStatus
from bot.domain.silence import find_silence
from bot.judging.context import JudgingContext
from bot.judging.facts import FactReader, rules_in_force
from bot.judging.run_recording import RunRecorder
from bot.runtime.log import get_logger
from bot.store import incidents, pipelines, quarantine, runs

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SilenceWatch:
    """Looks whether a pipeline has fallen silent."""

    context: JudgingContext
    is_any_new: Callable[[datetime], bool]  # whether MLflow has a run that nobody has judged yet

    def look_for_silence(self) -> None:
        """File that no run came in time; MLflow is asked first, for a run that nobody has judged yet."""
        context, policy = self.context, self.context.section.silence_policy
        if policy is None:
            return
        now = context.clock()
        with context.database.begin() as tx:
            known = pipelines.know(tx, context.name, now)
            last = runs.latest(tx, context.name)
            in_force = rules_in_force(tx, now, context.name)
            set_aside = quarantine.last_end(tx, context.name)  # runs came, though they could not be judged
        newest = max(filter(None, (last.run.ended if last else None, set_aside)), default=None)
        finding = find_silence(policy, newest, known.known_since, now)
        if finding is None:
            return
        before = last or nothing_yet(SeriesKey(context.name), known.known_since)
        assessment = Assessment(before.run.run_id, (finding,), SeriesState())
        facts = FactReader(context, now).without_run(before, assessment, in_force)
        told = conclude_without_run(facts, facts.ends)
        (incident,) = told.incidents
        with context.database.begin() as tx:
            is_known = incidents.is_known(tx, incident.incident_id)
        if is_known or self.is_any_new(now):
            return
        with context.database.begin() as tx:
            if incidents.is_known(tx, incident.incident_id):
                return
            RunRecorder(context).record_without_run(
                tx, facts, told, on_written=lambda: context.on_step("silence.recording")
            )
        context.on_step("silence.recorded")
        log.warning("silent", pipeline=context.name, last=before.run.name, always=True)


def nothing_yet(series: SeriesKey, since: datetime) -> JudgedRun:
    """Stand in for the last run of a pipeline that has had none since it was first seen."""
    run = Run("", "", RunStatus.RUNNING, since, since)
    return JudgedRun(
        run, series, DataCard(), (), Outcome.STALE, accepted=False, wants_confirmation=False, judged_at=since
    )
