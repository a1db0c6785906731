"""How far several raters agree beyond chance: Krippendorff's alpha, for names, orders and distances."""

# Shape suffixes, scoped to this file:
#   U = units that are rated, R = raters, C = distinct values

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Level = Literal["nominal", "ordinal", "interval"]

LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval")
TWO = 2  # a unit that one rater saw says nothing about agreement


@dataclass(frozen=True, slots=True)
class Alpha:
    """One coefficient: 1 is agreement, 0 what chance gives; with its 95 % interval over the units."""

    value: float
    low: float
    high: float


def krippendorff(value_UR: Floats, level: Level) -> float | None:
    """Give alpha of ratings, nan where there is none (Krippendorff 2011); None where all that is paired is alike."""
    counts_UC, values_C = _count(value_UR)
    return _alpha(counts_UC, values_C, np.ones(len(counts_UC)), level)


def krippendorff_interval(value_UR: Floats, level: Level, replicates: int = 1000, seed: int = 0) -> Alpha | None:
    """Give alpha with the interval from units drawn with replacement; None where there is no alpha."""
    counts_UC, values_C = _count(value_UR)
    units = len(counts_UC)
    value = _alpha(counts_UC, values_C, np.ones(units), level)
    if value is None:
        return None
    rng, found = np.random.default_rng(seed), []
    for _ in range(replicates):
        drawn = _alpha(counts_UC, values_C, np.bincount(rng.integers(units, size=units), minlength=units), level)
        found += [] if drawn is None else [drawn]  # a draw of one value alone has none
    low, high = np.quantile(found, [0.025, 0.975])
    return Alpha(value, float(low), float(high))


def _count(value_UR: Floats) -> tuple[Floats, Floats]:
    """Give how often each unit that several rated has each value, and the values in order."""
    several_UR = value_UR[np.isfinite(value_UR).sum(axis=1) >= TWO]
    values_C = np.unique(several_UR[np.isfinite(several_UR)])
    return (several_UR[:, :, None] == values_C).sum(axis=1).astype(np.float64), values_C


def _alpha(counts_UC: Floats, values_C: Floats, times_U: npt.NDArray[np.generic], level: Level) -> float | None:
    if not len(counts_UC):
        return None
    # Every pair of a unit's values, each unit weighing as many as it has values.
    share_U = np.asarray(times_U, dtype=np.float64) / (counts_UC.sum(axis=1) - 1)
    together_CC = counts_UC.T @ (share_U[:, None] * counts_UC) - np.diag(share_U @ counts_UC)
    total_C = together_CC.sum(axis=1)
    apart_CC = _distance(values_C, total_C, level)
    total = total_C.sum()
    expected = (np.outer(total_C, total_C) * apart_CC).sum() / (total * (total - 1))
    return None if expected <= 0 else float(1 - (together_CC * apart_CC).sum() / total / expected)


def _distance(values_C: Floats, total_C: Floats, level: Level) -> Floats:
    """Give the squared distance of every two values."""
    match level:
        case "nominal":
            return 1 - np.eye(len(values_C))
        case "interval":
            return np.asarray((values_C[:, None] - values_C) ** 2)
        case "ordinal":
            # How many ratings lie between the two, each end counting half.
            middle_C = np.cumsum(total_C) - total_C / 2
            return np.asarray((middle_C[:, None] - middle_C) ** 2)


def pivot(units: Sequence[str], raters: Sequence[str], values: Sequence[float]) -> tuple[Floats, tuple[str, ...]]:
    """Give ratings as a table of units and raters, and the raters' names."""
    unit_of = {name: place for place, name in enumerate(dict.fromkeys(units))}
    names = tuple(sorted(set(raters)))
    rater_of = {name: place for place, name in enumerate(names)}
    value_UR = np.full((len(unit_of), len(names)), np.nan)
    for unit, rater, value in zip(units, raters, values, strict=True):
        value_UR[unit_of[unit], rater_of[rater]] = value
    return value_UR, names
