"""The best level that a metric has held within memory, which does not move when the metric decays.

Each run is judged by the runs before it, and a decay slow enough takes those along. So the means of accepted runs, some
eight at a time, are kept for `judge.memory`, and the newest runs are held against the best of them: a level that a good
number of runs held, whose choosing is paid for, under noise that may have a long memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import numpy as np

from bot.domain.judge.cleaning import middle
from bot.domain.judge.spread import MAD_TO_SD, MOST_MEMORY, median, p_below
from bot.domain.policy import Preset
from bot.domain.runs import Floats

RUNS = 8  # newest runs that are held against the best level, and the fewest that make one
MOST = 16  # levels kept; when there are more, neighbours become one
FEWEST = 20  # runs that noise is estimated from
LAGS = 8
CLEARLY = 2.5  # standard errors within which noise is not looked at closer
CLIP = 3.0  # spreads; what lies further out counts as that far
ODD_SHARE = 0.15  # of the runs, that may lie so far out
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
        return Levels(levels.size, values, there)
    new = LevelHeld(middle_mean(values), RUNS, when)
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


def middle_mean(values: Sequence[float]) -> float:
    """Return the mean, what lies far out counting as less far."""
    centre = median(values)
    furthest = CLIP * MAD_TO_SD * median([abs(value - centre) for value in values])
    if furthest > 0:
        values = [min(max(value, centre - furthest), centre + furthest) for value in values]
    return sum(values) / len(values)


def hold_best(levels: Levels, values: Sequence[float], metrics: float = 1.0) -> Decay | None:
    """Hold the newest of *values*, which end with this run, against the best level of before; *metrics* are as many.

    None where they are not clearly below it.
    """
    earlier = levels.held[:-1]  # the newest runs may be in the last
    if len(values) < FEWEST or not earlier:
        return None
    best = max(earlier, key=lambda each: each.mean)
    change = middle_mean(values[-RUNS:]) - best.mean
    share = math.sqrt(1 / best.runs + 1 / RUNS)
    if change >= 0:
        return None
    left, squares = around_line(np.array(values))
    df = len(values) / 2
    if -change < CLEARLY * share * math.sqrt(squares / (len(values) - 2)):  # and the noise's memory only adds to that
        return None
    error = share * noise_of_a_mean(left, squares)
    p = p_below(change, error, df)
    return Decay(best.mean, change, error, df, min(1.0, p * len(earlier) * metrics))


def around_line(runs: Floats) -> tuple[Floats, float]:
    """Return what is left of the runs around a straight line, what lies far out counting as less far; its squares."""
    places, length = places_of(len(runs))
    centred = runs - float(runs.sum()) / len(runs)
    left: Floats = centred - places * (float(places @ centred) / length)
    scale = MAD_TO_SD * middle(np.abs(left - middle(left)))
    odd = int(np.count_nonzero(np.abs(left) > CLIP * scale))
    kept = left.clip(-CLIP * scale, CLIP * scale) if odd <= ODD_SHARE * len(runs) else left  # mostly at one value
    return kept, float(kept @ kept)


@lru_cache(maxsize=64)
def places_of(runs: int) -> tuple[Floats, float]:
    places: Floats = np.arange(runs, dtype=np.float64) - (runs - 1) / 2
    return places, float(places @ places)


def noise_of_a_mean(left: Floats, squares: float) -> float:
    """Return the spread that a mean over runs has, times the root of their number: with the noise's memory in it.

    Around a straight line, for a decay is no noise. The memory is the larger of what autocorrelations show, by
    Bartlett's weights, and of what the first of them would come to if it faded evenly; mended for how small they look
    around a line that was fitted, and never taken for less than none.
    """
    n = len(left)
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
    held = tuple([LevelHeld(rest[i], int(rest[i + 1]), rest[i + 2]) for i in range(0, len(rest), 3)])
    return Levels(size, tuple(numbers[2 : 2 + n]), held)
