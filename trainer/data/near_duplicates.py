"""Finds texts that are nearly the same: by trigrams in common, looked up by MinHash (Broder 1997)."""

import re
from collections.abc import Sequence
from zlib import crc32

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

WORD = re.compile(r"[^\W_]+")
PLURAL = re.compile(r"(?<=...)s$")  # of a word of four letters or more
NEAR = 0.8  # Jaccard similarity of the trigrams of two texts
BANDS, ROWS = 8, 4  # finds 98 % of the texts of similarity 0.8, and compares few below 0.4
TEXTS_AT_A_TIME = 4096
_DRAWN = np.random.default_rng(0).integers(1, 1 << 63, size=(2, BANDS * ROWS, 1), dtype=np.uint64)


def signature(text: str) -> str:
    """Give the words in lower case, plural s cut off, in order of the alphabet."""
    return " ".join(sorted(PLURAL.sub("", word) for word in WORD.findall(text.lower())))


def trigrams(text: str) -> frozenset[int]:
    """Give a hash of every three neighbouring letters of a word, its ends marked; the order of words is not seen."""
    marked = [f"^{word}$" for word in text.split()]
    return frozenset(crc32(word[at : at + 3].encode()) for word in marked for at in range(len(word) - 2))


def group_near(texts: Sequence[str]) -> list[int]:
    """Give each text the number of the first text it is the same as, or nearly; its own number if there is none.

    A group is what resembles its first text, so that no chain of small steps joins what has little in common.
    """
    signed = [signature(text) for text in texts]
    first: dict[str, int] = {}
    for number, text in enumerate(signed):
        first.setdefault(text, number)
    leader = dict(zip(first, _lead(list(first)), strict=True))
    return [first[leader[text]] for text in signed]


def _lead(texts: Sequence[str]) -> list[str]:
    """Give each of these distinct texts the earlier one whose group it joins, or itself."""
    found: list[str] = []
    leaders: dict[tuple[int, int], list[tuple[str, frozenset[int]]]] = {}
    for start in range(0, len(texts), TEXTS_AT_A_TIME):
        some = texts[start : start + TEXTS_AT_A_TIME]
        grams = [trigrams(text) for text in some]
        for text, own, bands in zip(some, grams, _bands(grams).tolist(), strict=True):
            keys = list(enumerate(bands)) if own else []  # a text without a trigram resembles nothing
            known = (one for key in keys for one in leaders.get(key, ()))
            near = next((name for name, others in known if _similar(own, others)), None)
            if near is None:
                for key in keys:
                    leaders.setdefault(key, []).append((text, own))
            found.append(text if near is None else near)
    return found


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
        hashed = (flat * (factor | np.uint64(1)) + shift) >> np.uint64(33)
    # Two sets share their smallest hash as often as they share elements: the chance is their Jaccard similarity.
    smallest = np.minimum.reduceat(hashed, np.concatenate([[0], np.cumsum(sizes)[:-1]]), axis=1)
    folded = np.zeros((BANDS, len(grams)), dtype=np.uint64)
    for row in range(ROWS):
        with np.errstate(over="ignore"):
            folded = folded * np.uint64(0x9E3779B97F4A7C15) + smallest[row::ROWS]
    return folded.T
