"""Which run of a history is the released one: as config names it, as it was told, else as what was judged shows.

A registry's alias may point to another run by now, and pages ask nothing of MLflow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bot.domain.judge.findings import Against
from bot.domain.judged_run import JudgedRun
from bot.domain.snapshots import IncidentBody
from bot.domain.views import ChartMarkKind
from bot.store import snapshots
from bot.web.reading import Reading


def released_in(page: Reading, name: str, history: Sequence[JudgedRun]) -> int | None:
    """Return the place of the released run; None where config names no release, or no run here is known as it."""
    release = page.section(name).release
    if release is None:
        return None
    if release.run is not None:
        return next((place for place, judged in enumerate(history) if judged.run.run_id == release.run), None)
    told = _as_told(page, name, history)
    return as_judged(history) if told is None else told


def _as_told(page: Reading, name: str, history: Sequence[JudgedRun]) -> int | None:
    """Find the run that the newest chart which people were shown has as released."""
    newest = snapshots.newest_told(page.tx, name)
    chart = newest.body.chart if newest is not None and isinstance(newest.body, IncidentBody) else None
    if chart is None or len(chart.dates) != len(chart.labels):
        return None
    marked = {
        (chart.labels[mark.place], chart.dates[mark.place])
        for mark in chart.marks
        if mark.kind is ChartMarkKind.RELEASED and mark.place < len(chart.labels)
    }
    zone = page.zone(name)
    named = ((judged.run.name, f"{judged.run.ended.astimezone(zone):%Y-%m-%d %H:%M}") for judged in history)
    return next((place for place, each in enumerate(named) if each in marked), None)


def as_judged(history: Sequence[JudgedRun]) -> int | None:
    """Find the one run that has exactly what the newest finding of a release says that it has."""
    for at in reversed(range(len(history))):
        held = [f for f in history[at].findings if f.against is Against.PINNED and f.part is None]
        wanted = [(f.metric, f.baseline) for f in held if f.baseline is not None]
        if wanted:
            fits = [place for place in range(at) if all(_is(history[place], *each) for each in wanted)]
            return fits[0] if len(fits) == 1 else None
    return None


def _is(judged: JudgedRun, metric: str, value: float) -> bool:
    return math.isclose(judged.run.metrics.get(metric, math.nan), value, rel_tol=1e-12)
