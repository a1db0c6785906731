"""Kinds of leaks between the parts of a split, and what becomes of a split that has some."""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from trainer.errors import DataError
from trainer.jobs.data import LeakPolicy
from trainer.tracking.progress import say

Mask = npt.NDArray[np.bool_]

NEAR = "near-duplicate pair"
USER = "same user"
USER_ITEM = "same user and item"
INSIDE = "target inside its history"
MARKOV = "next item told by the last alone"
NEAR_LIMIT = 0.01  # of the test rows: titles of one shop resemble one another without being a leak


def judge_leaks(
    where: str, found: Mapping[str, int], tested: int, policy: LeakPolicy, *, not_promised: Collection[str] = ()
) -> None:
    """Refuse or warn, as configured, naming every kind that is more than chance.

    What the split did *not promise* to be without is told, and refuses nothing.
    """
    told = [f"{found[kind]} {kind}" for kind in not_promised if found.get(kind)]
    if told:
        say(f"trainer: {where}: of {tested} test rows {', '.join(told)} on the other side, which this split allows")
    found = {kind: count for kind, count in found.items() if kind not in not_promised}
    bad = [f"{count} {kind}" for kind, count in found.items() if count > (NEAR_LIMIT * tested if kind == NEAR else 0)]
    if not bad:
        return
    said = f"{where}: the split leaks: of {tested} test rows {', '.join(bad)} on the other side"
    if policy == "refuse":
        raise DataError(f'{said}; split another way, or say leak_check = "warn"')
    say(f"trainer: {said}")
