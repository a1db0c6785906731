"""Pages: of a run, of a pipeline, and of a pipeline's year."""

from __future__ import annotations

from itertools import chain

from bot.domain.incidents import IncidentState, Step, Turn, kind_of
from bot.domain.judge import Outcome
from bot.domain.page_paths import live_page, run_path
from bot.domain.rules import RuleKind
from bot.domain.views import ArchivePageView, HistoryRow, OpenIncidentRow, PipelinePageView, RuleRow, RunPageView
from bot.judging.titles import page_title, year_of
from bot.judging.views.answer import RuleNaming
from bot.judging.views.chart import chart_view, charts_of_all, legend_of
from bot.judging.views.differences import commit, differences_of, different, facts, params, unknown
from bot.judging.views.examples import examples_view
from bot.judging.views.incident import labels, links, listed_marker, marker, owner
from bot.judging.views.metric_rows import looked_view, metric_rows, peer_rows, plain_name, shown_value, slice_rows
from bot.judging.views.occasion import Occasion
from bot.judging.views.run import release, run_view
from bot.judging.views.verdict import last_word, verdict_view
from bot.text import formats

_HISTORY_RUNS = 25


def run_page_view(on: Occasion) -> RunPageView:
    own = (step for step in on.steps if step.incident.kind is kind_of(on.assessment.outcome))
    step = next(chain(own, on.steps), None)
    incident = step.incident if step else next(iter(on.standing), None)
    previous = next((judged for judged in reversed(on.history[:-1]) if judged.page_title), None)
    found = differences_of(on, step)
    chart = chart_view(on)
    is_wrong = on.assessment.outcome in {Outcome.REGRESSED, Outcome.SUSPICIOUS, Outcome.INVALID}
    previous_page = on.places.page(previous.page_title) if previous and previous.page_title else None
    return RunPageView(
        title=page_title(on.title, on.result.run, on.locale),
        verdict=verdict_view(on, step),
        run=run_view(on, on.history[-1].run),
        rows=metric_rows(on, reported=True),
        slices=slice_rows(on),
        params=params(on),
        facts=(*commit(on), *facts(on)),
        chart=chart,
        legend=legend_of(on, chart),
        marker=listed_marker(on, incident) if incident else "",
        labels=labels(on),
        peers=peer_rows(on),
        peer_metrics=tuple(plain_name(on, name) for name in on.config.metrics),
        previous=run_view(on, previous.run) if previous_page and previous else None,
        release=release(on),
        unread=on.result.unread,
        different=different(on, found) if is_wrong else (),
        unknown=unknown(found) if is_wrong else (),
        looked=looked_view(on),
        examples=examples_view(on),
        live=live_page(on.places.pages, run_path(on.history[-1].series.pipeline, on.result.run_id)),
        links=links(
            previous=previous_page,
            pipeline=on.places.page(on.places.pipeline_page),
            archive=on.places.page(on.places.archive_page),
        ),
    )


def archive_page_view(on: Occasion) -> ArchivePageView:
    return ArchivePageView(
        title=on.places.archive_page,
        pipeline=on.title,
        year=str(year_of(on.result.run, on.zone)),
        links=links(pipeline=on.places.page(on.places.pipeline_page)),
    )


def pipeline_page_view(on: Occasion) -> PipelinePageView:
    policies = on.config.metrics
    rows = [
        HistoryRow(
            run=run_view(on, judged.run),
            outcome=judged.outcome,
            values=tuple(shown_value(judged.run.metrics.get(name), section) for name, section in policies.items()),
            page_title=judged.page_title or "",
        )
        for judged in reversed(on.history[-_HISTORY_RUNS:])
    ]
    standing = [part for i in on.standing if i.state is IncidentState.OPEN for part in i.split()]
    open_rows = tuple(
        OpenIncidentRow(
            verdict=verdict_view(on, Step(incident, Turn.REPEATED), last_word(on, incident)),
            since=formats.moment(incident.since, on.zone, on.locale),
            owner=owner(on, incident),
            marker=listed_marker(on, incident),
            is_gone=incident.ticket_gone_at is not None,
            ticket="" if on.places.lists_tickets else marker(on, incident),
        )
        for incident in standing
    )
    tickets = {row.ticket: on.places.ticket(i) for row, i in zip(open_rows, standing, strict=True) if row.ticket}
    chart = charts_of_all(on)
    return PipelinePageView(
        title=on.places.pipeline_page,
        pipeline=on.title,
        description=on.config.description,
        owner=on.config.owner,
        metrics=tuple(plain_name(on, name) for name in policies),
        history=tuple(rows),
        incidents=open_rows,
        links=links(**tickets),
        quiet=_quiet_rows(on),
        chart=chart.filename if chart else "",
        legend=legend_of(on, chart),
    )


def _quiet_rows(on: Occasion) -> tuple[RuleRow, ...]:
    """List what is quiet in the series by somebody's word; that a fix is watched keeps nothing quiet."""
    naming = RuleNaming(on.title, on.config.metrics, on.locale, on.zone)
    series = on.history[-1].series
    held = (rule for rule in on.rules if rule.scope.series == series and rule.kind is not RuleKind.FIXED)
    return tuple(naming.row(rule) for rule in held)
