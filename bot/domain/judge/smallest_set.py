"""The smallest set of examples that explains a fall: a department, one category in it, a brand in one country.

Sets nest and cross, so a fault in one of them drags others along: a department falls with its category, and a little
with every brand. Each set has a share of the error that may be made, equal for every family (all examples; each column;
each combination of two) and within a family equal for every set. The same shares are the prior of which set it is. Were
only one set to fall, and all of it alike, a set's posterior would be its prior times the likelihood ratio of its mean,
exp(z^2 / 2), the scan statistic of Kulldorff (1997): of two sets that hold the same loss, the smaller has the larger
z, and of a set and a part that is as low as the rest of it, the set has. What else fell is looked for in what is left,
and must be lower than all else that is left: a run that is a little low everywhere is no further set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.domain.judge.paired import MIN_EXAMPLES, moderated_variance
from bot.domain.runs import Floats

MOST_SETS = 3  # that are named together
LEAST_WEIGHT = 1e-9
NAMED_WITH = 3.0  # nats by which another set must explain more than nothing, its prior counted


@dataclass(frozen=True, slots=True)
class SetSums:
    """What one set shows: differences of its examples, higher is better."""

    n: int
    mean: float
    squares: float  # around the mean
    noise: float = 0.0  # standard deviation of the mean from run to run

    def score(self, prior: float, weight: float, beside: SetSums | None = None) -> float:
        """Return the logarithm of the posterior that it is this set that fell, up to a constant, in nats.

        With all that it is a part of given, it counts by how much lower it is than the rest *beside* it, and by what
        it differs by from run to run.
        """
        rest = NOTHING if beside is None else beside.without(self)
        mean = self.mean - rest.mean
        if self.n < MIN_EXAMPLES or mean >= 0 or (beside is not None and rest.n < MIN_EXAMPLES):
            return math.log(weight)
        variance = moderated_variance(self.squares, self.n, prior) / self.n
        if beside is not None:
            variance = max(variance + moderated_variance(rest.squares, rest.n, prior) / rest.n, self.noise**2)
        return math.inf if variance <= 0 else mean**2 / (2 * variance) + math.log(weight)

    def without(self, part: SetSums) -> SetSums:
        """Return what is left of the set without a part of it."""
        n = self.n - part.n
        if n <= 0:
            return NOTHING
        mean = (self.n * self.mean - part.n * part.mean) / n
        between = part.n * (part.mean - self.mean) ** 2 + n * (mean - self.mean) ** 2
        return SetSums(n, mean, max(self.squares - part.squares - between, 0.0))


NOTHING = SetSums(0, 0.0, 0.0)


def sums_of(differences: Floats, noise: float = 0.0) -> SetSums:
    if not len(differences):
        return NOTHING
    mean = float(differences.mean())
    return SetSums(len(differences), mean, float(((differences - mean) ** 2).sum()), noise)


def family_weights(sizes: Sequence[int]) -> tuple[float, ...]:
    """Return the share of each set, of families of so many sets, all examples being one more family."""
    families = 1 + sum(size > 0 for size in sizes)
    return tuple(1 / families / size for size in sizes for _ in range(size))


Outside = Callable[[Sequence[int]], tuple[SetSums, Sequence[SetSums]]]


def find_smallest(proven: Sequence[int], weights: Sequence[float], prior: float, outside: Outside) -> tuple[int, ...]:
    """Return the sets that explain the fall, of those that are *proven* to have fallen; none where it is everywhere.

    *outside* returns what is left of all examples, and of every set, without some of the sets; *prior* is the variance
    of all differences, *weights* the shares of :func:`family_weights`.
    """
    rest, sets = outside(())
    everywhere = rest.score(prior, max(1 - math.fsum(weights), LEAST_WEIGHT))
    chosen: list[int] = []
    explained = 0.0
    while len(chosen) < MOST_SETS:
        beside = rest if chosen else None
        scores = {i: sets[i].score(prior, weights[i], beside) for i in proven if i not in chosen}
        best = max(scores, key=lambda i: (scores[i], -i), default=None)
        if best is None or scores[best] < (NAMED_WITH if chosen else 0.0):
            break
        chosen.append(best)
        explained += scores[best]
        rest, sets = outside(chosen)
        if rest.n < MIN_EXAMPLES:
            return ()
    return tuple(chosen) if chosen and explained > everywhere else ()
