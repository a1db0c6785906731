"""Which of the pieces of a change did it, of commits in a row or parts of the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bot.domain.diagnosis.answer import SURE, Narrowed
from bot.domain.diagnosis.choice import choose
from bot.domain.diagnosis.hypotheses import Setting, suppose_step
from bot.domain.diagnosis.pieces import DonePieces
from bot.domain.diagnosis.posterior import RerunResult, TwoLevels, believe
from bot.domain.runs import Floats

_HOPELESS = 2  # reruns that failed, and none that did not


@dataclass(frozen=True, slots=True)
class PieceOutlook:
    """What is believed of the pieces, and how many of the first of them to rerun next, at the same time.

    Nothing wanted ends the search.
    """

    narrowed: Narrowed
    wanted: tuple[int, ...] = ()


def look_within(
    count: int,
    levels: TwoLevels,
    known: Sequence[tuple[bool, float]],
    done: Sequence[DonePieces],
    budget: int,
    at_once: int = 1,
) -> PieceOutlook:
    """Say which of *count* pieces did it, one of which did, after the reruns *done*.

    *known* are values of runs that had none of them, or all: they tell where both levels are. As there are few places
    to look at, one may be rerun by another seed; not where it failed, nor where another seed changes nothing, as a
    value that came twice shows, which counts once. It ends where no rerun is left that could tell apart those of which
    one is sure to have done it.
    """
    hypotheses = suppose_step([1.0] * count)
    shown = [(each.count, each.value) for each in done if each.value is not None]
    results = [RerunResult((has_all,) * count, value) for has_all, value in known]
    results += [RerunResult(_first(few, count), value) for few, value in dict.fromkeys(shown)]
    posterior = believe(hypotheses, levels, results)
    narrowed = _narrow(posterior.probability)
    if narrowed.is_one or len(done) >= budget or (len(done) >= _HOPELESS and not shown):
        return PieceOutlook(narrowed)
    useless = {each.count for each in done if each.value is None}
    useless |= {each[0] for each, times in Counter(shown).items() if times > 1}
    if useless.issuperset(range(narrowed.first + 1, narrowed.last + 1)):
        return PieceOutlook(narrowed)
    settings = choose(
        hypotheses, posterior, levels, {_first(few, count) for few in useless}, min(at_once, budget - len(done))
    )
    return PieceOutlook(narrowed, tuple(sum(setting) for setting in settings))


def _first(few: int, count: int) -> Setting:
    return tuple(place < few for place in range(count))


def _narrow(probability: Floats) -> Narrowed:
    """Return the shortest stretch that is sure enough; of those as short the likeliest."""
    sums = np.concatenate([[0.0], np.cumsum(probability)])
    for length in range(1, len(probability)):
        within = sums[length:] - sums[:-length]
        first = int(np.argmax(within))
        if within[first] >= SURE:
            return Narrowed(first, first + length - 1, float(within[first]))
    return Narrowed(0, len(probability) - 1, 1.0)
