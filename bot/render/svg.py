"""Charts as SVG, drawn by whoever shows the page: shapes and numbers, coloured by the page's own style."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from bot.domain.judge.findings import Outcome
from bot.domain.policy import is_usable
from bot.domain.replay_views import CatchChart, CatchLine, Dot, HistoryChart, ReplayChart, TradeChart, WeeksChart
from bot.text.escape import to_plain

_WIDTH, _HEIGHT = 720, 220
_SMALL_HEIGHT = 120
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 10, 26
BAD = {
    Outcome.REGRESSED: "bad",
    Outcome.BREACHED: "bad",
    Outcome.INVALID: "odd",
    Outcome.SUSPICIOUS: "watch",
    Outcome.OUTSIDE: "watch",
    Outcome.IMPROVED: "good",
}
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Plane:
    """Where values stand on a drawing."""

    low_x: float
    high_x: float
    low_y: float
    high_y: float
    height: int = _HEIGHT
    width: int = _WIDTH

    @property
    def left(self) -> int:
        return _LEFT

    @property
    def right(self) -> int:
        return self.width - _RIGHT

    def x(self, value: float) -> float:
        share = (value - self.low_x) / ((self.high_x - self.low_x) or 1)
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low_y) / ((self.high_y - self.low_y) or 1)
        return self.height - _BOTTOM - share * (self.height - _TOP - _BOTTOM)

    def at(self, x: float, y: float) -> str:
        return f"{self.x(x):.1f},{self.y(y):.1f}"


def draw(chart: ReplayChart) -> str:
    """Return a chart as an SVG element; what it names is escaped."""
    match chart:
        case HistoryChart():
            return _history(chart)
        case WeeksChart():
            return _weeks(chart)
        case CatchChart():
            return _catches(chart)
        case TradeChart():
            return _trade(chart)


def _history(chart: HistoryChart) -> str:
    known = [dot.value for dot in chart.dots if is_usable(dot.value)]
    if not known:
        return ""
    low, high = min(known), max(known)
    room = (high - low) * 0.08 or abs(high) * 0.02 or 1.0
    plane = Plane(0, max(len(chart.dots) - 1, 1), low - room, high + room, _SMALL_HEIGHT if chart.is_small else _HEIGHT)
    parts = [_span(plane, first, last) for first, last in chart.spans]
    parts += _grid(plane)
    if chart.baseline is not None and plane.low_y <= chart.baseline <= plane.high_y:
        level = plane.y(chart.baseline)
        parts.append(f'<line class="level" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{level:.1f}" y2="{level:.1f}"/>')
    parts += [f'<polyline class="run" points="{" ".join(piece)}"/>' for piece in _pieces(plane, chart.dots)]
    parts += [_dot(plane, i, dot) for i, dot in enumerate(chart.dots) if not chart.is_small or dot.outcome in BAD]
    foot = plane.height - 8
    parts.append(f'<text x="{_LEFT}" y="{foot}">{_text(chart.first)}</text>')
    parts.append(f'<text class="end" x="{_WIDTH - _RIGHT}" y="{foot}">{_text(chart.last)}</text>')
    return _drawing(parts, plane.height, chart.metric)


def _pieces(plane: Plane, dots: Sequence[Dot]) -> Iterable[list[str]]:
    """Yield the points of a line, in pieces where a value is none."""
    piece: list[str] = []
    for number, dot in enumerate(dots):
        if is_usable(dot.value):
            piece.append(plane.at(number, dot.value))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _dot(plane: Plane, number: int, dot: Dot) -> str:
    if not is_usable(dot.value):
        return ""
    x, y, kind = plane.x(number), plane.y(dot.value), BAD.get(dot.outcome, "calm") if dot.outcome else "none"
    label = f"<title>{_text(dot.label)}</title>" if dot.label else ""
    match kind:
        case "bad" | "odd":  # a shape besides the colour, for eyes that do not tell these apart
            shape = f'<path class="{kind}" d="M{x - 4:.1f} {y - 3.5:.1f}h8l-4 8z"'
        case "watch":
            shape = f'<path class="{kind}" d="M{x:.1f} {y - 4.5:.1f}l4.5 4.5l-4.5 4.5l-4.5-4.5z"'
        case "good":
            shape = f'<path class="{kind}" d="M{x - 4:.1f} {y + 3.5:.1f}h8l-4-8z"'
        case _:
            shape = f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"'
    return f"{shape}>{label}</{'circle' if kind in ('calm', 'none') else 'path'}>" if label else f"{shape}/>"


def _span(plane: Plane, first: int, last: int) -> str:
    left, right = plane.x(first - 0.5), plane.x(last + 0.5)
    left, right = max(left, _LEFT), min(right, _WIDTH - _RIGHT)
    height = plane.height - _TOP - _BOTTOM
    return f'<rect class="span" x="{left:.1f}" y="{_TOP}" width="{max(right - left, 1):.1f}" height="{height}"/>'


def _weeks(chart: WeeksChart) -> str:
    most = max(chart.counts, default=0)
    plane = Plane(-0.5, len(chart.counts) - 0.5, 0, max(most, 1), _SMALL_HEIGHT)
    width = max((plane.x(1) - plane.x(0)) * 0.7, 1)
    parts = _grid(plane, [0, max(most, 1)], decimals=0)
    for number, count in enumerate(chart.counts):
        if count:
            x, y = plane.x(number) - width / 2, plane.y(count)
            label = _text(f"{chart.labels[number]}: {count}")
            height = plane.y(0) - y
            parts.append(
                f'<rect class="week" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">'
                f"<title>{label}</title></rect>"
            )
    foot = plane.height - 8
    parts.append(f'<text x="{_LEFT}" y="{foot}">{_text(chart.labels[0])}</text>')
    parts.append(f'<text class="end" x="{_WIDTH - _RIGHT}" y="{foot}">{_text(chart.labels[-1])}</text>')
    return _drawing(parts, plane.height, "")


def _catches(chart: CatchChart) -> str:
    most = max((point.size for line in chart.lines for point in line.points), default=1.0)
    plane = Plane(0, most, 0, 1, _HEIGHT + 40)
    parts = _grid(plane, [0, 0.25, 0.5, 0.75, 1], is_share=True) + _across(plane, chart.across)
    for number, line in enumerate(chart.lines):
        parts += _catch_line(plane, number, line)
    return _drawing(parts, plane.height, chart.up)


def _catch_line(plane: Plane, number: int, line: CatchLine) -> list[str]:
    kind = f"line{number}"
    bars = [
        f'<line class="{kind} bar" x1="{plane.x(p.size):.1f}" x2="{plane.x(p.size):.1f}" '
        f'y1="{plane.y(p.low):.1f}" y2="{plane.y(p.high):.1f}"/>'
        for p in line.points
    ]
    path = " ".join(plane.at(point.size, point.share) for point in line.points)
    dots = [
        f'<circle class="{kind} point" cx="{plane.x(p.size):.1f}" cy="{plane.y(p.share):.1f}" r="3.5"/>'
        for p in line.points
    ]
    x, y = _LEFT + 14, _TOP + 16 + 22 * number
    legend = [
        f'<circle class="{kind} point" cx="{x}" cy="{y - 4}" r="4"/>',
        f'<text x="{x + 10}" y="{y}">{_text(line.name)}</text>',
    ]
    return [*bars, f'<polyline class="{kind}" points="{path}"/>', *dots, *legend]


def _trade(chart: TradeChart) -> str:
    most = max([point.false for point in chart.points] + [chart.bearable]) * 1.15 or 1.0
    plane = Plane(0, most, 0, 1, _HEIGHT + 40)
    parts = _grid(plane, [0, 0.25, 0.5, 0.75, 1], is_share=True) + _across(plane, chart.across)
    edge = plane.x(chart.bearable)
    parts.append(f'<line class="level" x1="{edge:.1f}" x2="{edge:.1f}" y1="{_TOP}" y2="{plane.y(0):.1f}"/>')
    for point in chart.points:
        x, y = plane.x(point.false), plane.y(point.caught)
        kind, size = ("chosen", 6) if point.is_chosen else ("point", 4)
        is_right = x > _WIDTH * 0.7
        anchor, away = (' class="end"', -9) if is_right else ("", 9)
        parts.append(f'<circle class="line0 {kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size}"/>')
        parts.append(f'<text{anchor} x="{x + away:.1f}" y="{y + 4:.1f}">{_text(point.name)}</text>')
    return _drawing(parts, plane.height, chart.up)


def _grid(plane: Plane, at: Sequence[float] = (), *, is_share: bool = False, decimals: int | None = None) -> list[str]:
    """Draw lines across with their values."""
    values = list(at) or round_values(plane.low_y, plane.high_y)
    parts: list[str] = []
    step = (values[1] - values[0]) if len(values) > 1 else abs(values[0]) or 1
    places = max(0, -math.floor(math.log10(step))) if decimals is None and step else decimals or 0
    for value in values:
        y = plane.y(value)
        shown = f"{value:.0%}" if is_share else f"{value:,.{places}f}"
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{_LEFT - 6}" y="{y + 4:.1f}">{shown}</text>')
    return parts


def _across(plane: Plane, name: str) -> list[str]:
    foot = plane.height - 8
    within = plane.y(plane.low_y) - 7  # where few lines go: below all of them
    parts = [f'<text class="end" x="{_WIDTH - _RIGHT}" y="{within:.1f}">{_text(name)}</text>']
    values = round_values(plane.low_x, plane.high_x)
    parts += [f'<text class="mid" x="{plane.x(value):.1f}" y="{foot}">{value:g}</text>' for value in values]
    return parts


def round_values(low: float, high: float) -> list[float]:
    """Choose three to six round values between two."""
    width = high - low
    if not width > 0:
        return [low]
    step = 10 ** math.floor(math.log10(width / 3))
    step *= next(each for each in (1, 2, 5, 10) if width / (step * each) <= 5)  # noqa: PLR2004  lines
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


def _text(text: str) -> str:
    return escape(to_plain(text))


def _drawing(parts: Iterable[str], height: int, name: str) -> str:
    title = to_plain(name)[:_LONGEST_NAME]
    label = f' aria-label="{escape(title)}"' if title else ""
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img"{label}>{"".join(parts)}</svg>'
