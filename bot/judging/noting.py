"""What whoever watches over Herald hears of a run that was judged: lines of the log, and counts."""

from __future__ import annotations

from collections.abc import Iterable

from bot.domain.fires import Fire
from bot.domain.incidents import Step
from bot.domain.judge import Assessment
from bot.domain.runs import Run
from bot.runtime import tallies
from bot.runtime.log import get_logger

log = get_logger(__name__)


def note_judged(pipeline: str, run: Run, assessment: Assessment, steps: Iterable[Step], fire: Fire | None) -> None:
    """Write what a run came to, and each incident that took a turn by it, under the ids that lead on from there."""
    tallies.runs_judged.note(assessment.outcome.value)
    for finding in assessment.findings:
        tallies.findings_made.note(finding.outcome.value)
    ids = {"pipeline": pipeline, "run": run.run_id, **({} if fire is None else {"fire": fire.fire_id})}
    log.info("judged", **ids, named=run.name, outcome=assessment.outcome.value)
    for step in steps:
        log.info("incident", **ids, incident=step.incident.incident_id, turn=step.turn.value)
