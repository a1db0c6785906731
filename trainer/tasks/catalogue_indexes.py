"""The indexes that a job searches: words counted once, each set of vectors indexed once a catalogue."""

# Shape suffixes, scoped to this file:
#   E = texts the encoder knows, I = products of a catalogue, Q = queries asked, D = width

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.data.pairs import Pairs
from trainer.models.bm25 import Lexicon, count_words, weigh_words
from trainer.models.hybrid_search import Engine, FoundLists, index_vectors, keep
from trainer.models.text_encoder import unit
from trainer.tasks.retrieval_questions import Answered, EncodedTexts, Questions

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]


class CatalogueWords:
    """What no training changes: the words of every text, and what is found by them."""

    def __init__(self, pairs: Pairs, texts: EncodedTexts) -> None:
        self.pairs, self.texts = pairs, texts
        self.words = count_words(texts.all_E[texts.queries :])
        self.lexicons: dict[bytes, Lexicon] = {}
        self.lists: dict[tuple[bytes, bytes, int], FoundLists] = {}

    def lexicon(self, places_I: Ints) -> Lexicon:
        """Give the words of a catalogue, told by the places of its products' texts."""
        key = places_I.tobytes()
        if key not in self.lexicons:
            self.lexicons[key] = weigh_words(self.words, places_I)
        return self.lexicons[key]

    def have_texts(self, asked: Questions) -> Mask:
        """Say of each product of a catalogue whether it may be found by its text: one known by its picture has none."""
        if self.pairs.pictures is None:
            return np.ones(len(asked.products_I), dtype=np.bool_)
        return np.array([bool(self.pairs.products[product]) for product in asked.products_I.tolist()], dtype=np.bool_)

    def answer(self, asked: Questions, engine: Engine, top: int) -> FoundLists:
        """Give what the words of every question find."""
        key = (asked.products_I.tobytes(), asked.queries_Q.tobytes(), top)
        if key not in self.lists:
            queries = [self.pairs.queries[query] for query in asked.queries_Q.tolist()]
            self.lists[key] = FoundLists(lambda query: engine.by_words(queries[query], top), len(queries))
        return self.lists[key]


class CatalogueIndexes:
    """One set of vectors, searched beside the words."""

    def __init__(self, words: CatalogueWords, vectors_ED: Tensor) -> None:
        self.words = words
        self.vectors_ED = vectors_ED
        self.engines: dict[bytes, Engine] = {}

    def of_catalogue(self, asked: Questions) -> Engine:
        """Give what searches the products that a part's questions are asked of."""
        return self._engine(self.words.texts.of_product[asked.products_I])

    def of_texts(self) -> Engine:
        """Give what searches the distinct texts of products."""
        texts = self.words.texts
        return self._engine(np.arange(len(texts.all_E) - texts.queries))

    def unit_queries(self, queries_Q: Ints) -> Vectors:
        """Give the (Q, D) unit vectors of some queries."""
        return unit(self.vectors_ED[torch.from_numpy(queries_Q)])

    def answer(self, asked: Questions, top: int) -> Answered:
        """Give both lists for every question."""
        engine = self.of_catalogue(asked)
        unit_QD = self.unit_queries(asked.queries_Q)
        worded_I = self.words.have_texts(asked)
        near = FoundLists(lambda query: keep(engine.by_vector(unit_QD[query], top), worded_I), len(unit_QD))
        return Answered(near, self.words.answer(asked, engine, top), top)

    def _engine(self, places_I: Ints) -> Engine:
        key = places_I.tobytes()
        if key not in self.engines:
            unit_ID = unit(self.vectors_ED[self.words.texts.products(places_I)])
            self.engines[key] = Engine(index_vectors(unit_ID), self.words.lexicon(places_I), unit_ID)
        return self.engines[key]
