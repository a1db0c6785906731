"""The judge over time: one metric of a series, run by run, with a bounded memory.

Values are oriented: higher is better, whatever the metric's direction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from bot.domain.judge.calibration import SUSPICION, THRESHOLDS, Threshold
from bot.domain.judge.evidence import LevelShifts, Window, compare_levels, excess, open_window
from bot.domain.judge.spread import p_below
from bot.domain.policy import Preset

WINDOW = 60  # runs remembered
MIN_RUNS = 6  # runs, the newest included, before a change can be told
RISE_SPAN = 7  # runs that a higher level must have held
RISE_SIZE = 2.0  # spreads that it must be higher
CARRIED_DF = 12.0  # an earlier level's spread counts as that of at most this many runs
CLEARLY = 2.0  # standard errors within which a run alone is not looked at closer

RECOVERY = 9.0  # log likelihood ratio at which a fallen metric is back
CLIP_RECOVERY = 3.0  # a run counts as at most this many spreads from the middle of both levels
BACK_SHARE = 0.25  # of a fall, that runs which have come back may lie below the old level
RETURN_EXTRA = 2.5  # more is asked of a series for each fall that came back by itself
MAX_RETURNS = 3
SINCE = 24  # runs remembered of a fall


class Signal(StrEnum):
    """What the newest run shows."""

    TOO_FEW = "too_few"
    STEADY = "steady"
    LONE = "lone"  # this run is low, which alone proves nothing
    SMALL = "small"  # surely lower, but by less than matters
    FELL = "fell"  # the run at which a fall is first told
    FALLEN = "fallen"
    ROSE = "rose"


@dataclass(frozen=True, slots=True)
class Fall:
    """A level that was lost and has not come back."""

    level: float  # before
    low: float  # since
    sd: float
    onset: int  # number of the run it began at
    balance: float  # evidence gathered for a recovery
    good: int  # newest runs that gathered it
    since: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Track:
    """What is remembered of one metric."""

    seen: int = 0
    values: tuple[float, ...] = ()
    kept: tuple[float, ...] = ()  # 0 for lone failures
    counts: tuple[float, ...] = ()  # 0 for lone failures and repeats
    squares: float = 0.0  # of residuals from levels that an improvement left behind
    df: float = 0.0
    returns: int = 0  # falls that came back by themselves
    fall: Fall | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What the judge over time says of one run, in oriented units."""

    sight: Signal
    level: float = math.nan
    change: float = math.nan  # of the level where it changed, else of this run
    error: float = math.nan  # standard error of the change
    sd: float = math.nan
    df: float = 1.0
    runs: int = 0  # that the level rests on
    onset: int | None = None  # number of the run, from 0
    since: int = 1  # newest runs that the change rests on


def watch(
    track: Track, value: float, preset: Preset, min_effect: float = 0.0, extra: float = 0.0
) -> tuple[Track, View]:
    """Return the track after *value* and what it shows.

    *min_effect* is in the metric's unit; *extra* nats of evidence are asked on top, where this is one metric of many.
    """
    if track.fall is not None:
        return follow_fall(track, track.fall, value)
    if len(track.values) < 2:  # noqa: PLR2004 - no scale without two earlier runs
        return remember(track, value, [*track.kept, 1.0], [*track.counts, 1.0]), View(Signal.TOO_FEW, runs=track.seen)
    window = open_window([*track.values, value], list(track.kept), list(track.counts), track.squares, track.df)
    after = remember(track, value, window.kept, window.counts.tolist())
    lone = hold_alone(window, value, preset, extra)
    if len(window.values) < MIN_RUNS:
        return after, replace(lone, sight=Signal.TOO_FEW)
    levels = compare_levels(window)
    return (after, lone) if levels is None else weigh_levels(after, levels, lone, preset, min_effect, extra)


def weigh_levels(
    track: Track, levels: LevelShifts, lone: View, preset: Preset, min_effect: float, extra: float
) -> tuple[Track, View]:
    """Say whether the level fell, rose, or did neither; *track* holds the newest run already."""
    threshold = THRESHOLDS[preset]
    over = excess(levels, threshold) - RETURN_EXTRA * min(track.returns, MAX_RETURNS) - extra
    surely = over.max() >= 0
    if surely:
        matters = np.where((levels.before - levels.after > min_effect) & ~come_back(track, levels), over, -np.inf)
        if matters.max() >= 0:  # it began where the levels differ most clearly
            return fall_at(track, levels, int(np.where(matters >= 0, levels.t, np.inf).argmin()))
    elif (rise := find_rise(levels, threshold, min_effect)) is not None:
        return rise_at(track, levels, rise)
    if surely and not (lone.sight is Signal.LONE and -lone.change > min_effect):
        return track, describe(track, levels, int(over.argmax()), Signal.SMALL)
    return track, lone


def come_back(track: Track, levels: LevelShifts) -> npt.NDArray[np.bool_]:
    """Say of each candidate whether its two newest runs are near the old level again: what is over is no fall now."""
    before = levels.before + levels.window.centre
    return min(track.values[-2:]) > before - BACK_SHARE * (levels.before - levels.after)


def find_rise(levels: LevelShifts, threshold: Threshold, min_effect: float) -> int | None:
    """Return the candidate of a rise that is large, lasting and certain enough to move the level."""
    over = excess(levels, threshold, up=True)
    if over.max() < 0:
        return None
    higher = levels.after - levels.before
    large = (higher > min_effect) & (higher > RISE_SIZE * np.sqrt(levels.variance)) & (levels.spans >= RISE_SPAN)
    over = np.where(large, over, -np.inf)
    return int(over.argmax()) if over.max() >= 0 else None


