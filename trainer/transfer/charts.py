"""One small chart a target: what each start reaches after how many rows, drawn as SVG without words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.jobs.transfer import PLAIN
from trainer.transfer.matrix import MatrixEntry, TransferMatrix

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 28
TICKS = 4
COLOURS = (
    "#1f6fb2",
    "#c2571a",
    "#2e8b57",
    "#8b4aa8",
    "#a8871c",
    "#b23a5c",
    "#3a8f9e",
    "#6b6f2a",
)  # not by colour alone:
DASHES = ("", "6 3", "2 3", "8 3 2 3")  # lines differ by their dashes too


@dataclass(frozen=True, slots=True)
class DrawnPoint:
    x: str
    y: str
    low: str
    high: str
    told: str  # where the pointer rests


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """The points of one start."""

    name: str
    colour: str
    dash: str
    path: str
    points: Sequence[DrawnPoint]


@dataclass(frozen=True, slots=True)
class DrawnTick:
    at: str
    label: str


@dataclass(frozen=True, slots=True)
class TargetChart:
    """Finished strings for the page."""

    width: int
    height: int
    left: int
    right: int  # places, not margins
    top: int
    bottom: int
    lines: Sequence[DrawnLine]
    across: Sequence[DrawnTick]
    up: Sequence[DrawnTick]


def draw_target(matrix: TransferMatrix, target: str, labels: Mapping[str, str]) -> TargetChart:
    """Draw the curves of a target; rows stand on a scale on which nought has a place, log(1 + rows)."""
    curves = {name: matrix.curve(name, target) for name in matrix.starts(target)}
    entries = [entry for curve in curves.values() for entry in curve]
    most = max((entry.learnt for entry in entries), default=1.0) or 1.0
    ends = [end for entry in entries for end in _span(entry)]
    low, high = min(ends), max(ends)
    margin = (high - low) * 0.05 or 0.01
    low, high = low - margin, high + margin

    def x(rows: float) -> str:
        return f"{LEFT + (WIDTH - LEFT - RIGHT) * float(np.log1p(rows) / np.log1p(most)):.1f}"

    def y(value: float) -> str:
        return f"{HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low):.1f}"

    lines = []
    for place, (name, curve) in enumerate(curves.items()):
        points = []
        for one in curve:
            under, over = map(y, _span(one))
            points.append(DrawnPoint(x(one.learnt), y(one.value), under, over, f"{one.learnt:,.0f}: {one.value:.4f}"))
        path = " ".join(f"{'L' if number else 'M'}{point.x} {point.y}" for number, point in enumerate(points))
        colour = COLOURS[place % len(COLOURS)]
        lines.append(DrawnLine(labels.get(name, name), colour, DASHES[place % len(DASHES)], path, points))
    shown = dict.fromkeys(round(entry.learnt) for entry in matrix.curve(PLAIN, target))
    across = [DrawnTick(x(rows), f"{rows:,}") for rows in shown]
    up = [DrawnTick(y(value), f"{value:.3f}") for value in np.linspace(low, high, TICKS + 1).tolist()]
    return TargetChart(WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM, lines, across, up)


def _span(entry: MatrixEntry) -> tuple[float, float]:
    interval = entry.interval
    return (entry.value, entry.value) if interval is None else (interval.low, interval.high)
