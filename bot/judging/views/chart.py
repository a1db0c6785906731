"""The histories of the metrics that are spoken of, to be drawn, with what happened meanwhile and what lost most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from bot.domain.chart_legend import chart_legend
from bot.domain.headlines import CHART_RUNS, all_charted
from bot.domain.incidents import Step
from bot.domain.judge import Finding, Outcome
from bot.domain.judged_run import JudgedRun
from bot.domain.manifest import Component, ComponentKind, manifest_of
from bot.domain.parts import columns_of
from bot.domain.rules import RuleKind
from bot.domain.views import ChartMark, ChartMarkKind, ChartPart, ChartView, LegendView
from bot.judging.views.metric_rows import plain_name, sliced
from bot.judging.views.occasion import Occasion
from bot.render.charts import chart_filename

PIPELINE_CHART = "history.png"  # on the page of a pipeline, where the newest takes the place of the one before
_MOST_PARTS, _OF_A_COLUMN = 8, 5
_LEAST_SHARE = 0.005  # of the loss; a part with less shows nothing
_MOST_METRICS = 6  # in one picture
_MOST_CHANGES = 3  # of data in the runs of a chart; where they change more often than that, it says nothing
_BAD = {Outcome.SUSPICIOUS, Outcome.REGRESSED, Outcome.OUTSIDE, Outcome.BREACHED}


def chart_view(on: Occasion, step: Step | None = None) -> ChartView | None:
    """Return the histories of the metrics that the verdict speaks of; None where there is nothing to draw."""
    told = all_charted(on.assessment, step, on.config.metrics, on.history)
    if not told:
        return None
    first, *also = (_history(on, finding) for finding in told[:_MOST_METRICS])
    parts = tuple(_parts(on, step))[:_MOST_PARTS] if told[0].outcome in _BAD else ()
    return _named(replace(first, also=tuple(also), parts=parts))


def charts_of_all(on: Occasion) -> ChartView | None:
    """Return the history of every metric that is judged, as the newest run leaves it; None where there is none."""
    found = [f for f in on.assessment.findings if f.part is None and f.metric in on.config.metrics]
    order = {name: place for place, name in enumerate(on.config.metrics)}
    found.sort(key=lambda f: order[f.metric])
    charts = [_history(on, finding) for finding in found[:_MOST_METRICS]]
    measured = [chart for chart in charts if chart.values]
    return replace(measured[0], also=tuple(measured[1:]), filename=PIPELINE_CHART) if measured else None


def legend_of(on: Occasion, chart: ChartView | None) -> LegendView | None:
    """Return what the words beside a chart have to explain, in the language of whom they are for."""
    if chart is None:
        return None
    return chart_legend(chart, tuple(plain_name(on, panel.metric) for panel in (chart, *chart.also)))


def _named(chart: ChartView) -> ChartView:
    return replace(chart, filename=chart_filename(chart))


def _history(on: Occasion, finding: Finding) -> ChartView:
    points = [judged for judged in on.history[-CHART_RUNS:] if finding.metric in judged.run.metrics]
    places = {judged.run.run_id: place for place, judged in enumerate(points)}
    fell = finding.outcome in _BAD
    return ChartView(
        metric=finding.metric,
        labels=tuple(judged.run.name for judged in points),
        values=tuple(judged.run.metrics[finding.metric] for judged in points),
        outcomes=tuple(_outcome_of(judged, finding.metric) for judged in points),
        baseline=finding.baseline,
        band=None if finding.spread is None else 2 * finding.spread,
        limit=finding.limit,
        dates=tuple(f"{judged.run.ended.astimezone(on.zone):%Y-%m-%d %H:%M}" for judged in points),
        since=places.get(finding.onset or on.result.run_id) if fell else None,
        marks=tuple(sorted(_marks(on, finding, points), key=lambda mark: (mark.place, mark.kind))),
    )


def _outcome_of(judged: JudgedRun, metric: str) -> Outcome:
    """Return what a run said of one metric; of all of it, where it is not on record of that one."""
    own = (f.outcome for f in judged.findings if f.part is None and f.metric == metric)
    return next(own, judged.outcome)


def _marks(on: Occasion, finding: Finding, points: Sequence[JudgedRun]) -> Iterator[ChartMark]:
    """Yield what happened at the runs of a metric, each thing at a run once."""
    places = {judged.run.run_id: place for place, judged in enumerate(points)}
    began = {i.onset for i in (*(step.incident for step in on.steps), *on.standing) if finding.metric in i.metrics}
    series = on.history[-1].series
    accepted = {r.from_run for r in on.rules if r.kind is RuleKind.EXPECTED and r.is_about(series, finding.metric)}
    released = {on.baseline.pinned.run_id} if on.baseline.pinned else set()
    for kind, runs in (
        (ChartMarkKind.OPENED, began),
        (ChartMarkKind.ACCEPTED, accepted),
        (ChartMarkKind.RELEASED, released),
    ):
        yield from (ChartMark(places[run], kind) for run in runs if run in places)
    changed = list(_changes_of_data(points))
    if len(changed) <= _MOST_CHANGES:
        yield from (ChartMark(place, ChartMarkKind.DATA) for place in changed)


def _changes_of_data(points: Sequence[JudgedRun]) -> Iterator[int]:
    """Yield the places of runs that were made from other data than the one before."""
    data = Component(ComponentKind.DATA)
    made = [manifest_of(judged.run, judged.card).get(data) for judged in points]
    for place, (before, now) in enumerate(pairwise(made), start=1):
        if before is not None and now is not None and before.identity != now.identity:
            yield place


def _parts(on: Occasion, step: Step | None) -> Iterator[ChartPart]:
    """Yield the parts that lost most, column by column."""
    seen: Counter[tuple[str, ...]] = Counter()
    for f in sliced(on, step):
        column = columns_of(f.part)
        seen[column] += 1
        if seen[column] > _OF_A_COLUMN or f.part is None or f.share_of_loss is None or f.share_of_loss < _LEAST_SHARE:
            continue
        if f.value is not None and f.baseline is not None:
            yield ChartPart(f.part.spoken, f.share_of_loss, f.baseline, f.value, " / ".join(column))
