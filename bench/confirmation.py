"""What reruns decide: how often, and after how many, by how far a recipe truly fell and how many runs were before.

    python -m bench.confirmation

Runs are Gaussian. The run that is asked about was noticed for lying four spreads low, whatever its recipe truly does.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from bot.domain.confirmation import Measured, confirm, next_recipe
from bot.domain.judge import Finding, Outcome, Reason
from bot.domain.policy import MetricPolicy, Policies
from bot.domain.recipes import OWN, Plan
from bot.domain.rerun_answers import Cause

TRIALS = 2000
SEEN = 4.0  # spreads
PLAN = Plan(reruns=2, budget=4)
POLICIES = Policies((MetricPolicy("m"),))


def ask(random: np.random.Generator, before: int, fall: float) -> tuple[Cause, int]:
    """Return what reruns of a recipe say that lies *fall* spreads lower, and how many there were."""
    known = random.normal(size=before)
    seen = max(SEEN, fall)
    finding = Finding(
        "m",
        Outcome.SUSPICIOUS,
        Reason.BEYOND_SPREAD,
        value=100 + known.mean() - seen,
        baseline=100 + known.mean(),
        change=-seen,
        spread=known.std(ddof=1),
        n_baseline=before,
    )
    made: list[Measured] = []
    while next_recipe(confirm("run", (finding,), made, POLICIES), len(made), PLAN) is not None:
        made.append(Measured(OWN, {"m": 100 + random.normal() - fall}))
    return confirm("run", (finding,), made, POLICIES).answers[0].cause, len(made)


def main() -> None:
    random = np.random.default_rng(7)
    print("| runs before | true fall, spreads | same | not yet | luck | reruns |")
    print("| --- | --- | --- | --- | --- | --- |")
    for before in (5, 10, 20):
        for fall in (0.0, 1.5, 3.0, 4.0, 6.0):
            said = [ask(random, before, fall) for _ in range(TRIALS)]
            found = Counter(cause for cause, _ in said)
            shares = (f"{100 * found[each] / TRIALS:.1f} %" for each in (Cause.SHOWN, Cause.NOT_YET, Cause.LUCK))
            print(f"| {before} | {fall:g} | {' | '.join(shares)} | {np.mean([count for _, count in said]):.1f} |")


if __name__ == "__main__":
    main()
