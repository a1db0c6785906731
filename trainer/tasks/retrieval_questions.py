"""The questions of a part, what answers them, and what is measured of the answers."""

# Shape suffixes, scoped to this file:
#   E = texts the encoder knows, I = products of the catalogue, Q = queries asked, D = width

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from trainer.data.name_numbers import number_names
from trainer.data.pairs import Pairs
from trainer.data.splits import Part
from trainer.jobs.schema import RetrievalJob
from trainer.learning.hard_negatives import Known
from trainer.measures.per_example import PerExample
from trainer.measures.ranked_lists import RankedList, rank_metrics
from trainer.models.hybrid_search import Engine, Found, FoundLists, SearchSettings, fuse
from trainer.models.picture_search import PictureSearch, search
from trainer.models.saved_encoder import SavedEncoder
from trainer.models.text_encoder import unit

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
    """A part's queries, those that have a relevant product or all, and the catalogue they are asked of."""

    queries_Q: Ints
    relevant: Sequence[Ints]  # places in the catalogue, by query
    products_I: Ints
    rows: Sequence[Ints]  # a query's relevant rows, which say what slice and whose it is; all where none is relevant
    without: int  # queries of the part with nothing relevant, asked or not


NOBODY: Ints = np.empty(0, dtype=np.int64)
NO_QUESTIONS = Questions(NOBODY, [], NOBODY, [], 0)


@dataclass(frozen=True, slots=True)
class Answered:
    """The two lists of every question."""

    near: FoundLists
    worded: FoundLists
    top: int  # places of a list

    def fused(self, weight: float) -> FoundLists:
        """Give one list a question, the vectors weighing *weight*."""
        near, worded = self.near, self.worded
        return FoundLists(lambda query: fuse(near.of(query), worded.of(query), weight, self.top), len(near))


def ask_part(pairs: Pairs, part: Part, relevant_from: float, *, every: bool = False) -> Questions:
    """Collect a part's questions and the catalogue, with what is judged in that part if the catalogue was cut.

    Of a query with nothing relevant no recall is defined: it is counted, and asked only where *every* query is.
    """
    rows = pairs.rows(part)
    products_I = np.union1d(np.arange(pairs.card.catalogue_size), pairs.product_id[rows])
    place = np.full(len(pairs.products), -1)
    place[products_I] = np.arange(len(products_I))
    good = rows[pairs.label[rows] >= relevant_from]
    asked_Q, known_Q = np.unique(pairs.query_id[rows]), np.unique(pairs.query_id[good])
    without = len(asked_Q) - len(known_Q)
    if every:
        alone = rows[~np.isin(pairs.query_id[rows], known_Q)]
        by_query = [*_by_query(pairs, good), *_by_query(pairs, alone)]
        by_query.sort(key=lambda rows: int(pairs.query_id[rows[0]]))
        queries_Q = asked_Q
    else:
        by_query, queries_Q = _by_query(pairs, good), known_Q
    relevant = [np.unique(place[pairs.product_id[some[pairs.label[some] >= relevant_from]]]) for some in by_query]
    return Questions(queries_Q, relevant, products_I, by_query, without)


def _by_query(pairs: Pairs, rows: Ints) -> list[Ints]:
    if not len(rows):
        return []
    order = np.argsort(pairs.query_id[rows], kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(pairs.query_id[rows[order]])) + 1)


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


def ask(
    engine: Engine, encoder: SavedEncoder, query: str, settings: SearchSettings, pictures: PictureSearch | None = None
) -> Found:
    """Answer one query from its text alone."""
    (unit_D,) = unit(encoder.embed_queries([query]))
    return search(engine, unit_D, query, settings, settings.top, pictures)


def list_values(asked: Questions, found: Iterable[Found], top: int) -> dict[str, Floats]:
    """Give nDCG@10, recall@10, recall@50 and reciprocal rank of every query within the first *top* places.

    A query with nothing relevant, where one is asked, counts as nought, as trec_eval has it.
    """
    lists = (
        RankedList(one.scores_L, np.isin(one.items_L, good).astype(np.float64), np.ones(len(good)))
        for one, good in zip(found, asked.relevant, strict=True)
    )
    found_Q = rank_metrics(lists, ndcg=(TOP,), recall=(TOP, DEEP), least=1.0, depth=top)
    return {name: np.nan_to_num(values) for name, values in found_Q.items()}


def per_query(
    pairs: Pairs, asked: Questions, values: Mapping[str, Floats], unit: Literal["query", "user", "product"]
) -> PerExample:
    """Give one row a query; its slice, and its user, is that of most of its relevant rows, the first by alphabet."""
    return PerExample(
        tuple(pairs.query_keys[query] for query in asked.queries_Q.tolist()),
        {
            name: tuple(_most_frequent([column[row] for row in rows.tolist()]) for rows in asked.rows)
            for name, column in pairs.slices.items()
        },
        np.ones(len(asked.rows)),
        dict(values),
        tuple(_most_frequent(pairs.names(rows, unit)) for rows in asked.rows),
        unit,
    )


def _most_frequent(values: Sequence[str]) -> str:
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))


def found_table(pairs: Pairs, asked: Questions, found: Iterable[Found]) -> pa.Table:
    """Give the first ten products of every query, whether each is relevant, and how many share its score."""
    rows = [
        (
            pairs.query_keys[query],
            rank,
            pairs.product_keys[asked.products_I[place]],
            float(score),
            place in set(good),
            int(np.count_nonzero(one.scores_L == score)),
        )
        for query, one, good in zip(
            asked.queries_Q.tolist(), found, map(np.ndarray.tolist, asked.relevant), strict=True
        )
        for rank, (place, score) in enumerate(zip(one.items_L[:TOP].tolist(), one.scores_L[:TOP], strict=True), 1)
    ]
    names = ("query", "rank", "product", "score", "relevant", "tied")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def collect_texts(pairs: Pairs, learnt_N: Ints, *asked: Questions) -> EncodedTexts:
    """Number the distinct texts of the products that are learnt from, refused to a learnt query, or asked for."""
    train = pairs.rows(Part.TRAIN)
    beside = train[np.isin(pairs.query_id[train], pairs.query_id[learnt_N])]
    products = np.unique(np.concatenate([pairs.product_id[beside], *(one.products_I for one in asked)]))
    distinct, place = number_names([pairs.products[product] for product in products.tolist()])
    of_product = np.full(len(pairs.products), -1)
    of_product[products] = place
    return EncodedTexts((*pairs.queries, *distinct), len(pairs.queries), of_product)


def draw_relevant(pairs: Pairs, job: RetrievalJob) -> Ints:
    """Give the rows of relevant pairs that are learnt, drawn where the job wants fewer."""
    rows = pairs.rows(Part.TRAIN)
    good = rows[pairs.label[rows] >= job.relevant]
    if job.train.pairs is None or job.train.pairs >= len(good):
        return good
    return np.sort(np.random.default_rng(job.seed).permutation(good)[: job.train.pairs])


def needed_texts(texts: EncodedTexts, asked: Questions, chosen_on: Questions) -> Tensor:
    """Give the places of the texts whose vectors will be looked at."""
    products = np.union1d(asked.products_I, chosen_on.products_I)
    queries = np.union1d(asked.queries_Q, chosen_on.queries_Q)
    places = np.unique(texts.of_product[products])
    return torch.cat([torch.from_numpy(queries), texts.products(places)])
