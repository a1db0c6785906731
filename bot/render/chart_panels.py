"""What stands in one panel of a chart: a metric's values, what they are held against, and what happened meanwhile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bot.domain.chart_legend import panel_label, part_label
from bot.domain.judge.findings import Outcome
from bot.domain.policy import is_usable, settle
from bot.domain.views import ChartMark, ChartMarkKind, ChartPart, ChartView, ChartWeek
from bot.text.escape import to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_RUNS = 60  # more would not be told apart
MOST_PARTS = 8
_LABEL_WIDTH = 62  # pixels that the longest label takes
_LABEL_CHARS = 14
_PART_CHARS = 34
_MOST_DAYS = 2  # within which the time of day tells runs apart

INK, GREY = "#172b4d", "#6b778c"
_FELL, _RULE = "#d55e00", "#dfe1e6"
# Colours that stay apart for colour-blind eyes (Okabe and Ito, 2008), and a shape each besides: matplotlib's `o` is a
# circle, `D` a diamond, `v` a triangle pointing down, `^` one pointing up, `X` a cross, `s` a square.
MARKS = {
    Outcome.IMPROVED: ("^", "#009e73"),
    Outcome.OK: ("o", "#0072b2"),
    Outcome.NO_BASELINE: ("o", "#56b4e9"),
    Outcome.INSUFFICIENT_DATA: ("o", "#56b4e9"),
    Outcome.SUSPICIOUS: ("D", "#e69f00"),
    Outcome.OUTSIDE: ("D", "#e69f00"),
    Outcome.BREACHED: ("v", "#d55e00"),
    Outcome.REGRESSED: ("v", "#d55e00"),
    Outcome.INVALID: ("X", "#cc79a7"),
    Outcome.STALE: ("X", GREY),
    Outcome.FAILED: ("X", GREY),
    Outcome.BLIND: ("X", GREY),
    Outcome.AWAY: ("X", GREY),
    None: ("s", GREY),
}
# Signs that the words beside the picture explain, drawn by every font that comes with matplotlib.
_SIGNS = {
    ChartMarkKind.OPENED: ("!", "#d55e00"),
    ChartMarkKind.ACCEPTED: ("✓", "#00734f"),
    ChartMarkKind.RELEASED: ("★", "#0072b2"),
    ChartMarkKind.DATA: ("≠", "#9a4f7c"),
}


def draw_panel(axes: Axes, chart: ChartView, width: int, place: int | None = None) -> None:
    """Draw a metric's newest runs on axes that are *width* pixels wide, at a *place* among others, or alone."""
    first = max(0, len(chart.values) - MOST_RUNS)
    values, outcomes = chart.values[first:], chart.outcomes[first:]
    if chart.since is not None and values:
        axes.axvspan(max(chart.since - first, 0) - 0.5, len(values) - 0.5, color=_FELL, alpha=0.09, lw=0, zorder=0)
    _draw_baseline(axes, chart)
    if chart.limit is not None and is_usable(chart.limit):
        axes.axhline(chart.limit, color=_FELL, linewidth=1.2, zorder=1)
    _draw_values(axes, values, outcomes, size=9 if place is None else 7)
    _dress(axes, labels_of(chart)[first:], width)
    _draw_signs(axes, [(mark.place - first, mark) for mark in chart.marks if mark.place >= first])
    name = short(panel_label(place or 0, chart), 40)
    if place is not None:
        axes.set_title(name, loc="left", fontsize=10, color=INK, parse_math=False, pad=16 if chart.marks else 8)
    else:
        axes.set_ylabel(name, fontsize=10, color=INK, parse_math=False)


def labels_of(chart: ChartView) -> Sequence[str]:
    """Name the runs by their dates where their own names repeat or do not fit, and dates are known."""
    names = [short(label) for label in chart.labels]
    fits = all(len(to_plain(label)) <= _LABEL_CHARS and label.isascii() for label in chart.labels)
    if (fits and len(set(names)) == len(names)) or len(chart.dates) != len(chart.labels):
        return names
    days = [date[:10] for date in chart.dates]
    span = len(set(days))
    if span <= _MOST_DAYS or len(set(days)) < len(days):
        return [f"{date[5:10]}\n{date[11:16]}" for date in chart.dates]
    return [day if len({each[:4] for each in days}) > 1 else day[5:] for day in days]


