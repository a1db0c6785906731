"""Searches a catalogue by vectors (faiss), by words (BM25), and by both."""

# Shape suffixes, scoped to this file:
#   I = products of the catalogue, L = products of a list, D = width of a vector

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from trainer.data.json_texts import parse_json
from trainer.errors import ModelError
from trainer.models.bm25 import Lexicon, index_words

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SETTINGS = "retrieval.json"
CATALOGUE = "catalogue.parquet"
VECTORS = "catalogue.safetensors"
LONG = 1000  # products of a list that is kept


@dataclass(frozen=True, slots=True)
class Found:
    """Products, best first, and what they score; equal scores in the order of the catalogue, none preferred by the cut.

    A list of so many may be longer: all that tie with its last place are on it.
    """

    items_L: Ints
    scores_L: Floats


class FoundLists:
    """The lists of many questions. One that ties make long is found anew whenever it is asked for, and never kept.

    In a catalogue of like titles each list may hold all of it, and all lists together queries times products.
    """

    def __init__(self, find: Callable[[int], Found], count: int) -> None:
        self._find = find
        self._count = count
        self._kept: dict[int, Found] = {}

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Found]:
        return map(self.of, range(self._count))

    def of(self, question: int) -> Found:
        """Give the list of one question, by its number."""
        found = self._kept.get(question)
        if found is None:
            found = self._find(question)
            if len(found.items_L) <= LONG:
                self._kept[question] = found
        return found


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """What a fitted model needs beside its weights."""

    max_tokens: int
    top: int  # products taken of either list before they are fused
    weight: float  # of the vectors in the fusion, the rest is BM25's
    spelling: bool = False  # queries are asked in the words of the catalogue
    pooling: str = "mean"  # of a text's states to its vector


@dataclass(frozen=True, slots=True)
class SearchedProducts:
    """The products that can be found: their ids and texts, in the order of the vectors."""

    keys: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Engine:
    """A catalogue indexed both ways."""

    near: Any  # faiss.IndexFlatIP: exact, a few milliseconds up to a million products
    lexicon: Lexicon
    unit_ID: Vectors

    def by_vector(self, unit_D: Vectors, top: int) -> Found:
        """Give the nearest by cosine."""
        return find_nearest(self.near, unit_D, top)

    def by_words(self, query: str, top: int) -> Found:
        """Give the best by BM25, those that share a word alone."""
        scores_I = self.lexicon.score(query)
        items = best_places(scores_I, top)
        items = items[scores_I[items] > 0]
        return Found(items, scores_I[items].astype(np.float64))


def make_engine(unit_ID: Vectors, texts: Sequence[str]) -> Engine:
    """Index the products' (I, D) unit vectors and their words."""
    return Engine(index_vectors(unit_ID), index_words(texts), unit_ID)


def index_vectors(unit_ID: Vectors) -> Any:
    """Index (I, D) unit vectors, whose inner product is the cosine."""
    import faiss

    near = faiss.IndexFlatIP(unit_ID.shape[1])
    near.add(np.ascontiguousarray(unit_ID, dtype=np.float32))
    return near


def find_nearest(near: Any, unit_D: Vectors, top: int) -> Found:
    """Give what of an index is nearest to a (D,) unit vector by cosine."""
    (scores_L,), (items_L,) = near.search(unit_D[None], min(top + 1, near.ntotal))
    if len(items_L) > top:
        if scores_L[top] == scores_L[top - 1]:  # the cut would fall between equals
            _, scores_L, items_L = near.range_search(unit_D[None], np.nextafter(scores_L[top], np.float32(-2)))
        else:
            scores_L, items_L = scores_L[:top], items_L[:top]
    order = np.lexsort((items_L, -scores_L))
    return Found(items_L[order].astype(np.int64), scores_L[order].astype(np.float64))


