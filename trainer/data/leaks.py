"""Looks for test rows whose answer stands on the other side of the split."""

import re
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from trainer.data.jobs import LeakPolicy, SplitJob
from trainer.data.splits import PART_NUMBER, Part, Parts
from trainer.errors import DataError
from trainer.progress import say

Mask = npt.NDArray[np.bool_]

PAIR, QUERY, USER, NEAR = "same pair", "same query", "same user", "near-duplicate pair"
USER_ITEM = "same user and item"
INSIDE = "target inside its history"
MARKOV = "next item told by the last alone"
NEAR_LIMIT = 0.01  # of the test rows: titles of one shop resemble one another without being a leak
WORD = re.compile(r"[^\W_]+")
PLURAL = re.compile(r"(?<=...)s$")  # of a word of four letters or more


def signature(text: str) -> str:
    """Give what near-duplicates share: the words in lower case, plural s cut off, in order of the alphabet."""
    return " ".join(sorted(PLURAL.sub("", word) for word in WORD.findall(text.lower())))


def count_shared(keys: Sequence[Hashable], parts: Parts) -> int:
    """Count the test rows whose key occurs in a row that is learned from or tuned on."""
    seen = {key for key, part in zip(keys, parts.tolist(), strict=True) if part != PART_NUMBER[Part.TEST]}
    test = np.flatnonzero(parts == PART_NUMBER[Part.TEST]).tolist()
    return sum(keys[row] in seen for row in test)


def find_pair_leaks(
    queries: Sequence[str], products: Sequence[str], users: Sequence[str] | None, parts: Parts, split: SplitJob
) -> dict[str, int]:
    """Count leaks of each kind that this way of splitting promises to be without, texts given row by row."""
    found = {PAIR: count_shared(list(zip(queries, products, strict=True)), parts)}
    if split.by in ("query", "column"):  # in time the same query comes again and again: no leak
        found[QUERY] = count_shared(queries, parts)
    if users is not None and split.by == "user":
        found[USER] = count_shared(users, parts)
    if users is not None and split.by == "time":
        found[USER_ITEM] = count_shared(list(zip(users, products, strict=True)), parts)
    signed = {text: signature(text) for text in {*queries, *products}}
    near = [(signed[query], signed[product]) for query, product in zip(queries, products, strict=True)]
    found[NEAR] = count_shared(near, parts) - found[PAIR]
    return found


def judge_leaks(where: str, found: Mapping[str, int], tested: int, policy: LeakPolicy) -> None:
    """Refuse or warn, as configured, naming every kind that is more than chance."""
    bad = [f"{count} {kind}" for kind, count in found.items() if count > (NEAR_LIMIT * tested if kind == NEAR else 0)]
    if not bad:
        return
    said = f"{where}: the split leaks: of {tested} test rows {', '.join(bad)} on the other side"
    if policy == "refuse":
        raise DataError(f'{said}; split another way, or say leak_check = "warn"')
    say(f"trainer: {said}")
