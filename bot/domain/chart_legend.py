"""What the words beside a chart have to explain, from what it draws."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.views import ChartMarkKind, ChartPart, ChartView, LegendView, Numbered


def is_drawable(name: str) -> bool:
    """Say whether the font that comes with matplotlib is sure to have every letter of a name."""
    return name.isascii()


def part_label(place: int, part: ChartPart) -> str:
    """Return what stands beside the bar of the part at that place, from the top: its name, or only its number."""
    return f"{place + 1}  {part.name}" if is_drawable(part.name) else str(place + 1)


def panel_label(place: int, panel: ChartView) -> str:
    """Return what stands above the panel at that place, or beside it."""
    return panel.metric if is_drawable(panel.metric) else f"[{place + 1}]"


def chart_legend(chart: ChartView, names: Sequence[str] = ()) -> LegendView:
    """Return what is to be explained; *names* are the metrics as the team calls them, by default as the chart does."""
    panels = chart, *chart.also
    found = {mark.kind for panel in panels for mark in panel.marks}
    numbered = [
        Numbered(panel_label(place, panel), panel.metric)
        for place, panel in enumerate(panels)
        if not is_drawable(panel.metric)
    ]
    numbered += [
        Numbered(part_label(place, part), part.name)
        for place, part in enumerate(chart.parts)
        if not is_drawable(part.name)
    ]
    return LegendView(
        metrics=tuple(names) or tuple(panel.metric for panel in panels),
        signs=tuple(kind for kind in ChartMarkKind if kind in found),
        is_shaded=any(panel.since is not None for panel in panels),
        has_limit=any(panel.limit is not None for panel in panels),
        parts=tuple(part.name for part in chart.parts),
        numbered=tuple(numbered),
    )
