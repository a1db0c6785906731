"""The judge over time: one metric of a series, run by run, with a bounded memory.

Values are oriented: higher is better, whatever the metric's direction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from bot.domain.judge.calibration import RISE, SUSPICION, THRESHOLDS
from bot.domain.judge.evidence import NONE, LevelShifts, Window, compare_levels, excess, open_window
from bot.domain.judge.recovery import LostLevel, count_back, is_near
from bot.domain.judge.spread import p_below
from bot.domain.policy import Preset
from bot.domain.runs import Floats

WINDOW = 60  # runs remembered
MIN_RUNS = 6  # runs, the newest included, before a change can be told
RISE_SPAN = 7  # runs that a higher level must have held
RISE_SIZE = 2.0  # spreads that it must be higher
CLEARLY = 2.0  # standard errors within which a run alone is not looked at closer
SEEN_VARIANCE = 0.92  # of normal runs, once none counts as further than two spreads
WILD = 2.5  # scales from the middle of a level beyond which a run tells nothing more of it
MANY = 4  # runs that show a middle of their own

BACK_SHARE = 0.25  # of a fall, that runs which have come back may lie below the old level
RETURN_EXTRA = 2.5  # more is asked of a series for each fall that came back by itself
MAX_RETURNS = 3
FURTHER_EXTRA = 4.0  # more is asked of a fall within a fall
DEEPEST = 3  # falls within falls that are told apart


class Signal(StrEnum):
    """What the newest run shows."""

    TOO_FEW = "too_few"
    STEADY = "steady"
    LONE = "lone"  # this run is low, which alone proves nothing
    SMALL = "small"  # surely lower, but by less than matters
    FELL = "fell"  # the run at which a fall is first told
    FELL_FURTHER = "fell_further"  # the run at which a fall from the fallen level is first told
    FALLEN = "fallen"
    ROSE = "rose"


@dataclass(frozen=True, slots=True)
class Fall:
    """A level that was lost and has not come back."""

    level: float  # before
    low: float  # since
    sd: float
    onset: int  # number of the run it began at
    below: Track  # watches the fallen level: it may fall further

    @property
    def bottom(self) -> float:
        """The level that it stands at now."""
        return self.low if self.below.fall is None else self.below.fall.bottom

    @property
    def lowest(self) -> Track:
        """The track of the level that it stands at now."""
        return self.below if self.below.fall is None else self.below.fall.lowest

    @property
    def depth(self) -> int:
        return 1 if self.below.fall is None else 1 + self.below.fall.depth


@dataclass(frozen=True, slots=True)
class Track:
    """What is remembered of one metric."""

    seen: int = 0
    values: tuple[float, ...] = ()
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


@dataclass(frozen=True, slots=True)
class Shift:
    """A change of level at one candidate start, in the metric's unit."""

    best: int  # position among the candidates
    level: float  # before
    change: float


def watch(
    track: Track, value: float, preset: Preset, min_effect: float = 0.0, extra: float = 0.0
) -> tuple[Track, View]:
    """Return the track after *value* and what it shows.

    *min_effect* is in the metric's unit; *extra* nats of evidence are asked on top, where this is one metric of many.
    """
    if track.fall is not None:
        return follow_fall(track, track.fall, value, preset, min_effect, extra)
    after = remember(track, value)
    if len(track.values) < 2:  # noqa: PLR2004 - no scale without two earlier runs
        return after, View(Signal.TOO_FEW, runs=track.seen)
    window = open_window(np.array([*track.values[-WINDOW + 1 :], value]))
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
    over = excess(levels, threshold)
    if over is not NONE:
        over = over - RETURN_EXTRA * min(track.returns, MAX_RETURNS) - extra
    if over is NONE or over.max() < 0:
        rise = find_rise(levels, min_effect)
        return (track, lone) if rise is None else rise_at(track, levels, rise)
    shifts = [measure_shift(levels, int(best)) for best in np.flatnonzero(over >= 0)]
    told = [shift for shift in shifts if -shift.change > min_effect and not has_come_back(levels, shift)]
    if told:  # it began where the levels differ most clearly
        return fall_at(track, levels, min(told, key=lambda shift: float(levels.t[shift.best])))
    if lone.sight is Signal.LONE and -lone.change > min_effect:
        return track, lone
    return track, describe(track, levels, measure_shift(levels, int(over.argmax())), Signal.SMALL)


def measure_shift(levels: LevelShifts, best: int) -> Shift:
    """Return the levels before and since candidate *best* as means of runs, of which wild ones tell little.

    The newest run enters through the mean of the newer level alone, and never bends where its middle is.
    """
    window = levels.window
    start = len(window.values) - int(levels.spans[best])
    before = window.values[:start][window.counts[:start] > 0]
    since = window.values[start:]
    level = float(bounded(before, float(np.median(before)), window.scale).mean())
    if len(since) > MANY:
        since = bounded(since, float(np.median(since[:-1])), window.scale)
    return Shift(best, level, float(since.mean()) - level)


def bounded(values: Floats, around: float, scale: float) -> Floats:
    return values.clip(around - WILD * scale, around + WILD * scale)


