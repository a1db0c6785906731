"""Holds weights to what they say: without the parts that carried an answer it changes more than by chance."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from trainer.explaining.explanation import Deletion, Method

Floats = npt.NDArray[np.float64]
Weights = Sequence[float | None]
ScoreWithout = Callable[[Sequence[Sequence[int]]], Floats]  # the scores without some sets of parts

NAMED = 3  # parts at most that are said to have carried an answer
DRAWS = 10  # as many parts taken out by chance


def name_parts(weights: Weights, way: float = 1.0) -> tuple[int, ...]:
    """Give the places of the parts that carried the score the *way* the answer went, the heaviest first."""
    known = [0.0 if weight is None else weight for weight in weights]
    most = most_named(len(known))
    order = sorted(range(len(known)), key=lambda place: -way * known[place])
    return tuple(place for place in order[:most] if way * known[place] > 0)


def most_named(parts: int) -> int:
    """Give how many of so many parts are named at most: most of a text stays, so that what is left is a text still."""
    return min(NAMED, max(1, parts // 3))


def check_deletion(
    named: Sequence[int], whole: float, read: Sequence[int], score_without: ScoreWithout, rng: np.random.Generator
) -> Deletion | None:
    """Take out what is named, and as many of what is *read* by chance; None where there is no other choice.

    What DeYoung et al. (2020) call comprehensiveness, beside chance.
    """
    if not named and len(read) > 1:
        return Deletion(0.0, 0.0, 0.0)  # nothing led there
    draws = _draw(named, read, rng)
    if not draws:
        return None
    moved = np.abs(score_without([list(named), *draws]) - whole)
    return Deletion(float(moved[0]), float(moved[1:].mean()), float((moved[1:] < moved[0]).mean()))


def _draw(named: Sequence[int], read: Sequence[int], rng: np.random.Generator) -> list[list[int]]:
    """Draw other sets of the same size, each once where there are few."""
    if len(read) <= len(named):
        return []
    drawn = {
        tuple(sorted(rng.choice(np.asarray(read), len(named), replace=False).tolist())) for _ in range(5 * DRAWS)
    } - {tuple(sorted(named))}
    return [list(one) for one in rng.permutation(sorted(drawn)).tolist()[:DRAWS]]


def leave_one_out(whole: float, parts: int, score_without: ScoreWithout) -> list[float]:
    """Give what the score loses without each part."""
    return [float(one) for one in whole - score_without([[place] for place in range(parts)])]


def leave_out_in_turn(whole: float, parts: int, score_without: ScoreWithout, way: float = 1.0) -> list[float]:
    """Take out whichever part the answer loses most by, then of what is left the next, as many as may be named.

    The weight of one that is taken out is what the score loses then; of another the least that it would have lost in
    any of the turns. So of two parts that say the same the second counts once the first is out, where leave one out
    finds it needless.
    """
    gone: list[int] = []
    weights, left = [float("inf")] * parts, whole
    for _ in range(most_named(parts)):
        rest = [place for place in range(parts) if place not in gone]
        score_R = score_without([[*gone, place] for place in rest])
        lost = dict(zip(rest, (way * (left - score_R)).tolist(), strict=True))
        for place in rest:
            weights[place] = min(weights[place], lost[place])
        first = max(rest, key=lost.__getitem__)
        if lost[first] <= 0:
            break
        weights[first] = lost[first]
        left -= way * lost[first]
        gone.append(first)
    return [way * weight for weight in weights]


def first_that_holds(
    methods: Iterable[tuple[Method, Callable[[], Weights]]],
    whole: float,
    score_without: ScoreWithout,
    way: float = 1.0,
) -> tuple[Method, Weights, tuple[int, ...], Deletion] | Deletion | None:
    """Give the first method whose named parts matter more than chance, with its weights; else how the last one failed.

    None where there is nothing to hold it against: a part alone.
    """
    failed: Deletion | None = None
    for method, weigh in methods:
        weights = weigh()
        named = name_parts(weights, way)
        read = [place for place, weight in enumerate(weights) if weight is not None]
        # The same draws whenever the same is asked.
        found = check_deletion(named, whole, read, score_without, np.random.default_rng(len(weights)))
        if found is not None and found.holds:
            return method, weights, named, found
        failed = found or failed
    return failed
