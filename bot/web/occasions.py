"""What can be shown of a run, or of an incident, from the state alone: the same as was told of it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.incidents import Incident, Step, Turn
from bot.domain.judged_run import JudgedRun
from bot.domain.notifications import Places
from bot.domain.runs import Baseline, RunResult
from bot.judging.facts import HISTORY_RUNS, rules_in_force
from bot.judging.titles import series_title
from bot.judging.views.occasion import Occasion
from bot.store import confirmations, runs
from bot.web.reading import Reading

_BASELINE = 20  # accepted runs


def occasion_of(page: Reading, judged: JudgedRun, steps: Sequence[Step] = ()) -> Occasion:
    """Gather what a run was told by, as far as it is in the state."""
    name, tx = judged.series.pipeline, page.tx
    section = page.section(name)
    history = [*runs.recent(tx, judged.series, HISTORY_RUNS, ahead_of=judged.run), judged]
    before = runs.recent(tx, judged.series, _BASELINE, accepted_only=True, ahead_of=judged.run)
    bad = {run_id for step in steps for run_id in step.incident.bad_runs}
    onsets = {step.incident.onset: runs.find(tx, name, step.incident.onset) for step in steps}
    return Occasion(
        title=series_title(page.title(name), judged.run, section.series_by),
        config=section,
        locale=page.locale,
        channel_locale=page.locale,
        zone=page.zone(name),
        places=Places(page.config.instance, "", "", tracker=section.tracker),
        result=RunResult(judged.run, judged.card, unread=judged.unread),
        assessment=judged.assessment,
        baseline=Baseline(tuple(RunResult(each.run, each.card) for each in before)),
        history=history,
        steps=steps,
        standing=[step.incident for step in steps],
        now=page.now,
        names={run_id: found for run_id, found in onsets.items() if found is not None},
        reruns=confirmations.of_runs(tx, name, bad | {judged.run.run_id}),
        rules=rules_in_force(tx, page.now, name),
    )


def step_of(incident: Incident) -> Step:
    """Return the turn by which an incident is shown as it stands."""
    if not incident.state.is_over:
        return Step(incident, Turn.REPEATED)
    return Step(incident, Turn.RESOLVED if incident.was_seen_recovering else Turn.WITHDRAWN)


def last_run_of(page: Reading, incident: Incident) -> JudgedRun | None:
    """Return the run that shows an incident: its newest bad one, else that with which it began."""
    name = incident.series.pipeline
    for run_id in (*reversed(incident.bad_runs), incident.onset, incident.opened_by):
        found = runs.find(page.tx, name, run_id)
        if found is not None:
            return found
    return runs.latest(page.tx, name)
