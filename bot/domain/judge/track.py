"""The judge over time: one metric of a series, run by run, with a bounded memory.

Values are oriented: higher is better, whatever the metric's direction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from bot.domain.judge.calibration import SUSPICION, THRESHOLDS
from bot.domain.judge.evidence import Levels, Window, compare_levels, excess, open_window
from bot.domain.judge.spread import p_below
from bot.domain.policy import Preset

WINDOW = 60  # runs remembered
RISE_SPAN = 6  # runs that a higher level must have held
MIN_RUNS = 6  # runs, the newest included, before a change can be told
CARRIED_DF = 12.0  # an earlier level's spread counts as that of at most this many runs
MIN_SHOWN = 1.2  # |t| under which no span can show a change: not looked at closer

RECOVERY = 9.0  # log likelihood ratio at which a fallen metric is back
CLIP_RECOVERY = 3.0  # a run counts as at most this many spreads from the middle of both levels
TOO_GOOD = 4.0  # spreads above the old level at which a run proves little
RETURN_EXTRA = 1.5  # more is asked of a series for each fall that came back
MAX_RETURNS = 3
SINCE = 24  # runs remembered of a fall


class Sight(StrEnum):
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
    returns: int = 0  # falls that came back
    fall: Fall | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What the judge over time says of one run, in oriented units."""

    sight: Sight
    level: float = math.nan
    change: float = math.nan  # of the level where it changed, else of this run
    error: float = math.nan  # standard error of the change
    sd: float = math.nan
    df: float = 0.0
    runs: int = 0  # that the level rests on
    onset: int | None = None  # number of the run, from 0
    window: Window | None = field(default=None, compare=False)


def watch(track: Track, value: float, preset: Preset, min_effect: float = 0.0) -> tuple[Track, View]:
    """Return the track after *value* and what it shows; *min_effect* is in the metric's unit."""
    if track.fall is not None:
        return follow_fall(track, track.fall, value)
    if len(track.values) < 2:  # noqa: PLR2004 - no scale without two earlier runs
        return remember(track, value, [*track.kept, 1.0], [*track.counts, 1.0]), View(Sight.TOO_FEW, runs=track.seen)
    window = open_window([*track.values, value], list(track.kept), list(track.counts), track.squares, track.df)
    after = remember(track, value, window.kept.tolist(), window.counts.tolist())
    levels = compare_levels(window) if len(window.values) >= MIN_RUNS else None
    lone = hold_alone(window, preset)
    if levels is None:
        return after, replace(lone, sight=Sight.TOO_FEW)
    threshold = THRESHOLDS[preset]
    t = levels.t
    if t.min() < -MIN_SHOWN:
        over = excess(levels, window.repeats, threshold)
        over = over - RETURN_EXTRA * min(track.returns, MAX_RETURNS)
        found = np.where(levels.before - levels.after > min_effect, over, -np.inf)
        if found.max() >= 0:
            return fall_at(after, levels, int(found.argmax()), window)
        if over.max() >= 0:
            return after, replace(describe(after, levels, int(over.argmax()), window), sight=Sight.SMALL)
    if t.max() > MIN_SHOWN:
        over = excess(levels, window.repeats, threshold, up=True)
        found = np.where((levels.after - levels.before > min_effect) & (levels.spans >= RISE_SPAN), over, -np.inf)
        if found.max() >= 0:
            return rise_at(after, levels, int(found.argmax()), window)
    return after, lone


def remember(track: Track, value: float, kept: list[float], counts: list[float]) -> Track:
    return replace(
        track,
        seen=track.seen + 1,
        values=(*track.values, value)[-WINDOW:],
        kept=tuple(kept[-WINDOW:]),
        counts=tuple(counts[-WINDOW:]),
    )


