"""Searches the pictures of a catalogue, and adds what they say to what the texts found."""

# Shape suffixes, scoped to this file:
#   I = products of the catalogue, P = products with a picture, L = products of a list, S = size of the space

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.models.hybrid_search import (
    Engine,
    Found,
    SearchSettings,
    find_nearest,
    fuse,
    index_vectors,
    keep,
    standardise,
)
from trainer.models.picture_space import PictureSpace

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

NO_PICTURE = -1
NOTHING_FOUND = Found(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class PictureEngine:
    """The pictures of a catalogue, indexed."""

    near: Any  # faiss.IndexFlatIP over the products that have one; None where none has
    unit_PS: Vectors
    product_P: Ints  # places in the catalogue, rising
    place_I: Ints  # places among those, NO_PICTURE where a product has none
    has_text_I: Mask

    def find(self, asked_S: Vectors, top: int) -> Found:
        """Give the products whose pictures are nearest to a query's unit vector."""
        if self.near is None:
            return NOTHING_FOUND
        found = find_nearest(self.near, asked_S, top)
        return Found(self.product_P[found.items_L], found.scores_L)

    def add(self, texts: Found, pictures: Found, asked_S: Vectors, weight: float, top: int) -> Found:
        """Add up what the texts and the pictures say of the products on either list, pictures weighing *weight*.

        Pictures' cosines, which are known of all these products, get the mean 0 and the spread 1; of the list of texts
        it is that of the first *top* places, as `fuse` has it. A product without a picture gets the mean of those on
        the list of texts that have one: its picture speaks neither for nor against it. One without a text likewise.
        """
        if not weight or not len(pictures.items_L):
            return texts
        if not len(texts.items_L):
            return pictures
        items_L = np.union1d(texts.items_L, pictures.items_L)
        on_texts_L, on_pictures_L = (np.isin(items_L, one.items_L) for one in (texts, pictures))
        shown_L, worded_L = self.place_I[items_L] >= 0, self.has_text_I[items_L]
        picture_L = _fill(self._cosines(items_L[shown_L], asked_S), shown_L, on_texts_L)
        text_L = standardise(texts, items_L, top)
        text_L = _fill(text_L[worded_L], worded_L, on_pictures_L)
        scores_L = (1 - weight) * text_L + weight * picture_L
        order = np.argsort(-scores_L, kind="stable")
        return Found(items_L[order], scores_L[order])

    def _cosines(self, items_L: Ints, asked_S: Vectors) -> Floats:
        # Row by row, not as a product of matrices, which rounds equal rows otherwise by where they stand.
        cosines = (self.unit_PS[self.place_I[items_L]] * asked_S).sum(axis=1, dtype=np.float64)
        spread = cosines.std()
        centred: Floats = cosines - cosines.mean()
        return centred / spread if spread > 0 else centred


@dataclass(frozen=True, slots=True)
class PictureSearch:
    """What a query needs to be held against pictures too."""

    engine: PictureEngine
    space: PictureSpace
    weight: float  # of the pictures in the fusion

    def add_to(self, texts: Found, unit_D: Vectors, top: int) -> Found:
        """Give what texts found for a query's unit vector with what the pictures say of it."""
        (asked_S,) = self.space.find_queries(unit_D[None])
        return self.engine.add(texts, self.engine.find(asked_S, top), asked_S, self.weight, top)


def search(
    engine: Engine, unit_D: Vectors, query: str, settings: SearchSettings, top: int, pictures: PictureSearch | None
) -> Found:
    """Give what a catalogue has for a query, by its unit vector and its words, and by pictures where there are some."""
    near, worded = engine.by_vector(unit_D, top), engine.by_words(query, top)
    if pictures is None:
        return fuse(near, worded, settings.weight, top)
    texts = fuse(keep(near, pictures.engine.has_text_I), worded, settings.weight, top)
    return pictures.add_to(texts, unit_D, top)


def make_picture_engine(unit_PS: Vectors, place_I: Ints, has_text_I: Mask) -> PictureEngine:
    """Index the (P, S) unit vectors of pictures; *place_I* says which each product of the catalogue has, if any.

    Several products may have one picture.
    """
    product_P = np.flatnonzero(place_I >= 0)
    own_PS = np.ascontiguousarray(unit_PS[place_I[product_P]], dtype=np.float32)
    own_I = np.full(len(place_I), NO_PICTURE, dtype=np.int64)
    own_I[product_P] = np.arange(len(product_P))
    near = index_vectors(own_PS) if len(own_PS) else None
    return PictureEngine(near, own_PS, product_P, own_I, has_text_I)


def _fill(known: Floats, is_known_L: Mask, beside_L: Mask) -> Floats:
    """Give the scores of a list, those that are not known at the mean of what is known *beside* them."""
    values_L = np.zeros(len(is_known_L))
    values_L[is_known_L] = known
    rivals_L = is_known_L & beside_L
    values_L[~is_known_L] = values_L[rivals_L].mean() if rivals_L.any() else 0.0
    return values_L
