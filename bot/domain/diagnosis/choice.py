"""Which rerun to do next: the one of which most is expected to be learnt (Lindley 1956)."""

from __future__ import annotations

from collections.abc import Collection
from itertools import product

import numpy as np

from bot.domain.diagnosis.hypotheses import Hypotheses, Setting
from bot.domain.diagnosis.posterior import Posterior, TwoLevels
from bot.domain.runs import Floats

ALL_SETTINGS = 9  # components up to which every setting is looked at
BEYOND = np.arange(0.25, 5.0, 0.25)  # spreads beyond a level where a rerun may still lie
BETWEEN = 24


def choose(
    hypotheses: Hypotheses, posterior: Posterior, levels: TwoLevels, done: Collection[Setting]
) -> Setting | None:
    """Return the setting whose rerun is expected to tell most, never one of those done; None where none is left."""
    left = [setting for setting in candidates(hypotheses, posterior) if setting not in done]
    if not left:
        return None
    return left[int(np.argmax(information(hypotheses, posterior, levels, left)))]


def candidates(hypotheses: Hypotheses, posterior: Posterior) -> list[Setting]:
    """Return the settings worth looking at: all; of steps their beginnings; of many those that part the suspicious."""
    count = hypotheses.components
    if hypotheses.are_steps:
        return [tuple(place < end for place in range(count)) for end in range(1, count)]
    if count <= ALL_SETTINGS:
        return list(product((False, True), repeat=count))
    found = {(False,) * count: None, (True,) * count: None}
    order = [int(one) for one in np.argsort(-posterior.probability[:count], kind="stable")]
    for end in range(1, count):
        for chosen in (set(order[:end]), {order[end - 1]}, set(order[:end:2])):
            found[tuple(place in chosen for place in range(count))] = None
            found[tuple(place not in chosen for place in range(count))] = None
    return list(found)


def information(hypotheses: Hypotheses, posterior: Posterior, levels: TwoLevels, settings: list[Setting]) -> Floats:
    """Return how much a rerun of each setting is expected to tell of the hypotheses, in nats.

    A value depends on the cause through the share of the fall alone, so what it tells of the one is what it tells of
    the other. How far the levels are apart is taken as it is believed on average.
    """
    shares = hypotheses.shares_of_fall(np.array(settings, dtype=bool))
    kinds, which = np.unique(shares.round(6), return_inverse=True)
    which = which.reshape(shares.shape)
    weights = np.stack([posterior.probability @ (which == kind) for kind in range(len(kinds))], axis=1)
    before, since = posterior.probability @ posterior.means
    apart = abs(before - since) / levels.spread
    values = np.concatenate([-BEYOND[::-1], np.linspace(0, apart, BETWEEN), apart + BEYOND])
    steps = np.gradient(values)
    chances = (1 + (values - kinds[:, None] * apart) ** 2 / levels.freedom) ** (-(levels.freedom + 1) / 2)
    chances /= (chances * steps).sum(axis=1, keepdims=True)
    noise = -(chances * np.log(chances) * steps).sum(axis=1)
    mixed = weights @ chances
    return np.asarray(-(mixed * np.log(mixed) * steps).sum(axis=1) - weights @ noise)
