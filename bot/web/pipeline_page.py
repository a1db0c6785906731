"""The page of a pipeline: how it stands, and the history of each of its metrics."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.incidents import Incident, IncidentState, SeriesKey
from bot.domain.judged_run import JudgedRun
from bot.domain.page_paths import comparison_path, incident_path, pipeline_path, run_path
from bot.domain.page_views import IncidentLine, PipelineDetail, RunLine, SeriesSection, SpanLink
from bot.domain.rules import Rule, RuleKind
from bot.domain.views import RuleRow, RunView
from bot.judging.titles import series_title
from bot.judging.views.answer import RuleNaming
from bot.judging.views.metric_rows import shown_value
from bot.reports.digest_lines import LineGathering
from bot.store import incidents, objects, rules, runs
from bot.text import formats
from bot.web.histories import chart_cards, events_in, metrics_drawn, runs_json
from bot.web.job_lines import job_lines
from bot.web.overview import LATELY, Glances, row_of_pipeline
from bot.web.reading import Reading, frame

SPANS = (30, 90, 250)  # runs
_SERIES, _INCIDENTS, _LISTED = 4, 40, 40
_POINTS = 6_000  # that a page has room for


def pipeline_page(page: Reading, kept: Glances, name: str, asked: str = "") -> PipelineDetail:
    """Make the page of a pipeline; *asked* is how many runs somebody wants to see."""
    section = page.section(name)
    span = next((each for each in SPANS if str(each) == asked), SPANS[1] if not page.ways.is_folder else SPANS[0])
    latest = sorted(runs.latest_of_each(page.tx, name), key=lambda judged: judged.run.ended, reverse=True)
    happened = incidents.of_pipeline(page.tx, name, *IncidentState)
    answered = rules.of_pipeline(page.tx, name)
    span = min(span, max(SPANS[0], _POINTS // max(len(section.metrics) * min(len(latest), _SERIES), 1)))
    own = page.ways.to(pipeline_path(name))
    return PipelineDetail(
        frame=frame(page.herald, page.ways, page.locale, page.now),
        title=page.title(name),
        description=section.description,
        row=row_of_pipeline(page, kept, name),
        series=tuple(
            _series(page, name, judged.series, span, number, happened, answered, is_only=len(latest) == 1)
            for number, judged in enumerate(latest[:_SERIES])
        ),
        incidents=incident_lines(page, list(reversed(happened))[:_INCIDENTS]),
        quiet=quiet_rows(page, name, [rule for rule in answered if rule.holds_at(page.now)]),
        spans=tuple(
            SpanLink(str(each), f"{own}?runs={each}", is_chosen=each == span)
            for each in SPANS
            if not page.ways.is_folder
        ),
        compare_action="" if page.ways.is_folder else page.ways.to(f"compare/{pipeline_path(name).partition('/')[2]}"),
        jobs=job_lines(page, name),
        other_series=str(len(latest) - _SERIES) if len(latest) > _SERIES else "",
    )


def _series(
    page: Reading,
    name: str,
    series: SeriesKey,
    span: int,
    number: int,
    happened: Sequence[Incident],
    answered: Sequence[Rule],
    *,
    is_only: bool,
) -> SeriesSection:
    section = page.section(name)
    history = runs.recent(page.tx, series, span)
    own = [incident for incident in happened if incident.series == series]
    metrics = metrics_drawn(section.metrics, history)
    runs_id = f"runs-{number}"
    ruled = [rule for rule in answered if rule.scope.series == series]
    events = list(events_in(page, name, history, ruled))
    title = series_title("", history[-1].run, section.series_by).strip(" /")
    return SeriesSection(
        name="" if is_only else title,
        runs_id=runs_id,
        runs_json=runs_json(page, name, history),
        charts=chart_cards(page, name, metrics, history, own, events, runs_id),
        metrics=tuple(page.plain(name, metric) for metric in metrics),
        runs=tuple(run_line(page, judged, metrics, history) for judged in reversed(history[-_LISTED:])),
    )


def run_line(
    page: Reading, judged: JudgedRun, metrics: Sequence[str] = (), history: Sequence[JudgedRun] = ()
) -> RunLine:
    """Write a run in a line, with the way to it beside the accepted run before it."""
    name, run = judged.series.pipeline, judged.run
    section = page.section(name)
    earlier = (each for each in reversed(history) if each.accepted and each.run.place < run.place)
    before = next(earlier, None)
    return RunLine(
        run=run_view_of(page, judged),
        href=page.ways.to(run_path(name, run.run_id)),
        outcome=judged.outcome,
        values=tuple(shown_value(run.metrics.get(each), section.metrics[each]) for each in metrics),
        compare_href="" if before is None else page.ways.to(comparison_path(name, before.run.run_id, run.run_id)),
    )


def run_view_of(page: Reading, judged: JudgedRun) -> RunView:
    run = judged.run
    return RunView(
        name=run.name or run.run_id,
        run_id=run.run_id,
        url=run.url,
        when=page.moment(run.ended, judged.series.pipeline),
        seed=run.params.get("seed", ""),
        duration=formats.duration(run.ended - run.started, page.locale) if run.ended > run.started else "",
    )


def incident_lines(page: Reading, found: Sequence[Incident]) -> tuple[IncidentLine, ...]:
    """Write incidents in a line each, as the digest does."""
    gathering = LineGathering(page.herald, page.tx, page.now - LATELY, page.now, page.locale, page.zone())
    lines = [(incident, gathering.line_of(incident)) for incident in found]
    known = objects.known_objects(page.tx, gathering.links.values())
    bound = {name: known[key].bound if key in known else None for name, key in gathering.links.items()}
    return tuple(
        IncidentLine(
            line=line,
            state=incident.state,
            since=page.moment(incident.since, incident.series.pipeline),
            href=page.ways.to(incident_path(incident.incident_id)),
            tickets={line.ticket: bound.get(line.ticket)} if line.ticket else {},
        )
        for incident, line in lines
    )


def quiet_rows(page: Reading, name: str, held: Sequence[Rule]) -> tuple[RuleRow, ...]:
    naming = RuleNaming(page.title(name), page.section(name).metrics, page.locale, page.zone(name))
    return tuple(naming.row(rule) for rule in held if rule.kind is not RuleKind.FIXED)