def _draw_baseline(axes: Axes, chart: ChartView) -> None:
    if chart.baseline is None or not is_usable(chart.baseline):
        return
    axes.axhline(chart.baseline, color=GREY, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
    if chart.band is not None and is_usable(chart.band):
        axes.axhspan(chart.baseline - chart.band, chart.baseline + chart.band, color=GREY, alpha=0.15, lw=0, zorder=0)


def _draw_values(axes: Axes, values: Sequence[float], outcomes: Sequence[Outcome | None], size: int) -> None:
    """Draw a line through the values and a mark for each run by its outcome."""
    numbers = [settle(value) if is_usable(value) else math.nan for value in values]
    axes.plot(range(len(numbers)), numbers, color=INK, linewidth=1.2, alpha=0.55, zorder=2)
    foot = axes.get_xaxis_transform()
    for outcome in dict.fromkeys(outcomes):
        shape, colour = MARKS[outcome]
        own = [place for place, each in enumerate(outcomes) if each is outcome]
        there = [place for place in own if not math.isnan(numbers[place])]
        lost = [place for place in own if math.isnan(numbers[place])]
        grown = size + 2 if shape in "v^" else size  # a triangle fills less of its box
        style: dict[str, Any] = {"color": colour, "markeredgecolor": "white", "linestyle": "none", "zorder": 3}
        axes.plot(there, [numbers[place] for place in there], shape, markersize=grown, **style)
        axes.plot(lost, [0] * len(lost), "X", markersize=size, transform=foot, clip_on=False, **style)


def _draw_signs(axes: Axes, marks: Sequence[tuple[int, ChartMark]]) -> None:
    """Write a sign above each run at which something happened, and lead the eye down to it."""
    signs: dict[int, list[ChartMarkKind]] = {}
    for place, mark in marks:
        signs.setdefault(place, []).append(mark.kind)
    for place, kinds in signs.items():
        axes.axvline(place, color=_SIGNS[kinds[0]][1], linewidth=0.9, linestyle=(0, (1, 2)), alpha=0.8, zorder=1)
        each_once = list(dict.fromkeys(kinds))
        for row, kind in enumerate(each_once):
            sign, colour = _SIGNS[kind]
            axes.annotate(
                sign,
                (place, 1),
                xycoords=axes.get_xaxis_transform(),
                xytext=(11 * (row - (len(each_once) - 1) / 2), 2),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=11,
                fontweight="bold",
                color=colour,
            )


def _dress(axes: Axes, labels: Sequence[str], width: int) -> None:
    step = max(1, math.ceil(len(labels) * _LABEL_WIDTH / max(width - 90, 1)))
    # Counted from the newest, which is the one people look for.
    ticks = sorted(range(len(labels) - 1, -1, -step))
    axes.set_xticks(ticks, each_day_once([labels[tick] for tick in ticks]), fontsize=9, color=GREY)
    axes.set_xlim(-0.5, max(len(labels), 1) - 0.5)
    axes.tick_params(axis="y", labelsize=9, labelcolor=GREY, color=GREY)
    axes.tick_params(axis="x", color=GREY)
    for text in axes.get_xticklabels():
        text.set_parse_math(False)
    axes.locator_params(axis="y", nbins=6)
    axes.grid(axis="y", color=_RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(y=0.15)
    bare(axes)


def each_day_once(labels: Sequence[str]) -> Sequence[str]:
    """Leave the day out of a date and hour that comes after another of the same day."""
    told: list[str] = []
    before = ""
    for label in labels:
        day, _, hour = label.partition("\n")
        told.append(f"\n{hour}" if hour and day == before else label)
        before = day
    return told


def bare(axes: Axes) -> None:
    """Leave of the frame what carries numbers."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#c1c7d0")


def draw_weeks(axes: Axes, weeks: Sequence[ChartWeek]) -> None:
    """Draw how many pipelines stood how, a bar a week: at the foot those that are well, on top those that are not."""
    places = range(len(weeks))
    good, watch, bad = ([getattr(week, kind) for week in weeks] for kind in ("good", "watch", "bad"))
    above = [one + other for one, other in zip(good, watch, strict=True)]
    style: dict[str, Any] = {"width": 0.62, "edgecolor": "white", "linewidth": 0.8}
    axes.bar(places, good, color="#0072b2", **style)
    axes.bar(places, watch, bottom=good, color="#e69f00", hatch="//", **style)
    axes.bar(places, bad, bottom=above, color=_FELL, **style)
    for place, (below, count) in enumerate(zip(above, bad, strict=True)):
        if count:
            axes.text(place, below + count, str(count), ha="center", va="bottom", fontsize=10, color=_FELL)
    axes.set_xticks(list(places), [short(week.end) for week in weeks], fontsize=9, color=GREY)
    axes.set_xlim(-0.6, max(len(weeks), 1) - 0.4)
    axes.set_ylim(0, max((one + count for one, count in zip(above, bad, strict=True)), default=1) * 1.15 or 1)
    axes.locator_params(axis="y", integer=True, nbins=5)
    axes.tick_params(axis="both", labelsize=9, labelcolor=GREY, color=GREY)
    axes.grid(axis="y", color=_RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    bare(axes)


def draw_parts(shares: Axes, levels: Axes, parts: Sequence[ChartPart]) -> None:
    """Draw how much of the loss each part brings, and beside it what the part was before and is now.

    A part whose name the font cannot draw has its row's number, which the words beside the picture explain. A line
    keeps the parts by one column from those by another.
    """
    rows = range(len(parts))
    names = [part_label(row, part) for row, part in enumerate(parts)]
    lengths = [min(max(part.share, 0.0), 1.0) if is_usable(part.share) else 0.0 for part in parts]
    shares.barh(rows, lengths, height=0.52, color=_FELL, alpha=0.85)
    for row, part in enumerate(parts):
        shares.annotate(
            f"{part.share:.0%}" if is_usable(part.share) else "",
            (lengths[row], row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK,
        )
        if is_usable(part.before) and is_usable(part.now):
            before, now = settle(part.before), settle(part.now)
            levels.plot([before, now], [row, row], color=GREY, linewidth=2, alpha=0.6, zorder=1)
            levels.plot([before], [row], "o", color="#0072b2", markersize=8, markeredgecolor="white", zorder=2)
            levels.plot([now], [row], "v", color=_FELL, markersize=10, markeredgecolor="white", zorder=2)
    for row, (above, below) in enumerate(pairwise(parts)):
        if above.column != below.column:
            shares.axhline(row + 0.5, color=_RULE, linewidth=1.2, zorder=0)
            levels.axhline(row + 0.5, color=_RULE, linewidth=1.2, zorder=0)
    shares.set_yticks(list(rows), [short(name, _PART_CHARS) for name in names], fontsize=9, color=INK)
    for text in shares.get_yticklabels():
        text.set_parse_math(False)
    levels.set_yticks([])
    levels.margins(x=0.12)
    levels.locator_params(axis="x", nbins=5)
    levels.grid(axis="x", color=_RULE, linewidth=0.7)
    levels.set_axisbelow(True)
    shares.set_xlim(0, 1.14)
    shares.set_xticks([])
    for axes in (shares, levels):
        axes.set_ylim(len(parts) - 0.5, -0.5)
        axes.tick_params(axis="x", labelsize=9, labelcolor=GREY, color=GREY)
        axes.tick_params(axis="y", length=0)
        bare(axes)
    shares.spines["bottom"].set_visible(False)
    levels.spines["left"].set_visible(False)


def short(text: str, length: int = _LABEL_CHARS) -> str:
    """Shorten a label to what the default font can draw."""
    drawable = "".join(char if char.isascii() else "?" for char in to_plain(text))
    return drawable if len(drawable) <= length else drawable[: length - 3] + "..."
