"""The words of a query and a product, as people see them, and what is left without some of them."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from trainer.explaining.explanation import Side

Floats = npt.NDArray[np.float64]

# Words of Chinese and Japanese are not parted by blanks: a character each.
UNPARTED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{UNPARTED}]|[^\s{UNPARTED}]+")
BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Word:
    """A stretch of the query or the product."""

    text: str
    side: Side
    start: int
    end: int


def find_words(query: str, product: str) -> tuple[Word, ...]:
    """Give the words of both; what holds neither letter nor digit is none."""
    return tuple(
        Word(found.group(), side, found.start(), found.end())
        for side, text in ((Side.QUERY, query), (Side.PRODUCT, product))
        for found in WORD.finditer(text)
        if any(character.isalnum() for character in found.group())
    )


def first_words(text: str, most: int) -> str:
    """Give a text up to so many words, marks that stand by themselves among them."""
    behind = next(islice(WORD.finditer(text), most, None), None)
    return text if behind is None else text[: behind.start()].rstrip()


def leave_out(query: str, product: str, words: Collection[Word]) -> tuple[str, str]:
    """Give both texts without some words."""
    return _cut(query, Side.QUERY, words), _cut(product, Side.PRODUCT, words)


def _cut(text: str, side: Side, words: Collection[Word]) -> str:
    for word in sorted((word for word in words if word.side is side), key=lambda word: -word.start):
        text = f"{text[: word.start]}{text[word.end :]}"
    return BLANKS.sub(" ", text).strip()


def gather_weights(
    words: Sequence[Word], spans: Sequence[tuple[Side, int, int] | None], weight_T: Floats
) -> list[float | None]:
    """Add up the weights of each word's pieces; None for a word that no piece lies in: it was cut off.

    A piece counts for the word that it shares most characters with: some tokenizers add the blank before a word.
    """
    found: list[float | None] = [None] * len(words)
    for span, weight in zip(spans, weight_T.tolist(), strict=True):
        if span is None:
            continue
        side, start, end = span
        shared = [min(end, word.end) - max(start, word.start) if word.side is side else 0 for word in words]
        place = int(np.argmax(shared)) if shared else 0
        if shared and shared[place] > 0:
            found[place] = (found[place] or 0.0) + weight
    return found
