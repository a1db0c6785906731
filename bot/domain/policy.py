"""How a team wants its metrics judged: direction, smallest effect that matters, bounds, guards."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

LARGEST = 1e60  # beyond it, squares of squares leave what floats hold, and nothing can be compared
SMALLEST = 1e-50  # below it, they vanish: such a value is nothing
_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*%\s*")


def is_usable(value: float) -> bool:
    """Say whether *value* is a number that others can be compared with."""
    return abs(value) <= LARGEST  # which no infinity is, and no NaN


def settle(value: float) -> float:
    """Return *value*, or a plain 0 for one so small that its square vanishes."""
    return 0.0 if abs(value) < SMALLEST else value


class Direction(StrEnum):
    UP = "up"
    DOWN = "down"

    @property
    def sign(self) -> int:
        """+1 where a higher value is better, else -1: multiplied with a change, negative means worse."""
        return 1 if self is Direction.UP else -1


class Preset(StrEnum):
    QUIET = "quiet"
    SENSITIVE = "sensitive"


@dataclass(frozen=True, slots=True)
class MinEffect:
    """The smallest change worth telling: a share of the baseline (0.02 = 2 %) or in the metric's own unit."""

    value: float
    relative: bool = True

    def against(self, level: float) -> float:
        """Return the effect in the metric's unit at a baseline of *level*."""
        return self.value * abs(level) if self.relative else self.value


def read_share(text: str) -> MinEffect | None:
    """Read `2 %` or `1e-1 %`; None where that is no share."""
    found = _SHARE.fullmatch(text)
    share = float(found[1]) / 100 if found else math.inf
    return MinEffect(share) if math.isfinite(share) else None


@dataclass(frozen=True, slots=True)
class MetricPolicy:
    name: str
    direction: Direction = Direction.UP
    min_effect: MinEffect = MinEffect(0.02)
    lower: float = -math.inf  # a value below is invalid
    upper: float = math.inf  # a value above is invalid: too good to be true
    prior_spread: float | None = None  # relative to the level: run-to-run spread to expect; None learns it
    optional: bool = False  # only some runs log it

    def holds(self, value: float) -> bool:
        """Say whether *value* is a number within the bounds."""
        return self.lower <= value <= self.upper and is_usable(value)


@dataclass(frozen=True, slots=True)
class MetricLimit:
    """Where a metric has to stay whatever its noise: a guard, such as of latency, size or cost.

    Its ends are in the metric's unit, or a *share* of what the metric was: of the release, where there is one.
    """

    policy: MetricPolicy  # what values are valid at all, and whether a run may lack them
    low: float = -math.inf
    high: float = math.inf
    share: float | None = None
    breaches: int = 2  # runs in a row that break it before that is certain

    @property
    def name(self) -> str:
        """The metric's."""
        return self.policy.name


@dataclass(frozen=True, slots=True)
class Guard:
    """A fact of the data card that may not move further than this, or the run cannot be compared."""

    fact: str
    max_fall: float = math.inf  # relative to the baseline's median
    max_rise: float = math.inf  # relative to the baseline's median


DEFAULT_GUARDS = (
    Guard("catalogue_size", max_fall=0.05),
    Guard("test_examples", max_fall=0.05, max_rise=0.50),
    Guard("dropped_share", max_rise=0.50),
)


@dataclass(frozen=True, slots=True)
class Policies:
    """Everything the judge must know about one pipeline."""

    metrics: tuple[MetricPolicy, ...]  # whose changes are judged
    slice_by: tuple[str, ...] = ()  # columns, each by itself
    guards: tuple[Guard, ...] = DEFAULT_GUARDS
    preset: Preset = Preset.QUIET
    min_runs: int = 3  # accepted runs needed before anything can be called worse
    min_slice_examples: int = 30
    confirm_reruns: int = 0  # reruns asked for when a run is suspicious; 0 waits for the next run
    slice_min_effect: MinEffect = MinEffect(0.1)  # changes of a slice up to this size are never told
    memory: timedelta = timedelta(days=90)  # for how long a level that was held is what runs are held against
    limits: tuple[MetricLimit, ...] = ()
    slice_pairs: tuple[tuple[str, str], ...] = ()  # columns of which each combination of values is a slice too

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics of which anything is said."""
        return tuple(dict.fromkeys((*(each.name for each in self.metrics), *(each.name for each in self.limits))))


@dataclass(frozen=True, slots=True)
class IncidentPolicy:
    """When an incident speaks and when it ends."""

    recovery_runs: int = 2  # accepted runs in a row that close an incident
    comment_every: timedelta = timedelta(days=1)  # repeats within this time are counted, not commented
    resolves: bool = True  # whether Herald closes the ticket of what is over
    reopen_within: timedelta = timedelta(days=14)  # of that, and opens it again where it is back
    owners: Mapping[str, str] = field(default_factory=dict)  # whose a metric is, or a slice as `COLUMN=VALUE`