def has_come_back(levels: LevelShifts, shift: Shift) -> bool:
    """Say whether the two newest runs are near the old level again: what is over is no fall now."""
    return float(levels.window.values[-2:].min()) > shift.level + BACK_SHARE * shift.change


def find_rise(levels: LevelShifts, min_effect: float) -> Shift | None:
    """Return the candidate of a rise that is large, lasting and certain enough to move the level."""
    over = excess(levels, RISE, up=True)
    if over is NONE or over.max() < 0:
        return None
    large = levels.after - levels.before > RISE_SIZE * np.sqrt(levels.variance)
    over = np.where(large & (levels.spans >= RISE_SPAN), over, -np.inf)
    if over.max() < 0:
        return None
    shift = measure_shift(levels, int(over.argmax()))
    return shift if shift.change > min_effect else None


def remember(track: Track, value: float) -> Track:
    return Track(track.seen + 1, (*track.values, float(value))[-WINDOW:], track.returns, track.fall)


def hold_alone(window: Window, value: float, preset: Preset, extra: float) -> View:
    """Hold the newest run alone against the level of all before it."""
    past = window.past
    n = float(len(past) - window.repeats)
    mean = float(past.sum()) / n
    df = max(n - 1, 1.0)
    squares = max(float(past @ past) - n * mean**2, 0.0)
    sd = window.scale * math.sqrt((squares / SEEN_VARIANCE + 1) / (df + 1))
    level = window.centre + window.scale * mean
    change, error = value - level, sd * math.sqrt(1 + 1 / n)
    lone = change < -CLEARLY * error and p_below(change, error, df) < SUSPICION[preset] * math.exp(-extra)
    return View(Signal.LONE if lone else Signal.STEADY, level, change, error, sd, df, round(n))


def describe(track: Track, levels: LevelShifts, shift: Shift, sight: Signal) -> View:
    """Return the view of a change of level; *track* holds the newest run already."""
    sd = levels.window.scale * math.sqrt(float(levels.variance[shift.best]) / SEEN_VARIANCE)
    span = int(levels.spans[shift.best])
    return View(
        sight=sight,
        level=shift.level,
        change=shift.change,
        error=sd / math.sqrt(float(levels.weight[shift.best])),
        sd=sd,
        df=levels.df,
        runs=len(levels.window.values) - span,
        onset=track.seen - span,
        since=span,
    )


def fall_at(track: Track, levels: LevelShifts, shift: Shift) -> tuple[Track, View]:
    """Keep what was before the fall as the level to return to, and begin to watch the new one."""
    view = describe(track, levels, shift, Signal.FELL)
    since = track.values[-view.since :]
    below = Track(track.seen, since)
    fall = Fall(view.level, view.level + view.change, view.sd, track.seen - view.since, below)
    return replace(track, values=track.values[: -view.since], fall=fall), view


def rise_at(track: Track, levels: LevelShifts, shift: Shift) -> tuple[Track, View]:
    """Leave the old level behind."""
    view = describe(track, levels, shift, Signal.ROSE)
    return replace(track, values=track.values[-view.since :]), view


def follow_fall(
    track: Track, fall: Fall, value: float, preset: Preset, min_effect: float, extra: float
) -> tuple[Track, View]:
    """Weigh whether a fallen metric is back, or has fallen further."""
    lost, runs = LostLevel(fall.level, fall.sd, track.values), len(track.values)
    since = (*fall.lowest.values, value)
    below, under = watch(fall.below, value, preset, min_effect, extra + FURTHER_EXTRA)
    good = count_back(lost, since)
    followed = replace(fall, below=below)
    if under.sight is Signal.ROSE:  # all of the way back, or part of it
        if not good and is_near(lost, fall.bottom, followed.lowest.values):
            good = len(followed.lowest.values)
        followed = replace(followed, low=under.level + under.change)
    change, df = value - fall.level, max(runs - 1.0, 1.0)
    if good:
        after = replace(track, seen=track.seen + 1 - good, returns=track.returns + 1, fall=None)
        for back in since[-good:]:
            after = remember(after, back)
        return after, View(Signal.STEADY, fall.level, change, fall.sd, fall.sd, df, runs)
    after = replace(track, seen=track.seen + 1, fall=forget_steps(followed))
    if under.sight in {Signal.FELL, Signal.FELL_FURTHER}:
        return after, replace(under, sight=Signal.FELL_FURTHER)
    return after, View(Signal.FALLEN, fall.level, change, fall.sd, fall.sd, df, runs, fall.onset)


def forget_steps(fall: Fall) -> Fall:
    """Keep of falls within falls as many as are told apart: the first of the others is a step on the way."""
    if fall.depth <= DEEPEST or fall.below.fall is None:
        return fall
    return replace(fall, low=fall.below.fall.low, below=fall.below.fall.below)


def accept_fall(track: Track) -> Track:
    """Take the level since a fall as the new one, as a person has said."""
    if track.fall is None:
        return track
    return replace(accept_fall(track.fall.below), seen=track.seen, returns=track.returns)
