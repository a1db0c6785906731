"""Metrics' histories as a picture: no words but the technical names of metrics, runs and parts."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from io import BytesIO
from typing import TYPE_CHECKING

from bot.domain.views import ChartView
from bot.render.chart_panels import MOST_PARTS, draw_panel, draw_parts, draw_weeks
from bot.runtime.late_imports import LateImport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE = 4  # counted up with every change to how a chart is drawn: a filename stands for one picture
_WIDTH, _HEIGHT = 900, 360  # pixels at the size it is shown
_WEEKS_HEIGHT = 240
_ROW = 240  # of several metrics, two in a row
_PART, _PARTS_AROUND = 34, 50  # pixels: of each part's bar, and around them
_MOST_PANELS = 6
_SCALE = 2  # drawn at twice that, for screens that show it so
_POINTS_AN_INCH = 100


def _load() -> None:
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401
    from PIL import Image

    Image.preinit()


_DRAWING = LateImport(_load)  # most Heralds that run have nothing to draw for days, and it is a tenth of their memory


def chart_filename(chart: ChartView) -> str:
    """Name the picture after what it shows, so that the same picture has the same name."""
    shown = asdict(chart)
    del shown["filename"]
    content = json.dumps([_STYLE, shown], sort_keys=True).encode()
    return f"history-{hashlib.sha256(content).hexdigest()[:12]}.png"


def draw_history(chart: ChartView) -> bytes:
    """Draw the newest runs of one metric or several as PNG; the same chart gives the same bytes.

    A value that is no number, or one beyond all measure, leaves a gap, marked at the lower edge. Below the metrics
    stand the parts that lost most. A chart of weeks is their health alone.
    """
    _DRAWING.ensure()
    if chart.weeks:
        figure = _Canvas(_WEEKS_HEIGHT)
        draw_weeks(figure.axes(58, 14, _WIDTH - 58 - 14, _WEEKS_HEIGHT - 14 - 34), chart.weeks)
        return figure.written()
    panels, parts = (chart, *chart.also)[:_MOST_PANELS], chart.parts[:MOST_PARTS]
    columns = 1 if len(panels) == 1 else 2
    row_height = _HEIGHT if columns == 1 else _ROW
    top_of_parts = row_height * math.ceil(len(panels) / columns)
    figure = _Canvas(top_of_parts + (_PARTS_AROUND + _PART * len(parts) if parts else 0))
    width = _WIDTH // columns
    for place, panel in enumerate(panels):
        row, column = divmod(place, columns)
        left = 72 if columns == 1 else 58  # for numbers, and in the one case the metric's name
        top = 34 if columns == 1 else 42  # for signs, and among others the metric's name
        box = (column * width + left, row * row_height + top, width - left - 14, row_height - top - 44)
        draw_panel(figure.axes(*box), panel, width, place if columns > 1 else None)
    if parts:
        height = _PART * len(parts)
        draw_parts(
            figure.axes(250, top_of_parts + 10, 270, height), figure.axes(560, top_of_parts + 10, 326, height), parts
        )
    return figure.written()


class _Canvas:
    """A picture in the making, measured in pixels from its upper left corner at the size it is shown."""

    def __init__(self, height: int) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._height = height
        size = _WIDTH / _POINTS_AN_INCH, height / _POINTS_AN_INCH
        self._figure = Figure(figsize=size, dpi=_POINTS_AN_INCH * _SCALE)
        FigureCanvasAgg(self._figure)

    def axes(self, left: int, top: int, width: int, height: int) -> Axes:
        below = self._height - top - height
        box = left / _WIDTH, below / self._height, width / _WIDTH, height / self._height
        return self._figure.add_axes(box)

    def written(self) -> bytes:
        picture = BytesIO()
        self._figure.savefig(picture, format="png", metadata={"Software": None})
        return picture.getvalue()
