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


FAMILIES = {
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
