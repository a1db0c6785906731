"""Which rerun to do next: the one of which most is expected to be learnt (Lindley 1956)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt

from bot.domain.diagnosis.hypotheses import Hypotheses, Setting
from bot.domain.diagnosis.posterior import Posterior, TwoLevels
from bot.domain.runs import Floats

ALL_SETTINGS = 9  # components up to which every setting is looked at
BEYOND = np.arange(0.25, 5.0, 0.25)  # spreads beyond a level where a rerun may still lie
BETWEEN = 24


def choose(
    hypotheses: Hypotheses, posterior: Posterior, levels: TwoLevels, done: Collection[Setting], at_once: int = 1
) -> list[Setting]:
    """Return the settings whose reruns, made at the same time, are expected to tell most; none where none is left.

    Never one of those done, and none twice. Each is the one of which most is expected to be learnt beside those before
    it, whose reruns are taken to tell for sure what they can.
    """
    left = [setting for setting in candidates(hypotheses, posterior) if setting not in done]
    chosen: list[Setting] = []
    parts = [np.ones(len(hypotheses.all), dtype=bool)]  # of the hypotheses: what those chosen do not tell apart
    while left and len(chosen) < at_once:
        gains = sum(_gain(hypotheses, posterior, levels, left, part) for part in parts)
        chosen.append(left.pop(int(np.argmax(gains))))
        shares = hypotheses.shares_of_fall(np.array(chosen[-1:], dtype=bool))[:, 0].round(6)
        parts = [part & (shares == share) for part in parts for share in np.unique(shares[part])]
    return chosen


def _gain(
    hypotheses: Hypotheses, posterior: Posterior, levels: TwoLevels, left: list[Setting], part: npt.NDArray[np.bool_]
) -> Floats:
    """Return what a rerun of each setting is expected to tell of a part of the hypotheses, by that part's chance."""
    weight = float(posterior.probability[part].sum())
    if not weight > 0:
        return np.zeros(len(left))
    within = replace(posterior, probability=np.where(part, posterior.probability, 0.0) / weight)
    return weight * information(hypotheses, within, levels, left)


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
