"""The questions of a part, what answers them, and what is measured of the answers."""

# Shape suffixes, scoped to this file:
#   E = texts the encoder knows, I = products of the catalogue, Q = queries asked, D = width

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from trainer.data.pairs import Pairs
from trainer.data.splits import Part
from trainer.learning.hard_negatives import Known
from trainer.measures.per_example import PerExample
from trainer.measures.ranked_lists import Ranked, rank_metrics
from trainer.models.hybrid_search import Engine, Found, SearchSettings, fuse, make_engine
from trainer.models.text_encoder import TextEncoder, unit

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]

TOP, DEEP = 10, 50


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """What the encoder reads: every query, then the distinct texts of the products that matter here."""

    all_E: tuple[str, ...]
    queries: int
    of_product: Ints  # product -> place among the distinct texts, -1 where it does not matter

    def products(self, places: Ints) -> Tensor:
        """Give the places in all_E of some distinct product texts."""
        return torch.from_numpy(places + self.queries)


@dataclass(frozen=True, slots=True)
class Questions:
    """A part's queries that have a relevant product, and the catalogue they are asked of."""

    queries_Q: Ints
    relevant: Sequence[Ints]  # places in the catalogue, by query
    products_I: Ints
    row_Q: Ints  # a query's first relevant row, which says what slice it is in


NOBODY: Ints = np.empty(0, dtype=np.int64)
NO_QUESTIONS = Questions(NOBODY, [], NOBODY, NOBODY)


@dataclass(frozen=True, slots=True)
class Answered:
    """The two lists of every question."""

    near: Sequence[Found]
    worded: Sequence[Found]

    def fused(self, weight: float) -> list[Found]:
        """Give one list a question, the vectors weighing *weight*."""
        return [fuse(near, worded, weight) for near, worded in zip(self.near, self.worded, strict=True)]


def ask_part(pairs: Pairs, part: Part, relevant_from: float) -> Questions:
    """Collect a part's questions and the catalogue, with what is judged in that part if the catalogue was cut."""
    rows = pairs.rows(part)
    products_I = np.union1d(np.arange(pairs.card.catalogue_size), pairs.product_id[rows])
    place = np.full(len(pairs.products), -1)
    place[products_I] = np.arange(len(products_I))
    good = rows[pairs.label[rows] >= relevant_from]
    # Only who has a right answer is asked: of the others every list would be as wrong.
    queries_Q, first = np.unique(pairs.query_id[good], return_index=True)
    order = np.argsort(pairs.query_id[good], kind="stable")
    ends = np.searchsorted(pairs.query_id[good][order], queries_Q, side="right")
    relevant = [np.unique(found) for found in np.split(place[pairs.product_id[good[order]]], ends[:-1])]
    return Questions(queries_Q, relevant if len(queries_Q) else [], products_I, good[first])


def judged_before(pairs: Pairs, texts: EncodedTexts, relevant_from: float) -> Known:
    """Collect what the train rows say: which texts are relevant to a query, and which are not."""
    rows = pairs.rows(Part.TRAIN)
    text = texts.of_product[pairs.product_id[rows]]
    rows, text = rows[text >= 0], text[text >= 0]
    good = pairs.label[rows] >= relevant_from
    count = len(texts.all_E) - texts.queries
    relevant = np.unique(pairs.query_id[rows[good]] * count + text[good])
    refused: dict[int, list[int]] = {}
    for query, one in zip(pairs.query_id[rows[~good]].tolist(), text[~good].tolist(), strict=True):
        refused.setdefault(query, []).append(one)
    return Known(relevant, count, refused)


def answer(pairs: Pairs, texts: EncodedTexts, asked: Questions, vectors_ED: Tensor, top: int) -> Answered:
    """Give both lists for every question."""
    engine = make_engine(*catalogue_of(pairs, texts, asked, vectors_ED))
    unit_QD = unit(vectors_ED[torch.from_numpy(asked.queries_Q)])
    queries = [pairs.queries[query] for query in asked.queries_Q.tolist()]
    return Answered(
        [engine.by_vector(unit_D, top) for unit_D in unit_QD], [engine.by_words(query, top) for query in queries]
    )


def ask(engine: Engine, encoder: TextEncoder, query: str, settings: SearchSettings) -> Found:
    """Answer one query from its text alone."""
    (unit_D,) = unit(encoder.embed([query]))
    return fuse(engine.by_vector(unit_D, settings.top), engine.by_words(query, settings.top), settings.weight)


def catalogue_of(pairs: Pairs, texts: EncodedTexts, asked: Questions, vectors_ED: Tensor) -> tuple[Vectors, list[str]]:
    """Give the unit vectors and texts of a catalogue's products."""
    places = texts.products(texts.of_product[asked.products_I])
    return unit(vectors_ED[places]), [pairs.products[product] for product in asked.products_I.tolist()]


def list_values(asked: Questions, found: Sequence[Found]) -> dict[str, Floats]:
    """Give nDCG@10, recall@10, recall@50 and reciprocal rank of every query."""
    gains = [dict.fromkeys(places.tolist(), 1) for places in asked.relevant]
    ranked = Ranked(gains, [one.items_L for one in found])
    return rank_metrics(ranked, ndcg=(TOP,), recall=(TOP, DEEP))


def per_query(pairs: Pairs, asked: Questions, values: Mapping[str, Floats]) -> PerExample:
    """Give one row a query; its slice is that of its first relevant row."""
    rows = asked.row_Q.tolist()
    return PerExample(
        tuple(pairs.query_keys[query] for query in asked.queries_Q.tolist()),
        {name: tuple(column[row] for row in rows) for name, column in pairs.slices.items()},
        np.ones(len(rows)),
        dict(values),
    )


def found_table(pairs: Pairs, asked: Questions, found: Sequence[Found]) -> pa.Table:
    """Give the first ten products of every query, and whether each is relevant."""
    rows = [
        (pairs.query_keys[query], rank, pairs.product_keys[asked.products_I[place]], float(score), place in set(good))
        for query, one, good in zip(
            asked.queries_Q.tolist(), found, map(np.ndarray.tolist, asked.relevant), strict=True
        )
        for rank, (place, score) in enumerate(zip(one.items_L[:TOP].tolist(), one.scores_L[:TOP], strict=True), 1)
    ]
    names = ("query", "rank", "product", "score", "relevant")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