def remember(track: Track, value: float, kept: list[float], counts: list[float]) -> Track:
    values = (*track.values, value)[-WINDOW:]
    kept_now, counts_now = tuple(kept[-WINDOW:]), tuple(counts[-WINDOW:])
    return Track(track.seen + 1, values, kept_now, counts_now, track.squares, track.df, track.returns, track.fall)


def hold_alone(window: Window, value: float, preset: Preset, extra: float) -> View:
    """Hold the newest run alone against the level of all before it."""
    n = max(float(window.past_counts.sum()), 1.0)
    level = float(window.past.sum()) / n
    squares = float(window.past @ window.past) - n * level**2 + window.squares + window.scale**2
    df = max(n - 1, 1.0) + window.df
    sd = math.sqrt(max(squares, window.scale**2) / (df + 1))
    level += window.centre
    change = value - level
    error = sd * math.sqrt(1 + 1 / n)
    lone = change < -CLEARLY * error and p_below(change, error, df) < SUSPICION[preset] * math.exp(-extra)
    return View(Signal.LONE if lone else Signal.STEADY, level, change, error, sd, df, round(n))


def describe(track: Track, levels: LevelShifts, best: int, sight: Signal) -> View:
    """Return the view of a change that began at candidate *best*; *track* holds the newest run already."""
    sd = math.sqrt(float(levels.variance[best]))
    span = int(levels.spans[best])
    return View(
        sight=sight,
        level=float(levels.before[best]) + levels.window.centre,
        change=float(levels.after[best] - levels.before[best] + levels.window.beyond / levels.since[best]),
        error=sd / math.sqrt(float(levels.weight[best])),
        sd=sd,
        df=levels.df,
        runs=len(levels.window.values) - span,
        onset=track.seen - span,
        since=span,
    )


def fall_at(track: Track, levels: LevelShifts, best: int) -> tuple[Track, View]:
    """Keep what was before the fall as the level to return to."""
    view = describe(track, levels, best, Signal.FELL)
    span = int(levels.spans[best])
    low = float(levels.after[best]) + levels.window.centre
    fall = Fall(view.level, low, view.sd, track.seen - span, 0.0, 0, track.values[-span:])
    return replace(cut(track, slice(None, -span)), fall=fall), view


def rise_at(track: Track, levels: LevelShifts, best: int) -> tuple[Track, View]:
    """Leave the old level behind; only what it showed of the spread is kept."""
    view = describe(track, levels, best, Signal.ROSE)
    df = min(levels.df, CARRIED_DF)
    moved = cut(track, slice(-int(levels.spans[best]), None))
    return replace(moved, squares=df * view.sd**2, df=df), view


def cut(track: Track, part: slice) -> Track:
    return replace(track, values=track.values[part], kept=track.kept[part], counts=track.counts[part])


def follow_fall(track: Track, fall: Fall, value: float) -> tuple[Track, View]:
    """Weigh whether a fallen metric is back: a likelihood ratio of its two levels, restarted at zero (Page 1954)."""
    since = (*fall.since, value)[-SINCE:]
    drop = (fall.level - fall.low) / fall.sd
    place = (value - (fall.level + fall.low) / 2) / fall.sd
    gain = drop * min(max(place, -CLIP_RECOVERY), CLIP_RECOVERY)
    balance = max(0.0, fall.balance + gain)
    good = fall.good + 1 if balance > 0 else 0
    runs = len(track.values)
    change, df = value - fall.level, max(runs - 1.0, 1.0) + track.df
    if balance < RECOVERY:
        fall = replace(fall, balance=balance, good=good, since=since)
        view = View(Signal.FALLEN, fall.level, change, fall.sd, fall.sd, df, runs, fall.onset)
        return replace(track, seen=track.seen + 1, fall=fall), view
    after = replace(track, fall=None, returns=track.returns + 1)
    for back in since[-min(good, SINCE) :]:
        after = remember(after, back, [*after.kept, 1.0], [*after.counts, 1.0])
    return replace(after, seen=track.seen + 1), View(Signal.STEADY, fall.level, change, fall.sd, fall.sd, df, runs)


def accept_fall(track: Track) -> Track:
    """Take the level since a fall as the new one, as a person has said."""
    if track.fall is None:
        return track
    df = min(float(len(track.values)), CARRIED_DF)
    since = track.fall.since
    ones = (1.0,) * len(since)
    return Track(track.seen, since, ones, ones, df * track.fall.sd**2, df, track.returns)


def to_numbers(track: Track) -> tuple[float, ...]:
    """Return *track* as plain numbers, to be kept between runs."""
    head = [track.seen, track.squares, track.df, track.returns, len(track.values)]
    numbers = [*head, *track.values, *track.kept, *track.counts]
    if track.fall is not None:
        fall = track.fall
        numbers += [fall.level, fall.low, fall.sd, fall.onset, fall.balance, fall.good, *fall.since]
    return tuple(float(number) for number in numbers)


def from_numbers(numbers: tuple[float, ...]) -> Track:
    """Return the track that :func:`to_numbers` wrote down; an empty one for no numbers."""
    if not numbers:
        return Track()
    seen, squares, df, returns, n = numbers[:5]
    size = int(n)
    values, kept, counts = (numbers[5 + i * size : 5 + (i + 1) * size] for i in range(3))
    rest = numbers[5 + 3 * size :]
    fall = None
    if rest:
        level, low, sd, onset, balance, good = rest[:6]
        fall = Fall(level, low, sd, int(onset), balance, int(good), rest[6:])
    return Track(int(seen), values, kept, counts, squares, df, int(returns), fall)
