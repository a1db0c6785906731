"""Finds texts that are nearly the same: by trigrams in common, looked up by MinHash (Broder 1997)."""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
import numpy.typing as npt

from trainer.tracking.progress import show_progress

Hashes = npt.NDArray[np.uint64]

WORD = re.compile(r"[^\W_]+")
SHORTEST_PLURAL = 4  # letters
NEAR = 0.8  # Jaccard similarity of the trigrams of two texts
BANDS, ROWS = 8, 4  # finds 98 % of the texts of similarity 0.8, and compares few below 0.4
TEXTS_AT_A_TIME = 512  # their hashes under all draws stay in the processor's cache
WORDS_KEPT = 16_384  # whose trigrams are remembered: texts of a shop share most words
MOST = 16  # comparisons of a text: what has more to be held against is counted
CROWD = 32  # texts of one band that later ones are held against
MANY = 10_000  # texts from which on progress is shown
_DRAWN = np.random.default_rng(0).integers(1, 1 << 63, size=(2, BANDS * ROWS, 1), dtype=np.uint64)


def signature(text: str) -> str:
    """Give the words in lower case, plural s cut off, in order of the alphabet."""
    return " ".join(sorted(map(_singular, WORD.findall(text.lower()))))


def _singular(word: str) -> str:
    return word[:-1] if len(word) >= SHORTEST_PLURAL and word[-1] == "s" else word


def trigrams(text: str) -> frozenset[int]:
    """Give a hash of every three neighbouring letters of a word, its ends marked; the order of words is not seen."""
    return frozenset().union(*map(_of_word, text.split()))


@lru_cache(maxsize=WORDS_KEPT)
def _of_word(word: str) -> tuple[int, ...]:
    marked = f"^{word}$"
    return tuple(crc32(marked[at : at + 3].encode()) for at in range(len(marked) - 2))


@dataclass(frozen=True, slots=True)
class NearGroups:
    """Which texts are nearly the same: each one's group, and how many were not held against all that may be near."""

    groups: list[int]
    not_compared: int


def group_near(texts: Sequence[str]) -> NearGroups:
    """Give each text the number of the first text it is the same as, or nearly; its own number if there is none.

    A group is what resembles its first text, so that no chain of small steps joins what has little in common.
    """
    signed = [signature(text) for text in texts]
    first: dict[str, int] = {}
    for number, text in enumerate(signed):
        first.setdefault(text, number)
    leaders, not_compared = _lead(list(first))
    leader = dict(zip(first, leaders, strict=True))
    return NearGroups([first[leader[text]] for text in signed], not_compared)


Leaders = dict[tuple[int, int], list[tuple[str, frozenset[int]]]]


def _lead(texts: Sequence[str]) -> tuple[list[str], int]:
    """Give each of these distinct texts the earlier one whose group it joins, or itself; and how many saw too few."""
    found: list[str] = []
    leaders: Leaders = {}
    not_compared = 0
    with show_progress("near-duplicates", len(texts), "texts") if len(texts) > MANY else nullcontext(_quiet) as advance:
        for start in range(0, len(texts), TEXTS_AT_A_TIME):
            some = texts[start : start + TEXTS_AT_A_TIME]
            grams = [trigrams(text) for text in some]
            for text, own, bands in zip(some, grams, _bands(grams).tolist(), strict=True):
                keys = list(enumerate(bands)) if own else []  # a text without a trigram resembles nothing
                near, saw_all = _nearest(own, keys, leaders)
                if near is None:
                    not_compared += not saw_all
                    for key in keys:
                        if len(known := leaders.setdefault(key, [])) < CROWD:
                            known.append((text, own))
                found.append(text if near is None else near)
            advance(len(some), "")
    return found, not_compared


def _nearest(own: frozenset[int], keys: Sequence[tuple[int, int]], leaders: Leaders) -> tuple[str | None, bool]:
    """Give a leader that the text is near, and whether all that may be near were looked at.

    Texts from one mould share bands by the thousand. Those that share the most are looked at, MOST of them.
    """
    shared: Counter[str] = Counter()
    grams: dict[str, frozenset[int]] = {}
    for key in keys:
        for name, others in leaders.get(key, ()):
            shared[name] += 1
            grams[name] = others
    near = next((name for name, _ in shared.most_common(MOST) if _similar(own, grams[name])), None)
    return near, len(shared) <= MOST and all(len(leaders.get(key, ())) < CROWD for key in keys)


def _quiet(count: int, note: str) -> None:
    """Show no progress of what takes no time."""


def _similar(one: frozenset[int], other: frozenset[int]) -> bool:
    shared = len(one & other)  # counted exactly: the bands only say who is worth comparing
    return shared >= NEAR * (len(one) + len(other) - shared)


def _bands(grams: Sequence[frozenset[int]]) -> Hashes:
    """Give each text's smallest hash under many draws, a band of them folded into one number: (texts, BANDS)."""
    sizes = np.array([max(len(own), 1) for own in grams])
    flat = np.fromiter((gram for own in grams for gram in own or (0,)), dtype=np.uint64, count=int(sizes.sum()))
    factor, shift = _DRAWN
    with np.errstate(over="ignore"):  # it is meant to wrap
        # An odd factor is one-to-one on 64 bits; the upper ones are well mixed.
        hashed = flat * (factor | np.uint64(1))
        hashed += shift
        hashed >>= np.uint64(33)
    # Two sets share their smallest hash as often as they share elements: the chance is their Jaccard similarity.
    smallest = np.minimum.reduceat(hashed, np.concatenate([[0], np.cumsum(sizes)[:-1]]), axis=1)
    folded = np.zeros((BANDS, len(grams)), dtype=np.uint64)
    for row in range(ROWS):
        with np.errstate(over="ignore"):
            folded = folded * np.uint64(0x9E3779B97F4A7C15) + smallest[row::ROWS]
    return folded.T
