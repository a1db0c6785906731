"""BM25 over words: split, stemmed a little, Chinese by pairs of characters."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]

WORD = re.compile(r"[^\W_]+")
IDEOGRAPHS = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+")
ENDINGS = ("ing", "ies", "es", "ed", "s", "e", "y")
SHORTEST_STEM = 3
SATURATION, LENGTH = 0.6, 0.4  # k1 and b: titles are short, a repeated word says little, a long one is no fault


def split_words(text: str) -> list[str]:
    """Give the stems of a text; a run of Chinese characters as its overlapping pairs."""
    found: list[str] = []
    for word in WORD.findall(text.lower()):
        rest = 0
        for run in IDEOGRAPHS.finditer(word):
            if run.start() > rest:
                found.append(stem(word[rest : run.start()]))
            characters = run.group()
            found += [characters[place : place + 2] for place in range(max(1, len(characters) - 1))]
            rest = run.end()
        if rest < len(word):
            found.append(stem(word[rest:]))
    return found


def stem(word: str) -> str:
    """Cut the first ending that leaves a stem: boards and board, hose and hoses meet."""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            return word[: -len(ending)]
    return word


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Texts indexed by their words."""

    index: Any  # bm25s.BM25
    texts: int

    def score(self, query: str) -> Scores:
        """Give the BM25 score of every text; nought where no word is shared."""
        known = [word for word in split_words(query) if word in self.index.vocab_dict]
        if not known:
            return np.zeros(self.texts, dtype=np.float32)
        return np.asarray(self.index.get_scores(known), dtype=np.float32)


def index_words(texts: Sequence[str], *, saturation: float = SATURATION, length: float = LENGTH) -> Lexicon:
    import bm25s

    words = [split_words(text) for text in texts]
    if not any(words):
        words[0] = [" "]  # an index needs a word
    index = bm25s.BM25(k1=saturation, b=length)
    index.index(words, show_progress=False)
    return Lexicon(index, len(texts))


def word_overlap(query: str, text: str) -> float:
    """Give the share of the query's words that the text has."""
    asked = set(split_words(query))
    return len(asked & set(split_words(text))) / len(asked) if asked else 0.0
