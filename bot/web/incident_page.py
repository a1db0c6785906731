"""The page of an incident: what fell, where, what is different, and its life from the first bad run on."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.diagnosis.inquiry import InquiryState
from bot.domain.incidents import Incident
from bot.domain.judged_run import JudgedRun
from bot.domain.objects import Bound, Marker, ObjectKey, ObjectKind
from bot.domain.page_charts import ShareBar
from bot.domain.page_paths import comparison_path, pipeline_path, run_path, slices_path
from bot.domain.page_views import ChartCard, Crumb, IncidentDetail, PartBar
from bot.domain.snapshots import IncidentBody, IncidentFace, Snapshot
from bot.domain.views import DiagnosisView
from bot.judging.inquiry_answers import answer_part
from bot.judging.views.face import face_of
from bot.store import incidents, inquiries, objects, rules, runs, snapshots
from bot.text import formats
from bot.web.histories import chart_cards, events_in, metrics_drawn, runs_json
from bot.web.occasions import last_run_of, occasion_of, step_of
from bot.web.pipeline_page import incident_lines
from bot.web.reading import Reading, frame
from bot.web.timelines import timeline

_RUNS, _CHARTS, _PARTS = 60, 3, 12
RUNS_ID = "runs-0"


def incident_page(page: Reading, incident_id: str) -> IncidentDetail | None:
    """Make the page of an incident; None where there is none of that id, or config has its pipeline no more."""
    incident = incidents.find(page.tx, incident_id)
    if incident is None or incident.series.pipeline not in page.config.pipeline:
        return None
    last = last_run_of(page, incident)
    if last is None:
        return None
    name = incident.series.pipeline
    told = snapshots.of_incident(page.tx, incident_id)
    face, newest = _face(page, incident, last, told)
    history = runs.recent(page.tx, incident.series, _RUNS) or [last]
    (listed,) = incident_lines(page, [incident])
    before = _accepted_before(page, incident)
    return IncidentDetail(
        frame=frame(page.herald, page.ways, page.locale, page.now),
        crumb=Crumb(page.title(name), page.ways.to(pipeline_path(name))),
        line=listed.line,
        tickets=listed.tickets,
        state=incident.state,
        kind=incident.kind,
        verdict=face.verdict,
        owner=face.owner or page.section(name).owner,
        since=page.moment(incident.since, name),
        lasted=formats.duration(incident.lasted(page.now), page.locale),
        ticket=_ticket(page, incident),
        told="" if newest is None else page.moment(newest.as_of, name),
        rows=face.rows,
        parts=_parts(face),
        different=face.different,
        unknown=face.unknown,
        diagnosis=_diagnosis(page, incident),
        charts=_charts(page, incident, history, face),
        timeline=timeline(page, incident, told),
        runs_json=runs_json(page, name, history),
        run_href=page.ways.to(run_path(name, last.run.run_id)),
        compare_href="" if before is None else page.ways.to(comparison_path(name, before.run.run_id, last.run.run_id)),
        slices_href=_slices_href(page, incident, last),
        is_whole=newest is None or newest.is_whole,
    )


def _face(
    page: Reading, incident: Incident, last: JudgedRun, told: Sequence[Snapshot]
) -> tuple[IncidentFace, Snapshot | None]:
    """Return what was told last that has numbers of the fall, as it was frozen; what nobody was told, as it stands."""
    for each in reversed(told):
        if isinstance(each.body, IncidentBody) and page.locale in each.body.faces:
            face = each.body.faces[page.locale]
            if face.rows or not incident.metrics:
                return face, each
    step = step_of(incident)
    return face_of(occasion_of(page, last, (step,)), step), None


def _diagnosis(page: Reading, incident: Incident) -> DiagnosisView | None:
    """Return what the newest inquiry that is over came to."""
    had = inquiries.of_incident(page.tx, incident.incident_id)
    over = [each for each in had if each.state is not InquiryState.RUNNING]
    return answer_part(page.tx, page.config, over[-1], page.locale).diagnosis if over else None


def _accepted_before(page: Reading, incident: Incident) -> JudgedRun | None:
    """Return the last good run before an incident."""
    onset = runs.find(page.tx, incident.series.pipeline, incident.onset)
    if onset is None:
        return None
    found = runs.recent(page.tx, incident.series, 1, accepted_only=True, ahead_of=onset.run)
    return found[-1] if found else None


def _ticket(page: Reading, incident: Incident) -> Bound | None:
    section = page.section(incident.series.pipeline)
    if section.tracker is None:
        return None
    place = incident.parts[0].place if incident.parts else 0
    marker = str(Marker(page.config.instance, incident.incident_id, place))
    key = ObjectKey(section.tracker, ObjectKind.TICKET, marker)
    known = objects.known_objects(page.tx, [key])
    return known[key].bound if key in known else None


def _parts(face: IncidentFace) -> tuple[PartBar, ...]:
    """Return the parts that lost most, each with its share as a bar: of the number beside it, as it was told."""
    return tuple(PartBar(row, ShareBar(formats.percent_in(row.share_of_loss))) for row in face.slices[:_PARTS])


def _charts(
    page: Reading, incident: Incident, history: Sequence[JudgedRun], face: IncidentFace
) -> tuple[ChartCard, ...]:
    name = incident.series.pipeline
    fallen = [row.metric for row in face.rows if row.metric in {key.partition(" [")[0] for key in incident.metrics}]
    drawn = metrics_drawn(page.section(name).metrics, history)
    wanted = [metric for metric in dict.fromkeys(fallen) if metric in drawn] or drawn[:1]
    answered = [rule for rule in rules.of_pipeline(page.tx, name) if rule.scope.series == incident.series]
    events = list(events_in(page, name, history, answered))
    return chart_cards(page, name, wanted[:_CHARTS], history, [incident], events, RUNS_ID)


def _slices_href(page: Reading, incident: Incident, last: JudgedRun) -> str:
    name = incident.series.pipeline
    parted = {f.metric for f in last.findings if f.part is not None}
    fallen = [key.partition(" [")[0] for key in incident.metrics]
    metric = next((each for each in fallen if each in parted), None)
    return "" if metric is None else page.ways.to(slices_path(name, metric))
