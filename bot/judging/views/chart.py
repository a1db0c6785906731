"""The history of the metric that is spoken of, to be drawn."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.headlines import CHART_RUNS, charted
from bot.domain.incidents import Step
from bot.domain.views import ChartView
from bot.judging.views.occasion import Occasion
from bot.render.charts import chart_filename


def chart_view(on: Occasion, step: Step | None = None) -> ChartView | None:
    """Return the history of the metric that the verdict speaks of; None where there is nothing to draw."""
    told = charted(on.assessment, step, on.config.metrics, on.history)
    if told is None:
        return None
    points = [judged for judged in on.history[-CHART_RUNS:] if told.metric in judged.run.metrics]
    chart = ChartView(
        metric=told.metric,
        labels=tuple(judged.run.name for judged in points),
        values=tuple(judged.run.metrics[told.metric] for judged in points),
        outcomes=tuple(judged.outcome for judged in points),
        baseline=told.baseline,
        band=None if told.spread is None else 2 * told.spread,
        limit=told.limit,
    )
    return replace(chart, filename=chart_filename(chart))
