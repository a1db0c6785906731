"""How often the trainer's 95 % intervals hold the truth: `python -m bench.trainer_coverage [--draws N]`.

Users differ, and each has between one and twelve rows of its own, so rows of one user resemble one another. The truth
is what a million users give.
"""

# Shape suffixes, scoped to this file:
#   N = rows of a sample, C = clusters: users

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trainer.measures.bootstrap import statistic_intervals, table_intervals
from trainer.measures.pair_metrics import Answers, answer_statistic
from trainer.measures.per_example import PerExample

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SIZES = (30, 100, 1000)
MOST_ROWS = 12
TRUTH = 200_000  # users
NAMES = ("hit rate", "accuracy", "f1", "auc", "difference of two models")


def draw(rng: np.random.Generator, clusters: int) -> tuple[Ints, Answers, Floats]:
    """Give the users of some rows, answers whose ease is the user's, and what a second model is better by."""
    cluster_N = np.repeat(np.arange(clusters), rng.integers(1, MOST_ROWS + 1, clusters))
    ease_C, taste_C = rng.normal(0, 1, (2, clusters))
    relevant_N = rng.random(len(cluster_N)) < 1 / (1 + np.exp(-taste_C[cluster_N]))
    strength_N = 1.0 + ease_C[cluster_N]
    noise_N = rng.normal(0, 1, len(cluster_N))
    chance_N = 1 / (1 + np.exp(-(strength_N * np.where(relevant_N, 0.5, -0.5) + noise_N)))
    better_N = 0.05 * ease_C[cluster_N] + rng.normal(0, 0.2, len(cluster_N))
    return cluster_N, Answers(relevant_N, chance_N, 0.5), better_N


def measure(cluster_N: Ints, answers: Answers, better_N: Floats) -> dict[str, float]:
    """Give the metrics themselves; every row is an example."""
    found = answer_statistic(answers)(np.ones(len(cluster_N)))
    hits = float((answers.relevant_N & (answers.chance_N >= answers.threshold)).mean())
    means = {"hit rate": hits, "difference of two models": float(better_N.mean())}
    return means | {name: found[name] for name in ("accuracy", "f1", "auc")}


def count_held(truth: dict[str, float], clusters: int, draws: int, names: Sequence[str], seed: int) -> dict[str, float]:
    """Give the share of drawn samples whose interval holds the truth."""
    rng, held = np.random.default_rng(seed), dict.fromkeys(names, 0)
    for _ in range(draws):
        cluster_N, answers, better_N = draw(rng, clusters)
        hits = (answers.relevant_N & (answers.chance_N >= answers.threshold)).astype(np.float64)
        ids = tuple(map(str, range(len(cluster_N))))
        means = {"hit rate": hits, "difference of two models": better_N}
        found = table_intervals(
            PerExample(ids, {}, np.ones(len(ids)), means, tuple(map(str, cluster_N.tolist())), "user")
        )
        if set(names) - set(means):
            found |= statistic_intervals(cluster_N, answer_statistic(answers), 500)
        for name in names:
            held[name] += found[name].low <= truth[name] <= found[name].high
    return {name: count / draws for name, count in held.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each number of users."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    truth = measure(*draw(np.random.default_rng(chosen.seed), TRUTH))
    sys.stdout.write("  ".join(("users", *NAMES)) + "\n")
    for clusters in SIZES:
        held = count_held(truth, clusters, chosen.draws, NAMES, chosen.seed + clusters)
        sys.stdout.write("  ".join((str(clusters), *(f"{100 * held[name]:.1f} %" for name in NAMES))) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
