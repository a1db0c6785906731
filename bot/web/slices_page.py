"""Where a metric fell and since when: each part of the examples, over the runs."""

from __future__ import annotations

from collections.abc import Sequence

from bot.config.metric import MetricSection
from bot.domain.judge.findings import Finding
from bot.domain.judged_run import JudgedRun
from bot.domain.page_charts import HeatMap, HeatRow, ShareBar
from bot.domain.page_paths import pipeline_path, slices_path
from bot.domain.page_views import Crumb, PartBar, SlicesPage
from bot.domain.parts import by_column, columns_of
from bot.domain.policy import Direction
from bot.judging.views.metric_rows import metric_row
from bot.store import runs
from bot.text import formats
from bot.web.histories import runs_json
from bot.web.pipeline_page import run_line
from bot.web.reading import Reading, frame

_RUNS, _PARTS, _LISTED = 45, 30, 60
_LEAST_FULL, _MOST_FULL = 0.05, 0.5  # the relative change that is drawn in full colour


def slices_page(page: Reading, name: str, metric: str) -> SlicesPage | None:
    """Make the page of a metric's parts; None where no run has a part of it."""
    latest = runs.latest(page.tx, name)
    if latest is None:
        return None
    history = [each for each in runs.recent(page.tx, latest.series, _RUNS) if _parted(each, metric)]
    section = page.section(name).metrics.get(metric, MetricSection())
    newest = history[-1] if history else None
    if newest is None:
        return None
    sign = -1.0 if section.direction is Direction.DOWN else 1.0
    own = by_column(_parted(newest, metric), lambda f: (-(f.share_of_loss or 0.0), (f.relative or 0.0) * sign))
    others = sorted({f.metric for f in newest.findings if f.part is not None} - {metric})
    return SlicesPage(
        frame=frame(page.herald, page.ways, page.locale, page.now),
        crumb=Crumb(page.title(name), page.ways.to(pipeline_path(name))),
        plain=section.name.get(page.locale, metric),
        heat=_heat(page, name, metric, history, own[:_PARTS], sign),
        runs_json=runs_json(page, name, history),
        rows=tuple(
            PartBar(metric_row(each, section, page.locale), ShareBar(max(each.share_of_loss or 0.0, 0.0)))
            for each in own[:_LISTED]
        ),
        run=run_line(page, newest, (), history),
        others=tuple(Crumb(page.plain(name, each), page.ways.to(slices_path(name, each))) for each in others),
    )


def _parted(judged: JudgedRun, metric: str) -> list[Finding]:
    return [f for f in judged.findings if f.part is not None and f.metric == metric]


def _heat(
    page: Reading, name: str, metric: str, history: Sequence[JudgedRun], parts: Sequence[Finding], sign: float
) -> HeatMap:
    by_run = [{f.key: f for f in _parted(judged, metric)} for judged in history]
    rows: list[HeatRow] = []
    column: tuple[str, ...] = ()
    for part in parts:
        if columns_of(part.part) != column:
            column = columns_of(part.part)
            rows.append(HeatRow(" / ".join(column), is_heading=True))
        cells = [found.get(part.key) for found in by_run]
        changes = tuple(None if f is None or f.relative is None else f.relative * sign for f in cells)
        shown = tuple(
            "" if f is None or f.relative is None else formats.percent(f.relative, page.locale, signed=True)
            for f in cells
        )
        if part.part is not None:
            rows.append(HeatRow(part.part.place, changes, shown, part.part.spoken))
    sizes = sorted(abs(change) for row in rows for change in row.changes if change is not None)
    full = min(max(sizes[-1] if sizes else 0.0, _LEAST_FULL), _MOST_FULL)
    return HeatMap(
        name=page.plain(name, metric),
        rows=tuple(rows),
        days=formats.days([judged.run.ended for judged in history], page.zone(name), page.locale),
        full=full,
    )
