"""Which labels a model that never saw them holds to be wrong: confident learning, and how many chance would give."""

# Shape suffixes, scoped to this file:
#   N = rows that are judged, C = classes

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DRAWS = 200


@dataclass(frozen=True, slots=True)
class ByChance:
    """How many rows would be suspect if all labels were right as far as the model can tell."""

    mean: float
    low: float  # 95 % of the draws
    high: float


def suspect(chance_NC: Floats, label_N: Ints) -> Ints:
    """Give the class that each row should have, -1 where its label stands (Northcutt et al. 2021).

    A class is confidently another if its chance is at least the mean that rows with its label have.
    """
    threshold_C = np.array(
        [chance_NC[label_N == c, c].mean() if (label_N == c).any() else np.inf for c in range(chance_NC.shape[1])]
    )
    sure_NC = np.where(chance_NC >= threshold_C, chance_NC, -1.0)
    guess_N = sure_NC.argmax(axis=1)
    stands_N = (sure_NC.max(axis=1) < 0) | (guess_N == label_N)
    return np.where(stands_N, -1, guess_N)


def suspects_by_chance(chance_NC: Floats, seed: int, draws: int = DRAWS) -> ByChance:
    """Count suspects among labels that are drawn from the chances themselves: what the model's own doubt explains."""
    rng, upto_NC = np.random.default_rng(seed), chance_NC.cumsum(axis=1)
    last = chance_NC.shape[1] - 1
    counts = []
    for _ in range(draws):
        label_N = np.minimum((rng.random((len(chance_NC), 1)) > upto_NC).sum(axis=1), last)
        counts.append(np.count_nonzero(suspect(chance_NC, label_N) >= 0))
    low, high = np.quantile(counts, [0.025, 0.975])
    return ByChance(float(np.mean(counts)), float(low), float(high))