def best_places(scores_I: npt.NDArray[np.floating[Any]], top: int) -> Ints:
    """Give the places of the *top* highest scores, best first, and of all that tie with the last of them."""
    if top < len(scores_I):
        # Of a large catalogue only what may be on the list is sorted.
        least = np.partition(scores_I, len(scores_I) - top)[len(scores_I) - top]
        places = np.flatnonzero(scores_I >= least)
    else:
        places = np.arange(len(scores_I))
    return places[np.argsort(-scores_I[places], kind="stable")]


def keep(found: Found, kept_I: npt.NDArray[np.bool_]) -> Found:
    """Leave out of a list what is not to be *kept*."""
    kept_L = kept_I[found.items_L]
    return found if kept_L.all() else Found(found.items_L[kept_L], found.scores_L[kept_L])


def fuse(near: Found, worded: Found, weight: float, top: int) -> Found:
    """Add up two lists after giving each the mean 0 and the spread 1; a product missing in one gets its least score.

    A list whose products all score the same has no spread: what is missing there is one behind, so that a single
    product that has the query's word gains by it.

    Mean and spread are of the first *top* places: how many tie with the last is no matter of theirs.
    """
    if not len(worded.items_L):
        return near
    # Cosines lie between -1 and 1, BM25 has no upper end: only where a product stands within its list compares.
    items_L = np.union1d(near.items_L, worded.items_L)
    scores_L = weight * standardise(near, items_L, top) + (1 - weight) * standardise(worded, items_L, top)
    order = np.argsort(-scores_L, kind="stable")
    return Found(items_L[order], scores_L[order])


def standardise(found: Found, items_L: Ints, top: int) -> Floats:
    """Give what some items, among which all of a list are, score there at mean 0 and spread 1 of its first *top*."""
    first = found.scores_L[:top]
    spread = first.std()
    standard = (found.scores_L - first.mean()) / (spread if spread > 0 else 1.0)
    # Who is not on the list scored less than its last, by how much nobody knows.
    values_L = np.full(len(items_L), standard.min() if spread > 0 else -1.0)
    values_L[np.searchsorted(items_L, found.items_L)] = standard
    return values_L


def save_search(settings: SearchSettings, catalogue: SearchedProducts, unit_ID: Vectors, folder: Path) -> None:
    """Write settings, products and vectors, beside the encoder."""
    (folder / SETTINGS).write_text(json.dumps(asdict(settings), indent=2) + "\n", encoding="utf-8")
    table = pa.table({"product": pa.array(catalogue.keys, pa.string()), "text": pa.array(catalogue.texts, pa.string())})
    pq.write_table(table, folder / CATALOGUE)
    (folder / VECTORS).write_bytes(save({"vectors": np.ascontiguousarray(unit_ID)}))


def load_settings(folder: Path) -> SearchSettings | None:
    """Read what `fit` wrote beside the weights; None where the folder holds a bare encoder."""
    path = folder / SETTINGS
    if not path.exists():
        return None
    try:
        return SearchSettings(**parse_json(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: not settings this version can read: {str(error).splitlines()[0]}") from None


def load_catalogue(folder: Path) -> tuple[SearchedProducts, Vectors]:
    """Read the catalogue a fitted model was saved with; raise ModelError."""
    try:
        table = pq.read_table(folder / CATALOGUE)
        vectors = load_file(folder / VECTORS)["vectors"]
        catalogue = SearchedProducts(tuple(table["product"].to_pylist()), tuple(table["text"].to_pylist()))
    except (OSError, KeyError, pa.ArrowException, SafetensorError) as error:
        raise ModelError(f"{folder}: holds no catalogue that can be read: {str(error).splitlines()[0]}") from None
    if len(vectors) != len(catalogue.keys):
        raise ModelError(f"{folder}: {CATALOGUE} and {VECTORS} are of different lengths")
    if not np.isfinite(vectors).all():
        raise ModelError(f"{folder / VECTORS}: holds vectors that are no numbers: the model is damaged")
    return catalogue, vectors
