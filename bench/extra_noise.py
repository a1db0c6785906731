"""Kinds of noise that the benchmark's generator lacks: ``gen.py online OUT --seed N --extra bench/extra_noise.py``."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Random: TypeAlias = np.random.Generator
Noise: TypeAlias = NDArray[np.float64]

WARM_UP = 20


def skewed(random: Random, n: int) -> Noise:
    shape = random.choice([1.5, 3.0])
    values = (random.gamma(shape, 1, n) - shape) / math.sqrt(shape)
    return values if random.random() < 0.5 else -values


def changing_variance(random: Random, n: int) -> Noise:
    spread = np.ones(n)
    spread[int(random.integers(0, n)) :] = random.choice([0.4, 2.0])
    return spread / math.sqrt((spread**2).mean()) * random.standard_normal(n)


def steady_trend(random: Random, n: int) -> tuple[Noise, Noise]:
    return random.standard_normal(n), np.arange(n) * random.uniform(0.01, 0.08)


def mixture(random: Random, n: int) -> Noise:
    low = random.random(n) < random.uniform(0.2, 0.5)
    values = np.where(low, -random.uniform(1, 2.5), 0) + 0.6 * random.standard_normal(n)
    return (values - values.mean()) / max(values.std(), 0.3)


def mix(random: Random, n: int) -> Noise:
    """Autocorrelated heavy tails, to which the generator adds failed runs by the name."""
    innovations = random.standard_t(4, n + WARM_UP) / math.sqrt(2) * math.sqrt(1 - 0.3**2)
    values = np.zeros(n + WARM_UP)
    for i in range(1, n + WARM_UP):
        values[i] = 0.3 * values[i - 1] + innovations[i]
    return values[WARM_UP:]


def laplace(random: Random, n: int) -> Noise:
    return random.laplace(0, 1 / math.sqrt(2), n)


def rounded(random: Random, n: int) -> Noise:
    step = random.choice([0.5, 1.0])
    return np.round(random.standard_normal(n) / step) * step


def moving_average(random: Random, n: int) -> Noise:
    shocks = random.standard_normal(n + 2)
    return (shocks[2:] + 0.6 * shocks[1:-1] + 0.3 * shocks[:-2]) / math.sqrt(1 + 0.36 + 0.09)


def clustered_variance(random: Random, n: int) -> Noise:
    values, variance = np.zeros(n + WARM_UP), 1.0
    for i in range(1, n + WARM_UP):
        variance = 0.15 + 0.25 * values[i - 1] ** 2 + 0.6 * variance
        values[i] = math.sqrt(variance) * random.standard_normal()
    return values[WARM_UP:]


def long_memory(random: Random, n: int) -> Noise:
    shocks = random.standard_normal(n + 3 * WARM_UP) * math.sqrt(1 - 0.85**2)
    values = np.zeros(n + 3 * WARM_UP)
    for i in range(1, len(values)):
        values[i] = 0.85 * values[i - 1] + shocks[i]
    return values[3 * WARM_UP :]


def two_nodes(random: Random, n: int) -> Noise:
    """Two machines with a level each, of which one does several runs in a row."""
    node = (random.random() < 0.5) ^ (np.cumsum(random.random(n) < 0.15) % 2)
    return 1.6 * (node - 0.5) + 0.6 * random.standard_normal(n)


def retries(random: Random, n: int) -> Noise:
    """Bursts of runs that hardly differ from the one before."""
    values, i = random.standard_normal(n), 1
    while i < n:
        burst = int(random.integers(2, 5)) if random.random() < 0.08 else 0
        values[i : i + burst] = values[i - 1] + 0.05 * random.standard_normal(len(values[i : i + burst]))
        i += max(burst, 1)
    return values


def mostly_best(random: Random, n: int) -> Noise:
    """Mostly the very best there is, now and then a little less."""
    values = -np.abs(random.standard_normal(n)) * (random.random(n) < 0.3)
    return (values - values.mean()) / max(values.std(), 0.3)


def coarse_counts(random: Random, n: int) -> Noise:
    """A hundred examples, of which half a one fails."""
    return (random.binomial(100, 0.995, n) - 99.5) / math.sqrt(100 * 0.995 * 0.005)


def weekly_with_trend(random: Random, n: int) -> tuple[Noise, Noise]:
    days, t = random.standard_normal(7), np.arange(n)
    days = (days - days.mean()) / days.std()
    week = days[(t + random.integers(0, 7)) % 7]
    return 0.6 * week + 0.8 * random.standard_normal(n), t * random.uniform(0.01, 0.05)


# What few runs cannot tell from a fall: so many times the false alarms of other kinds are allowed to each.
ALLOWED = {
    "long_memory": 3.0,
    "two_nodes": 2.2,
    "mostly_best": 2.0,
    "coarse_counts": 1.5,
    "retries": 1.5,
    "moving_average": 1.3,
    "mix": 1.2,
    "mixture": 1.2,
}
RARE = {"long_memory", "two_nodes", "retries", "mostly_best", "coarse_counts", "weekly_with_trend"}  # kept out of means

FAMILIES = {
    "long_memory": long_memory,
    "two_nodes": two_nodes,
    "retries": retries,
    "mostly_best": mostly_best,
    "coarse_counts": coarse_counts,
    "weekly_with_trend": weekly_with_trend,
    "skewed": skewed,
    "changing_variance": changing_variance,
    "steady_trend": steady_trend,
    "mixture": mixture,
    "mix": mix,
    "laplace": laplace,
    "rounded": rounded,
    "moving_average": moving_average,
    "clustered_variance": clustered_variance,
}
