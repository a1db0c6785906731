"""A metric's history as a picture: no words but the metric's technical name and the names of the runs."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from typing import TYPE_CHECKING

from bot.domain.judge.findings import Outcome
from bot.domain.policy import is_usable, settle
from bot.domain.views import ChartView
from bot.text.escape import to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE = 2  # counted up with every change to how a chart is drawn: a filename stands for one picture
_WIDTH, _HEIGHT = 900, 360  # pixels at the size it is shown
_SCALE = 2  # drawn at twice that, for screens that show it so
_POINTS_AN_INCH = 100
_MOST_RUNS = 60  # more would not be told apart
_MOST_LABELS = 12
_LABEL_CHARS = 14

_INK, _GREY = "#172b4d", "#6b778c"
# Colours that stay apart for colour-blind eyes (Okabe and Ito, 2008), and a shape each besides: matplotlib's `o` is a
# circle, `D` a diamond, `v` a triangle pointing down, `^` one pointing up, `X` a cross, `s` a square.
_MARKS = {
    Outcome.IMPROVED: ("^", "#009e73"),
    Outcome.OK: ("o", "#0072b2"),
    Outcome.NO_BASELINE: ("o", "#56b4e9"),
    Outcome.INSUFFICIENT_DATA: ("o", "#56b4e9"),
    Outcome.SUSPICIOUS: ("D", "#e69f00"),
    Outcome.OUTSIDE: ("D", "#e69f00"),
    Outcome.BREACHED: ("v", "#d55e00"),
    Outcome.REGRESSED: ("v", "#d55e00"),
    Outcome.INVALID: ("X", "#cc79a7"),
    Outcome.STALE: ("X", _GREY),
    Outcome.FAILED: ("X", _GREY),
    Outcome.BLIND: ("X", _GREY),
    None: ("s", _GREY),
}


def load() -> None:
    """Import what drawing needs, before threads do."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401
    from PIL import Image

    Image.preinit()


def chart_filename(chart: ChartView) -> str:
    """Name the picture after what it shows, so that the same picture has the same name."""
    shown = asdict(chart)
    del shown["filename"]
    content = json.dumps([_STYLE, shown], sort_keys=True).encode()
    return f"history-{hashlib.sha256(content).hexdigest()[:12]}.png"


def draw_history(chart: ChartView) -> bytes:
    """Draw the newest runs of a metric as PNG; the same chart gives the same bytes.

    A value that is no number, or one beyond all measure, leaves a gap, marked at the lower edge.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels, values = chart.labels[-_MOST_RUNS:], chart.values[-_MOST_RUNS:]
    outcomes = chart.outcomes[-_MOST_RUNS:]
    figure = Figure(figsize=(_WIDTH / _POINTS_AN_INCH, _HEIGHT / _POINTS_AN_INCH), dpi=_POINTS_AN_INCH * _SCALE)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw_baseline(axes, chart)
    if chart.limit is not None and is_usable(chart.limit):
        axes.axhline(chart.limit, color=_MARKS[Outcome.BREACHED][1], linewidth=1.2, zorder=1)
    _draw_values(axes, values, outcomes)
    _dress(axes, chart.metric, labels)
    figure.tight_layout(pad=0.8)
    picture = BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _draw_baseline(axes: Axes, chart: ChartView) -> None:
    if chart.baseline is None or not is_usable(chart.baseline):
        return
    axes.axhline(chart.baseline, color=_GREY, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
    if chart.band is not None and is_usable(chart.band):
        axes.axhspan(chart.baseline - chart.band, chart.baseline + chart.band, color=_GREY, alpha=0.15, lw=0, zorder=0)


def _draw_values(axes: Axes, values: Sequence[float], outcomes: Sequence[Outcome | None]) -> None:
    """Draw a line through the values and a mark for each run by its outcome."""
    numbers = [settle(value) if is_usable(value) else math.nan for value in values]
    axes.plot(range(len(numbers)), numbers, color=_INK, linewidth=1.2, alpha=0.55, zorder=2)
    for position, (value, outcome) in enumerate(zip(numbers, outcomes, strict=True)):
        shape, colour = _MARKS[outcome]
        if math.isnan(value):
            axes.plot(
                position,
                0,
                "X",
                color=colour,
                markersize=9,
                transform=axes.get_xaxis_transform(),
                clip_on=False,
                zorder=3,
            )
        else:
            size = 11 if shape in "v^" else 9  # a triangle fills less of its box
            axes.plot(position, value, shape, color=colour, markersize=size, markeredgecolor="white", zorder=3)


def _dress(axes: Axes, metric: str, labels: Sequence[str]) -> None:
    step = max(1, math.ceil(len(labels) / _MOST_LABELS))
    # Counted from the newest, which is the one people look for.
    ticks = sorted(range(len(labels) - 1, -1, -step))
    axes.set_xticks(ticks, [_short(labels[tick]) for tick in ticks], fontsize=9, color=_GREY)
    axes.set_xlim(-0.5, max(len(labels), 1) - 0.5)
    axes.set_ylabel(_short(metric, 40), fontsize=10, color=_INK, parse_math=False)
    axes.tick_params(axis="y", labelsize=9, labelcolor=_GREY, color=_GREY)
    axes.tick_params(axis="x", color=_GREY)
    for text in axes.get_xticklabels():
        text.set_parse_math(False)
    axes.grid(axis="y", color="#dfe1e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(y=0.15)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#c1c7d0")


def _short(text: str, length: int = _LABEL_CHARS) -> str:
    """Shorten a label to what the default font can draw."""
    drawable = "".join(char if char.isascii() else "?" for char in to_plain(text))
    return drawable if len(drawable) <= length else drawable[: length - 3] + "..."
