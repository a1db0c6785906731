"""The best level that a metric has held within memory, which does not move when the metric decays.

Each run is judged by the runs before it, and a decay slow enough takes those along. So the means of accepted runs, some
eight at a time, are kept for `judge.memory`, and the newest runs are held against the best of them: a level that a good
number of runs held, whose choosing is paid for, under noise that may have a long memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from bot.domain.judge.spread import MOST_MEMORY, p_below
from bot.domain.policy import Preset
from bot.domain.runs import Floats

RUNS = 8  # newest runs that are held against the best level, and the fewest that make one
MOST = 16  # levels kept; when there are more, neighbours become one
FEWEST = 20  # runs that noise is estimated from
LAGS = 8
CLIP = 3.0  # spreads; what lies further out counts as that far
CHANCE = {Preset.QUIET: 0.0003, Preset.SENSITIVE: 0.0012}  # one-sided p, over all levels that could have been the best
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LevelHeld:
    """A level, and until when a number of runs held it."""

    mean: float
    runs: int
    until: float  # in days


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of one metric, oldest first; oriented: higher is better."""

    size: int = RUNS  # runs up to which the newest grows
    open: tuple[float, ...] = ()  # newest runs that are in none yet
    held: tuple[LevelHeld, ...] = ()


@dataclass(frozen=True, slots=True)
class Decay:
    """How far the newest runs lie below the best level."""

    level: float
    change: float
    error: float
    df: float
    p: float  # one-sided, the choosing of the best accounted for


def add(levels: Levels, value: float, when: float, memory: float) -> Levels:
    """Return the levels after an accepted run; *when* and *memory* are in days."""
    there = tuple(each for each in levels.held if when - each.until <= memory)
    values = (*levels.open, value)
    if len(values) < RUNS:
        return replace(levels, open=values, held=there)
    new = LevelHeld(middle_mean(np.array(values)), RUNS, when)
    if there and there[-1].runs < levels.size:
        there, new = there[:-1], join(there[-1], new)
    there = (*there, new)
    return Levels(levels.size, (), there) if len(there) <= MOST else merge(levels.size, there)


def join(one: LevelHeld, other: LevelHeld) -> LevelHeld:
    runs = one.runs + other.runs
    return LevelHeld((one.mean * one.runs + other.mean * other.runs) / runs, runs, other.until)


def merge(size: int, held: tuple[LevelHeld, ...]) -> Levels:
    """Make one level of each two neighbours; the newest grows on where their number is odd."""
    pairs = tuple(join(*two) for two in zip(held[::2], held[1::2], strict=False))
    return Levels(2 * size, (), (*pairs, *held[len(pairs) * 2 :]))


def middle_mean(values: Floats) -> float:
    """Return the mean, what lies far out counting as less far."""
    middle = float(np.median(values))
    scale = CLIP * 1.4826 * float(np.median(np.abs(values - middle)))
    return float(np.clip(values, middle - scale, middle + scale).mean()) if scale > 0 else float(values.mean())


def hold_best(levels: Levels, values: Sequence[float], metrics: float = 1.0) -> Decay | None:
    """Hold the newest of *values*, which end with this run, against the best level of before; *metrics* are as many."""
    earlier = levels.held[:-1]  # the newest runs may be in the last
    if len(values) < FEWEST or not earlier:
        return None
    best = max(earlier, key=lambda each: each.mean)
    runs = np.array(values)
    now = middle_mean(runs[-RUNS:])
    sd, df = noise_of_a_mean(runs), len(runs) / 2
    error = sd * math.sqrt(1 / best.runs + 1 / RUNS)
    p = p_below(now - best.mean, error, df) if now < best.mean else 1.0
    return Decay(best.mean, now - best.mean, error, df, min(1.0, p * len(earlier) * metrics))


def noise_of_a_mean(runs: Floats) -> float:
    """Return the spread that a mean over runs has, times the root of their number: with the noise's memory in it.

    Around a straight line, for a decay is no noise. The memory is the larger of what autocorrelations show, by
    Bartlett's weights, and of what the first of them would come to if it faded evenly; mended for how small they look
    around a line that was fitted, and never taken for less than none.
    """
    n = len(runs)
    places = np.arange(n) - (n - 1) / 2
    centred = runs - runs.mean()
    left = centred - places * float(places @ centred) / float(places @ places)
    scale = 1.4826 * float(np.median(np.abs(left - np.median(left))))
    if scale > 0:
        left = np.clip(left, -CLIP * scale, CLIP * scale)
    squares = float(left @ left)
    if squares == 0:
        return 0.0
    most = min(LAGS, n // 4)
    lags = range(1, most + 1)
    shares = [1 - lag / (most + 1) for lag in lags]
    found = sum(w * float(left[lag:] @ left[:-lag]) for w, lag in zip(shares, lags, strict=True)) / squares
    first = float(left[1:] @ left[:-1]) / squares
    first = min(MOST_MEMORY, first + (2 + 4 * max(0.0, first)) / n)
    memory = max(1.0, 1 + 2 * found + 4 * sum(shares) / n, (1 + first) / (1 - first))
    return math.sqrt(squares / (n - 2) * memory)


def to_numbers(levels: Levels) -> tuple[float, ...]:
    """Return *levels* as plain numbers, to be kept between runs."""
    held = [number for each in levels.held for number in (each.mean, float(each.runs), each.until)]
    return (float(levels.size), float(len(levels.open)), *levels.open, *held)


def from_numbers(numbers: Sequence[float]) -> Levels:
    """Return the levels that :func:`to_numbers` wrote down; none for no numbers."""
    if not numbers:
        return Levels()
    size, n = int(numbers[0]), int(numbers[1])
    rest = numbers[2 + n :]
    held = tuple(LevelHeld(rest[i], int(rest[i + 1]), rest[i + 2]) for i in range(0, len(rest), 3))
    return Levels(size, tuple(numbers[2 : 2 + n]), held)
