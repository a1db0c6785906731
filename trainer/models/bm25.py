"""BM25 over the words of texts: counted once, weighed for whatever collection of them is searched."""

# Shape suffixes, scoped to this file:
#   T = distinct texts, W = words, I = texts of a collection, any of which may be there several times

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainer.data.words import split_words

Scores = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SATURATION, LENGTH = 0.6, 0.4  # k1 and b: titles are short, a repeated word says little, a long one is no fault


@dataclass(frozen=True, slots=True)
class WordCounts:
    """How often each text has each word: the one pass over all texts, and nearly all of what an index costs."""

    counts_TW: sparse.csc_array
    column: Mapping[str, int]  # word -> W
    length_T: Floats  # words


@dataclass(frozen=True, slots=True)
class Lexicon:
    """A collection of texts, searched by words."""

    words: WordCounts
    places_I: Ints  # of the collection's texts among those that were counted
    rarity_W: Floats  # inverse frequency in the collection
    damping_T: Floats  # grows with a text's length beside the collection's mean

    def score(self, query: str) -> Scores:
        """Give the BM25 score of every text; nought where no word is shared."""
        scores_T = np.zeros(len(self.damping_T))
        counts_TW = self.words.counts_TW
        for word in split_words(query):
            place = self.words.column.get(word)
            if place is not None:
                rows = slice(counts_TW.indptr[place], counts_TW.indptr[place + 1])
                texts, counts = counts_TW.indices[rows], counts_TW.data[rows]
                scores_T[texts] += self.rarity_W[place] * counts / (counts + self.damping_T[texts])
        return scores_T[self.places_I].astype(np.float32)


def count_words(texts: Sequence[str]) -> WordCounts:
    """Count the words of texts."""
    column: dict[str, int] = {}
    starts: list[int] = [0]
    indices: list[int] = []
    counts: list[int] = []
    for text in texts:
        found = Counter(column.setdefault(word, len(column)) for word in split_words(text))
        indices += found.keys()
        counts += found.values()
        starts.append(len(indices))
    shape = (len(texts), max(1, len(column)))
    by_text = sparse.csr_array((np.array(counts, dtype=np.float64), np.array(indices), np.array(starts)), shape=shape)
    return WordCounts(by_text.tocsc(), column, np.asarray(by_text.sum(axis=1)))


def weigh_words(
    words: WordCounts, places_I: Ints, *, saturation: float = SATURATION, length: float = LENGTH
) -> Lexicon:
    """Make a collection of counted texts searchable; *saturation* and *length* are BM25's k1 and b.

    Robertson and Zaragoza 2009, the rarity as Lucene has it.
    """
    times_T = np.bincount(places_I, minlength=len(words.length_T))
    having_W = words.counts_TW.sign().T @ times_T
    rarity_W = np.log1p((len(places_I) - having_W + 0.5) / (having_W + 0.5))
    mean = float(times_T @ words.length_T) / max(1, len(places_I))
    damping_T = saturation * (1 - length + length * words.length_T / (mean or 1.0))
    return Lexicon(words, places_I, rarity_W, damping_T)


def index_words(texts: Sequence[str], *, saturation: float = SATURATION, length: float = LENGTH) -> Lexicon:
    """Count the words of texts and search all of them."""
    return weigh_words(count_words(texts), np.arange(len(texts)), saturation=saturation, length=length)
