"""What spread a metric is likely to have, learnt from its kin: the pipeline's other metrics, and its other series.

Units differ from metric to metric, and levels may be nothing, so spreads are compared as shares of the small side of
their range, and a metric whose level is not clear of its own noise neither teaches nor learns.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bot.domain.judge.ranges import small_side
from bot.domain.judge.spread import Prior, Spread, estimate_spread
from bot.domain.policy import MetricPolicy

CLEAR = 5.0  # spreads that a level must be from the end of its range for its spread to be a share of anything
FEWEST = 3  # runs of a metric that teaches
DOUBT = 1.0  # standard deviation of the logarithm among kin, before any were seen: a factor of e either way
DOUBT_OF_SAME = 0.5  # among other series of the same metric
DOUBT_DF = 3.0  # how many kin that is worth
LEAST_DOUBT = 0.35  # of kin that agree
CONFIG_DOUBT = 1.0  # of the spread that config names: a factor of e either way


@dataclass(frozen=True, slots=True)
class Kin:
    """A metric's spread as a share of its small side."""

    metric: str
    log_share: float
    df: float
    is_own: bool = True  # of the same series, and so of the same runs: a lucky streak of one is one of all


def learn(policy: MetricPolicy, values: Sequence[float], *, is_own: bool = True) -> Kin | None:
    """Return what a metric's healthy runs teach of spreads; None where that is nothing."""
    if len(values) < FEWEST:
        return None
    spread = estimate_spread(values)
    side = clear_side(policy, spread)
    if side is None or spread.is_same:
        return None
    return Kin(policy.name, math.log(spread.sd / side) + bias(spread.df), spread.df, is_own)


def gather(
    policies: Sequence[MetricPolicy],
    own: Mapping[str, Sequence[float]],
    others: Iterable[Mapping[str, Sequence[float]]],
) -> tuple[Kin, ...]:
    """Return what the healthy runs of this series and of the *others* teach, by metric."""
    found = [learn(policy, own.get(policy.name, ())) for policy in policies]
    for series in others:
        found += [learn(policy, series.get(policy.name, ()), is_own=False) for policy in policies]
    return tuple(one for one in found if one is not None)


def clear_side(policy: MetricPolicy, spread: Spread) -> float | None:
    """Return the small side of a metric's range, if the level is clear of the noise."""
    side = small_side(policy, spread.level)
    return side if side > CLEAR * (spread.sd if spread.n > 1 else 0.0) and side > 0 else None


@lru_cache(maxsize=4096)  # degrees of freedom are mostly whole numbers, and few
def bias(df: float) -> float:
    """Return by how much the logarithm of a spread lies below the truth, on average."""
    from scipy.special import digamma

    return (math.log(df / 2) - float(digamma(df / 2))) / 2


@lru_cache(maxsize=4096)
def sampling_variance(df: float) -> float:
    """Return the variance of the logarithm of a spread that *df* degrees of freedom tell."""
    from scipy.special import zeta

    return float(zeta(2, df / 2)) / 4  # the trigamma function, which scipy finds more slowly by its own name


def expect(policy: MetricPolicy, values: Sequence[float], kin: Iterable[Kin]) -> Prior | None:
    """Return what to expect of a metric's spread: what config says, else what its kin show; None where neither does."""
    level = sorted(values)[len(values) // 2]
    if policy.prior_spread is not None:
        return Prior(math.log(policy.prior_spread * abs(level)), CONFIG_DOUBT) if level else None
    others = [one for one in kin if not (one.is_own and one.metric == policy.name)]
    side = clear_side(policy, estimate_spread(values)) if others else None
    if side is None:
        return None
    same = [one for one in others if one.metric == policy.name]
    pooled = pool(same, DOUBT_OF_SAME) if same else pool(others, DOUBT)
    return None if pooled is None else Prior(pooled.log_sd + math.log(side), pooled.doubt)


def pool(kin: Sequence[Kin], doubt: float) -> Prior | None:
    """Return the distribution of one more spread, as a logarithm, among those of *kin*."""
    if not kin:
        return None
    noise = [sampling_variance(one.df) for one in kin]
    weights = [1 / (doubt**2 + variance) for variance in noise]
    mean = sum(w * one.log_share for w, one in zip(weights, kin, strict=True)) / sum(weights)
    squares = sum(max(0.0, (one.log_share - mean) ** 2 - variance) for one, variance in zip(kin, noise, strict=True))
    between = max(LEAST_DOUBT**2, (DOUBT_DF * doubt**2 + squares) / (DOUBT_DF + len(kin) - 1))
    shared = max((v for v, one in zip(noise, kin, strict=True) if one.is_own), default=0.0)
    return Prior(mean, math.sqrt(between + max(shared, 1 / sum(weights))))
