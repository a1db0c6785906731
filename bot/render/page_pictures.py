"""The charts of pages as SVG: shapes and numbers, coloured by the pages' stylesheet; the script only moves them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import assert_never
from unicodedata import east_asian_width

from bot.domain.page_charts import (
    CurvePicture,
    HeatMap,
    HistoryPicture,
    PagePicture,
    RunPoint,
    ShareBar,
    Sparkline,
)
from bot.domain.policy import is_usable
from bot.render.svg import BAD, Plane, round_values
from bot.text.escape import to_plain

_SPARK_WIDTH, _SPARK_HEIGHT, _EDGE = 108, 28, 3
_WIDTH, _HEIGHT, _CURVE_HEIGHT = 600, 210, 150
_MOST_DOTS = 60  # of a history; where there are more, only what is out of the ordinary has a mark
_DAYS = 5  # along the axis
_CELL, _LABEL, _FOOT, _HEAT_WIDTH = 24, 170, 28, 900
_LEVELS = 4
_LONGEST_PART = 22  # characters beside a heat map; wide ones count as two
_LETTER = 10.5  # of a day's name, at the size that phones write it in
_SHAPES = {  # a shape besides the colour, for eyes that do not tell these apart
    "bad": "M-5-4h10l-5 9z",
    "odd": "M-4-4L4 4M4-4L-4 4",
    "watch": "M0-5l5 5l-5 5l-5-5z",
    "good": "M-5 4h10l-5-9z",
}


def draw_picture(picture: PagePicture) -> str:
    """Return a chart as an SVG element; what it names is escaped."""
    match picture:
        case Sparkline():
            return _sparkline(picture)
        case HistoryPicture():
            return _history(picture)
        case CurvePicture():
            return _curve(picture)
        case HeatMap():
            return _heat_map(picture)
        case ShareBar():
            return _bar(picture)
        case _:
            assert_never(picture)


def _sparkline(spark: Sparkline) -> str:
    known = [value for value in spark.values if is_usable(value)]
    if not known:
        return ""
    low, high = min(known), max(known)
    step = (_SPARK_WIDTH - 2 * _EDGE) / max(len(spark.values) - 1, 1)
    places = [
        (round(_EDGE + number * step), round(_height_of(value, low, high))) if is_usable(value) else None
        for number, value in enumerate(spark.values)
    ]
    parts = [f'<polyline points="{" ".join(f"{x},{y}" for x, y in piece)}"/>' for piece in _runs_of(places)]
    for place, outcome in zip(places, spark.outcomes, strict=True):
        kind = BAD.get(outcome) if outcome else None
        if place is not None and kind:
            parts.append(f'<circle class="{kind}" cx="{place[0]}" cy="{place[1]}" r="2.5"/>')
    size = f"0 0 {_SPARK_WIDTH} {_SPARK_HEIGHT}"
    return f'<svg class="spark" viewBox="{size}" aria-hidden="true">{"".join(parts)}</svg>'  # words beside it say it


def _height_of(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return _SPARK_HEIGHT - _EDGE - share * (_SPARK_HEIGHT - 2 * _EDGE)


def _history(picture: HistoryPicture) -> str:
    ends = [end for point in picture.points for end in (point.value, point.low, point.high) if end is not None]
    known = [end for end in (*ends, *picture.limits) if is_usable(end)]
    if not known:
        return ""
    low, high = min(known), max(known)
    room = (high - low) * 0.08 or abs(high) * 0.02 or 1.0
    last = max(len(picture.points) - 1, 1)
    plane = Plane(-0.4, last + 0.4, low - room, high + room, _HEIGHT, _WIDTH)
    top, foot = plane.y(plane.high_y), plane.y(plane.low_y)
    parts = [_span(plane, each.first, each.last, each.label, each.href) for each in picture.spans]
    parts.append(_band(plane, picture.points))
    parts += [
        f'<path class="limit" d="M{plane.left:.1f},{plane.y(each):.1f}L{plane.right:.1f},{plane.y(each):.1f}"/>'
        for each in picture.limits
    ]
    for each in picture.events:
        x = plane.x(each.at)
        title = f"<title>{_text(each.label)}</title>"
        parts.append(
            f'<g class="event {each.kind}"><path d="M{x:.1f},{top:.1f}L{x:.1f},{foot:.1f}"/>'
            f'<path class="flag" transform="translate({x:.1f},{top:.1f})" d="M0 0h9l-3 4l3 4h-9z"/>{title}</g>'
        )
    places = [(plane.x(n), plane.y(p.value)) if is_usable(p.value) else None for n, p in enumerate(picture.points)]
    line = "".join(_path(piece) for piece in _runs_of(places))
    parts.append(f'<path class="run" d="{line}"/>')
    with_dots = len(picture.points) <= _MOST_DOTS
    parts += [
        _mark(place, point, day, with_dots=with_dots)
        for place, point, day in zip(places, picture.points, picture.days, strict=True)
        if place is not None
    ]
    values = escape("|".join(to_plain(point.shown).replace("|", "/") for point in picture.points))
    wanted = f' data-runs="{escape(picture.runs_at)}"' if picture.runs_at else ""
    return (
        f'<svg class="history" viewBox="0 0 {plane.width} {_HEIGHT}" role="img" aria-label="{_text(picture.name)}" '
        f'data-n="{len(picture.points)}" data-left="{plane.x(-0.4):.1f}" data-right="{plane.x(last + 0.4):.1f}" '
        f'data-v="{values}"{wanted}>{"".join(_grid(plane))}<g class="plot">{"".join(parts)}</g>'
        f"{''.join(_days(plane, picture.days))}</svg>"
    )


def _span(plane: Plane, first: int, last: int, label: str, href: str) -> str:
    left, right = plane.x(first - 0.4), plane.x(last + 0.4)
    top, foot = plane.y(plane.high_y), plane.y(plane.low_y)
    drawn = (
        f'<path class="span" d="M{left:.1f},{top:.1f}L{right:.1f},{top:.1f}L{right:.1f},{foot:.1f}'
        f'L{left:.1f},{foot:.1f}Z"><title>{_text(label)}</title></path>'
    )
    return f'<a href="{escape(href)}" aria-label="{_text(label)}">{drawn}</a>' if href else drawn


def _band(plane: Plane, points: Sequence[RunPoint]) -> str:
    """Draw where runs lie that are as before, for as long as that is known."""
    highs = [None if p.high is None else (plane.x(n), plane.y(p.high)) for n, p in enumerate(points)]
    lows = [None if p.low is None else (plane.x(n), plane.y(p.low)) for n, p in enumerate(points)]
    pieces = zip(_runs_of(highs), _runs_of(lows), strict=True)
    drawn = "".join(f"{_path(above)}L{_path(reversed(below))[1:]}Z" for above, below in pieces if len(above) > 1)
    return f'<path class="band" d="{drawn}"/>' if drawn else ""


def _mark(place: tuple[float, float], point: RunPoint, day: str, *, with_dots: bool) -> str:
    kind = BAD.get(point.outcome) if point.outcome else None
    if kind is None and not with_dots:
        return ""
    at = f'transform="translate({place[0]:.1f},{place[1]:.1f})"'
    if kind is None:
        return f'<circle class="{"calm" if point.outcome else "none"}" r="2.4" {at}/>'
    label = _text(f"{day} · {point.shown}")
    shape = f'<path class="{kind}" {at} d="{_SHAPES[kind]}"><title>{label}</title></path>'
    return f'<a href="{escape(point.href)}" aria-label="{label}">{shape}</a>' if point.href else shape


def _curve(picture: CurvePicture) -> str:
    known = [(step, value) for step, value in zip(picture.steps, picture.values, strict=True) if is_usable(value)]
    if not known:
        return ""
    low, high = min(value for _, value in known), max(value for _, value in known)
    room = (high - low) * 0.08 or abs(high) * 0.02 or 1.0
    first, last = known[0][0], known[-1][0]
    plane = Plane(first, max(last, first + 1), low - room, high + room, _CURVE_HEIGHT, _WIDTH)
    line = _path([(plane.x(step), plane.y(value)) for step, value in known])
    ends = f'<text x="{plane.x(first):.0f}" y="{_CURVE_HEIGHT - 8}">{first:,}</text>'
    ends += f'<text class="end" x="{plane.x(plane.high_x):.0f}" y="{_CURVE_HEIGHT - 8}">{last:,}</text>'
    name = _text(picture.name)
    return (
        f'<svg class="history" viewBox="0 0 {plane.width} {_CURVE_HEIGHT}" role="img" aria-label="{name}">'
        f'{"".join(_grid(plane))}<path class="curve" d="{line}"/>{ends}</svg>'
    )


def _heat_map(picture: HeatMap) -> str:
    count = max(len(picture.days), 1)
    width = (_HEAT_WIDTH - _LABEL) / count
    height = len(picture.rows) * _CELL + _FOOT
    cells: dict[str, list[str]] = {}
    labels = []
    for number, row in enumerate(picture.rows):
        y = number * _CELL
        values = escape("|".join(to_plain(each) for each in row.shown))
        part = to_plain(row.part)
        cut = _cut(part, _LONGEST_PART)
        if row.is_heading:
            labels.append(f'<text class="head" x="0" y="{y + 17}" data-v="">{_text(row.part)}</text>')
            continue
        labels.append(
            f'<text class="end" x="{_LABEL - 8}" y="{y + 17}" data-v="{values}">{escape(cut)}'
            f"<title>{escape(to_plain(row.whole or row.part))}</title></text>"
        )
        for place, change in enumerate(row.changes):
            shade = _shade(change, picture.full)
            cell = (
                f"M{_LABEL + place * width:.1f} {y + 1}h{max(width - 1, 1):.1f}v{_CELL - 2}h-{max(width - 1, 1):.1f}z"
            )
            cells.setdefault(shade, []).append(cell)
    drawn = "".join(f'<path class="{shade}" d="{"".join(some)}"/>' for shade, some in sorted(cells.items()))
    places = sorted({0, count // 2, count - 1})
    days = "".join(
        f'<text class="{_anchor(p, places)}" x="{_LABEL + (p + 0.5) * width:.0f}" y="{height - 6}">'
        f"{_text(picture.days[p])}</text>"
        for p in places
        if p < len(picture.days)
    )
    return (
        f'<svg class="heat" viewBox="0 0 {_HEAT_WIDTH} {height}" role="img" aria-label="{_text(picture.name)}" '
        f'data-n="{count}" data-left="{_LABEL}" data-cell="{_CELL}">{drawn}{"".join(labels)}{days}</svg>'
    )


def _shade(change: float | None, full: float) -> str:
    if change is None:
        return "h-none"
    level = min(_LEVELS, round(abs(change) / (full or 1.0) * _LEVELS))
    return "h0" if not level else f"h{'up' if change > 0 else 'down'}{level}"


def _bar(bar: ShareBar) -> str:
    width = min(max(bar.share, 0.0), 1.0) * 100
    return (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="rail" d="M0 0h100v8h-100z"/><path class="bad" d="M0 0h{width:.1f}v8h-{width:.1f}z"/></svg>'
    )


def _grid(plane: Plane) -> Iterator[str]:
    values = round_values(plane.low_y, plane.high_y)
    step = values[1] - values[0] if len(values) > 1 else abs(values[0]) or 1.0
    decimals = max(0, len(f"{step:.10f}".rstrip("0").partition(".")[2]))
    for value in values:
        y = plane.y(value)
        yield f'<path class="grid" d="M{plane.left} {y:.1f}H{plane.right}"/>'
        yield f'<text class="end" x="{plane.left - 6}" y="{y + 4:.1f}">{value:,.{decimals}f}</text>'


def _days(plane: Plane, days: Sequence[str]) -> Iterator[str]:
    """Write some of the days below, counted from the newest, and none that would run into the one after it."""
    if not days:
        return
    step = max(1, -(-(len(days) - 1) // (_DAYS - 1)))
    free = float("inf")
    for place in range(len(days) - 1, -1, -step):
        anchor = _anchor(place, (0, len(days) - 1))
        width = _width(to_plain(days[place])) * _LETTER
        start = plane.x(place) - width * {"start": 0.0, "mid": 0.5, "end": 1.0}[anchor]
        if start + width > free:
            continue
        free = start - _LETTER
        yield f'<text class="day {anchor}" x="{plane.x(place):.1f}" y="{plane.height - 8}">{_text(days[place])}</text>'


def _width(text: str) -> int:
    """Count the letters that have room where a text stands: one of Chinese takes that of two."""
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in text)


def _cut(text: str, most: int) -> str:
    if _width(text) <= most:
        return text
    kept = text[: most - 1]
    while _width(kept) > most - 1:
        kept = kept[:-1]
    return f"{kept}…"


def _anchor(place: int, places: Sequence[int]) -> str:
    if place == places[-1] and place:
        return "end"
    return "start" if place == places[0] else "mid"


def _runs_of(places: Iterable[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """Return the points of a line, in pieces where there is none."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is not None:
            pieces[-1].append(place)
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(text: str) -> str:
    return escape(to_plain(text))
