"""Two runs beside one another: metrics with what runs differ by, parameters, data, parts."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bot.config.metric import MetricSection
from bot.domain.judge.findings import Finding
from bot.domain.judged_run import JudgedRun
from bot.domain.manifest import ComponentKind, manifest_of
from bot.domain.page_paths import comparison_path, pipeline_path
from bot.domain.page_views import ComparedRow, ComparisonPage, Crumb
from bot.domain.parts import columns_of
from bot.domain.policy import Direction
from bot.domain.views import FactRow
from bot.judging.views.differences import SOURCES, shortened
from bot.judging.views.metric_rows import shown_value
from bot.store import runs
from bot.text import formats
from bot.web.pipeline_page import run_line
from bot.web.reading import Reading, frame

_MOST, _CONFIDENCE = 60, 0.975
_MADE_FROM = (
    ComponentKind.CODE,
    ComponentKind.DATA,
    ComponentKind.TEST_SET,
    ComponentKind.ENVIRONMENT,
    ComponentKind.MACHINE,
)
_HASHES = ("hash", "test_hash")


def comparison_page(page: Reading, name: str, before_id: str, after_id: str) -> ComparisonPage | None:
    """Make the page of two runs of a pipeline; None where one is not on record."""
    before, after = (runs.find(page.tx, name, run_id) for run_id in (before_id, after_id))
    if before is None or after is None:
        return None
    return ComparisonPage(
        frame=frame(page.herald, page.ways, page.locale, page.now),
        crumb=Crumb(page.title(name), page.ways.to(pipeline_path(name))),
        before=run_line(page, before),
        after=run_line(page, after),
        metrics=tuple(_metrics(page, name, before, after)),
        made=_made(before, after),
        params=_facts(before.run.params, after.run.params),
        facts=_facts(_card(before), _card(after)),
        parts=tuple(_parts(page, name, before, after)),
        swap_href=page.ways.to(comparison_path(name, after_id, before_id)),
    )


def _metrics(page: Reading, name: str, before: JudgedRun, after: JudgedRun) -> list[ComparedRow]:
    sections = page.section(name).metrics
    own = [metric for metric in sections if metric in before.run.metrics or metric in after.run.metrics]
    other = sorted((before.run.metrics.keys() | after.run.metrics.keys()) - set(own))
    whole = {f.metric: f for judged in (before, after) for f in judged.findings if f.part is None}
    return [
        _row(
            page,
            metric,
            page.plain(name, metric),
            before.run.metrics.get(metric),
            after.run.metrics.get(metric),
            sections.get(metric),
            whole.get(metric),
        )
        for metric in (*own, *(each for each in other if "/" not in each))[:_MOST]
    ]


def _parts(page: Reading, name: str, before: JudgedRun, after: JudgedRun) -> list[ComparedRow]:
    then = {f.key: f for f in before.findings if f.part is not None}
    found = [(then[f.key], f) for f in after.findings if f.part is not None and f.key in then]
    sections = page.section(name).metrics
    found.sort(key=lambda pair: _change(pair[0], pair[1]) * _sign(sections.get(pair[1].metric)))
    columns = list(dict.fromkeys(columns_of(f.part) for _, f in found))
    found.sort(key=lambda pair: columns.index(columns_of(pair[1].part)))
    return [
        _row(
            page,
            str(f.part),
            f"{f.part.spoken if f.part else ''} · {page.plain(name, f.metric)}",
            old.value,
            f.value,
            sections.get(f.metric),
            f,
        )
        for old, f in found[:_MOST]
    ]


def _change(old: Finding, now: Finding) -> float:
    if old.value is None or now.value is None or not old.value:
        return 0.0
    change = (now.value - old.value) / abs(old.value)
    return change if math.isfinite(change) else 0.0


def _row(
    page: Reading,
    metric: str,
    plain: str,
    before: float | None,
    after: float | None,
    section: MetricSection | None,
    found: Finding | None,
) -> ComparedRow:
    shown = section or MetricSection()
    scale = before if before is not None else after
    change = after - before if before is not None and after is not None else None
    if change is None or not math.isfinite(change):
        change = None
    relative = change / abs(before) if change is not None and before else None
    half = None if change is None or section is None else _half_width(found)
    interval, tone = "", ""
    if change is not None and half is not None:
        low, high = (formats.number(change + side, scale=scale, signed=True) for side in (-half, half))
        interval = formats.between(low, high, page.locale)
        tone = "" if abs(change) <= half else "good" if change * _sign(section) > 0 else "bad"
    return ComparedRow(
        name=metric,
        plain=plain,
        before=shown_value(before, shown, scale),
        after=shown_value(after, shown, scale),
        change="" if change is None else formats.number(change, scale=scale, signed=True),
        relative="" if relative is None else formats.percent(relative, page.locale, signed=True),
        interval=interval,
        tone=tone,
    )


def _half_width(found: Finding | None) -> float | None:
    """Return what two runs that are the same differ by at most, 95 times of 100, by the spread between runs."""
    if found is None or not found.spread or found.n_baseline <= 1:
        return None
    from scipy.special import stdtrit

    return float(stdtrit(found.n_baseline - 1, _CONFIDENCE)) * found.spread * math.sqrt(2)


def _sign(section: MetricSection | None) -> float:
    return -1.0 if section is not None and section.direction is Direction.DOWN else 1.0


def _made(before: JudgedRun, after: JudgedRun) -> tuple[FactRow, ...]:
    """Return what both were made from beside parameters: commit, data and what else is on record, in that order."""
    manifests = (manifest_of(each.run, each.card) for each in (before, after))
    then, now = ({component.kind: made.shown for component, made in each.items()} for each in manifests)
    rows = []
    for kind in _MADE_FROM:
        was, has = then.get(kind, ""), now.get(kind, "")
        if was or has:
            rows.append(FactRow("", shortened(has), shortened(was), changed=was != has, source=SOURCES[kind]))
    return tuple(rows)


def _facts(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[FactRow, ...]:
    """Return what both have on record, what differs first."""
    rows = [
        FactRow(
            key,
            shortened(now.get(key, "")),
            shortened(before.get(key, "")),
            changed=before.get(key) != now.get(key),
        )
        for key in sorted(before.keys() | now.keys())
    ]
    return tuple(sorted(rows, key=lambda row: not row.changed))


def _card(judged: JudgedRun) -> dict[str, str]:
    texts = {key: text for key, text in judged.card.texts.items() if key not in _HASHES}  # which stand above
    return {**{key: formats.fact(value) for key, value in judged.card.numbers.items()}, **texts}
