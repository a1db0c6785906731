"""BM25 over the words of texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.data.words import split_words

Scores = npt.NDArray[np.float32]

SATURATION, LENGTH = 0.6, 0.4  # k1 and b: titles are short, a repeated word says little, a long one is no fault


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
    """Index the words of texts; *saturation* and *length* are BM25's k1 and b (Robertson and Zaragoza 2009)."""
    import bm25s

    words = [split_words(text) for text in texts]
    if not any(words):
        words[0] = [" "]  # an index needs a word
    index = bm25s.BM25(k1=saturation, b=length)
    index.index(words, show_progress=False)
    return Lexicon(index, len(texts))