def hold_alone(window: Window, preset: Preset) -> View:
    """Hold the newest run alone against the level of all before it."""
    counts = window.counts_before
    n = max(float(counts.sum()), 1.0)
    past = window.values[:-1]
    level = float(counts @ past) / n
    squares = float(counts @ (past - level) ** 2) + window.squares + window.scale**2
    df = max(n - 1, 1.0) + window.df
    sd = math.sqrt(squares / (df + 1))
    change = float(window.values[-1]) - level
    error = sd * math.sqrt(1 + 1 / n)
    lone = p_below(change, error, df) < SUSPICION[preset]
    return View(Sight.LONE if lone else Sight.STEADY, level, change, error, sd, df, round(n), window=window)


def describe(track: Track, levels: Levels, best: int, window: Window) -> View:
    """Return the view of a change that began at candidate *best*."""
    sd = math.sqrt(float(levels.variance[best]))
    return View(
        sight=Sight.STEADY,
        level=float(levels.before[best]),
        change=float(levels.after[best] - levels.before[best]),
        error=sd / math.sqrt(float(levels.weight[best])),
        sd=sd,
        df=levels.df,
        runs=len(window.values) - int(levels.spans[best]),
        onset=track.seen - int(levels.spans[best]),
        window=window,
    )


def fall_at(track: Track, levels: Levels, best: int, window: Window) -> tuple[Track, View]:
    """Keep what was before the fall as the level to return to."""
    view = replace(describe(track, levels, best, window), sight=Sight.FELL)
    span = int(levels.spans[best])
    fall = Fall(
        level=view.level,
        low=view.level + view.change,
        sd=view.sd,
        onset=track.seen - span,
        balance=0.0,
        good=0,
        since=track.values[-span:],
    )
    return replace(cut(track, slice(None, -span)), fall=fall), view


def rise_at(track: Track, levels: Levels, best: int, window: Window) -> tuple[Track, View]:
    """Leave the old level behind; only what it showed of the spread is kept."""
    view = replace(describe(track, levels, best, window), sight=Sight.ROSE)
    df = min(levels.df, CARRIED_DF)
    moved = cut(track, slice(-int(levels.spans[best]), None))
    return replace(moved, squares=df * view.sd**2, df=df), view


def cut(track: Track, part: slice) -> Track:
    return replace(track, values=track.values[part], kept=track.kept[part], counts=track.counts[part])


def follow_fall(track: Track, fall: Fall, value: float) -> tuple[Track, View]:
    """Weigh whether a fallen metric is back: a one-sided likelihood ratio test between its two levels."""
    since = (*fall.since, value)[-SINCE:]
    drop = (fall.level - fall.low) / fall.sd
    place = (value - (fall.level + fall.low) / 2) / fall.sd
    gain = drop * min(max(place, -CLIP_RECOVERY), CLIP_RECOVERY)
    if value > fall.level + TOO_GOOD * fall.sd:
        gain = min(gain, RECOVERY / 2)
    balance = max(0.0, fall.balance + gain)
    good = fall.good + 1 if balance > 0 else 0
    view = View(
        sight=Sight.FALLEN,
        level=fall.level,
        change=value - fall.level,
        error=fall.sd,
        sd=fall.sd,
        df=max(float(len(track.values) - 1), 1.0),
        runs=len(track.values),
        onset=fall.onset,
    )
    after = replace(track, seen=track.seen + 1)
    if balance < RECOVERY:
        return replace(after, fall=replace(fall, balance=balance, good=good, since=since)), view
    after = replace(after, fall=None, returns=track.returns + 1)
    for back in since[-min(good, SINCE) :]:
        after = remember(after, back, [*after.kept, 1.0], [*after.counts, 1.0])
    return replace(after, seen=track.seen + 1), replace(view, sight=Sight.STEADY, onset=None)


def accept_fall(track: Track) -> Track:
    """Take the level of a fall as the new one, as a person has said."""
    if track.fall is None:
        return track
    df = min(float(len(track.values)), CARRIED_DF)
    since = track.fall.since
    ones = (1.0,) * len(since)
    return Track(track.seen, since, ones, ones, squares=df * track.fall.sd**2, df=df)
