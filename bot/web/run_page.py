"""The page of a run: what its report in the wiki has, and its curves by step while MLflow is there."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.incidents import Incident, IncidentState
from bot.domain.judged_run import JudgedRun
from bot.domain.page_charts import CurvePicture
from bot.domain.page_paths import comparison_path, pipeline_path
from bot.domain.page_views import Crumb, RunDetail
from bot.judging.views.page import run_page_view
from bot.store import incidents, rules, runs
from bot.web.histories import chart_card, events_in, metrics_drawn, runs_json
from bot.web.occasions import occasion_of, step_of
from bot.web.pipeline_page import incident_lines
from bot.web.reading import Reading, frame

_RUNS = 60
_RUNS_ID = "runs-0"


def run_page(page: Reading, name: str, run_id: str, curves: Sequence[CurvePicture] = ()) -> RunDetail | None:
    """Make the page of a run; None where it is not on record."""
    judged = runs.find(page.tx, name, run_id)
    if judged is None:
        return None
    mine = [each for each in incidents.of_pipeline(page.tx, name, *IncidentState) if is_of(each, judged)]
    on = occasion_of(page, judged, tuple(step_of(incident) for incident in mine[:1]))
    history = on.history[-_RUNS:]
    told = on.assessment.with_outcome(judged.outcome)
    drawn = metrics_drawn(page.section(name).metrics, history)
    metric = next((f.metric for f in told if f.part is None and f.metric in drawn), drawn[0] if drawn else "")
    answered = [rule for rule in rules.of_pipeline(page.tx, name) if rule.scope.series == judged.series]
    events = list(events_in(page, name, history, answered))
    before = next((each for each in reversed(history[:-1]) if each.accepted), None)
    return RunDetail(
        frame=frame(page.herald, page.ways, page.locale, page.now),
        crumb=Crumb(page.title(name), page.ways.to(pipeline_path(name))),
        report=run_page_view(on),
        card=chart_card(page, name, metric, history, mine, events, _RUNS_ID) if metric else None,
        runs_json=runs_json(page, name, history),
        curves=tuple(curves),
        compare_href="" if before is None else page.ways.to(comparison_path(name, before.run.run_id, run_id)),
        incidents=incident_lines(page, mine),
    )


def is_of(incident: Incident, judged: JudgedRun) -> bool:
    """Say whether a run showed an incident, or showed it well again."""
    return judged.run.run_id in {*incident.bad_runs, incident.recovered_by, incident.opened_by}
