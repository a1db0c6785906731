"""Retrieval: which products of a catalogue answer a query, found by vectors, by words, and by both."""

# Shape suffixes, scoped to this file:
#   E = texts the encoder knows, N = pairs to learn, I = products of the catalogue, Q = queries asked, D = width

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from trainer.data.card import DataCard
from trainer.data.pairs import Pairs, Part, read_pairs
from trainer.errors import DataError, ModelError
from trainer.jobs.schema import RetrievalJob
from trainer.learning.batches import shuffled_batches
from trainer.learning.contrastive_loss import contrast_loss, make_contrast
from trainer.learning.hard_negatives import Known, mine_negatives
from trainer.learning.loop import Group, Pace, train
from trainer.measures.per_example import PerExample, aggregate
from trainer.measures.ranked_lists import Ranked, rank_metrics
from trainer.models.hybrid_search import (
    SETTINGS,
    Catalogue,
    Engine,
    Found,
    Settings,
    fuse,
    load_settings,
    make_engine,
    save_search,
)
from trainer.models.text_encoder import Beginning, TextEncoder, find_model
from trainer.task import Amount, Command, OnStep, Outcome

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]

BM25, ZERO_SHOT, ZERO_SHOT_FUSED = "bm25", "zero-shot", "zero-shot fused"
VECTORS, FUSED = "vectors", "fused"
TOP, DEEP = 10, 50
WEIGHTS = np.linspace(0, 1, 11)
EVEN = 0.5  # where no valid rows choose
FOUND = "found.parquet"
TIMED_QUERIES = 64


@dataclass(frozen=True, slots=True)
class Texts:
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
        return [fuse(near, worded, weight) for near, worded in zip(self.near, self.worded, strict=True)]


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A job's pairs and model, loaded and checked: see trainer.task.Task."""

    job: RetrievalJob
    pairs: Pairs
    texts: Texts
    learnt_N: Ints  # rows of relevant pairs
    asked: Questions
    chosen_on: Questions  # the valid rows' questions, perhaps none
    encoder: TextEncoder
    saved: Settings | None

    @property
    def card(self) -> DataCard:
        return self.pairs.card

    def facts(self) -> Mapping[str, str | int | float | bool]:
        return {**self.encoder.source.facts(), "model.frozen_layers": self.encoder.frozen}

    def story(self, command: Command) -> Mapping[str, str]:
        layers = len(self.encoder.layers)
        what = f"the top {layers - self.encoder.frozen} of {layers} layers, the rest as they came"
        return {
            "tested on": f"{len(self.asked.queries_Q)} queries of the {self.job.part} rows with a product of "
            f"{self.job.relevant:g} or more, over a catalogue of {len(self.asked.products_I)}",
            **({"fine-tuned": f"{what}; {len(self.learnt_N)} relevant pairs"} if command == "fit" else {}),
            "data": f"{self.card.rows_kept} of {self.card.rows_in} rows, hash {self.card.hash[:12]}",
        }

    def amount(self) -> Amount:
        return Amount(len(self.learnt_N) * self.job.train.epochs, "pairs")

    def fit(self, on_step: OnStep) -> "ReadyRetrieval":
        """Train the encoder in place, then choose the weight of the fusion on the valid rows."""
        beginning = self._begin()
        before = self._settings(beginning.vectors_ED, self.chosen_on)
        self._train(beginning, on_step)
        needed = self._needed_texts()
        vectors_ED = beginning.vectors_ED.clone()
        vectors_ED[needed] = self.encoder.encode_some(beginning.hidden, needed)
        return ReadyRetrieval(self, self._settings(vectors_ED, self.chosen_on), vectors_ED, beginning, before)

    def take_saved(self) -> "ReadyRetrieval":
        beginning = self._begin()
        vectors_ED = beginning.vectors_ED
        saved = self.saved or self._settings(vectors_ED, self.chosen_on)
        return ReadyRetrieval(self, saved, vectors_ED, None, None)

    def _begin(self) -> Beginning:
        return self.encoder.begin(self.texts.all_E, self.job.model.cache)

    def _train(self, beginning: Beginning, on_step: OnStep) -> None:
        job, rng = self.job.train, np.random.default_rng(self.job.seed)
        query_N = self.pairs.query_id[self.learnt_N]
        text_N = self.texts.of_product[self.pairs.product_id[self.learnt_N]]
        known = judged_before(self)
        negatives = self._mine(beginning, query_N, text_N, known, rng)
        hidden = beginning.hidden
        batches = shuffled_batches(len(query_N), job.batch, job.epochs, rng)

        def loss_of(places: Ints) -> Tensor:
            contrast = make_contrast(query_N[places], text_N[places], negatives[places], known)
            query_QD = self.encoder.encode(hidden, torch.from_numpy(contrast.queries_Q))
            text_CD = self.encoder.encode(hidden, self.texts.products(contrast.texts_C))
            return contrast_loss(query_QD, text_CD, contrast, job.temperature)

        groups = [Group(self.encoder.parameters(), job.lr)]
        train(groups, batches, loss_of, Pace(job.warmup, job.weight_decay, job.clip), on_step)

    def _mine(self, beginning: Beginning, query_N: Ints, text_N: Ints, known: Known, rng: np.random.Generator) -> Ints:
        unit_ED = unit(beginning.vectors_ED)
        product_texts = self.texts.all_E[self.texts.queries :]
        engine = make_engine(unit_ED[self.texts.queries :], product_texts)
        asked = {query: unit_ED[query] for query in np.unique(query_N).tolist()}
        return mine_negatives(
            query_N,
            text_N,
            engine,
            self.pairs.queries,
            asked,
            known,
            each=self.job.train.negatives,
            margin=self.job.train.margin,
            rng=rng,
        )

    def _settings(self, vectors_ED: Tensor, chosen_on: Questions) -> Settings:
        weight = self.job.search.weight
        if weight is None:
            weight = EVEN
            if len(chosen_on.queries_Q):
                answered = answer(self, chosen_on, vectors_ED, self.job.search.top)
                gained = [self._ndcg(chosen_on, answered.fused(float(one))) for one in WEIGHTS]
                weight = round(float(WEIGHTS[int(np.argmax(gained))]), 2)
        return Settings(self.encoder.max_tokens, self.job.search.top, weight, self.job.data.spelling)

    @staticmethod
    def _ndcg(asked: Questions, found: Sequence[Found]) -> float:
        return float(np.mean(list_values(asked, found)[f"ndcg_at_{TOP}"]))

    def _needed_texts(self) -> Tensor:
        products = np.union1d(self.asked.products_I, self.chosen_on.products_I)
        queries = np.union1d(self.asked.queries_Q, self.chosen_on.queries_Q)
        places = np.unique(self.texts.of_product[products])
        return torch.cat([torch.from_numpy(queries), self.texts.products(places)])


@dataclass(frozen=True, slots=True)
class ReadyRetrieval:
    task: Retrieval
    settings: Settings
    vectors_ED: Tensor
    beginning: Beginning | None  # before training, where there was any
    before: Settings | None

    def score(self) -> Outcome:
        """Ask every question of the whole catalogue, beside what needs no training."""
        task, top = self.task, max(self.settings.top, DEEP)
        answered = answer(task, task.asked, self.vectors_ED, top)
        lists = {BM25: list(answered.worded)}
        if self.beginning is not None and self.before is not None:
            earlier = answer(task, task.asked, self.beginning.vectors_ED, top)
            lists |= {ZERO_SHOT: list(earlier.near), ZERO_SHOT_FUSED: earlier.fused(self.before.weight)}
        lists |= {VECTORS: list(answered.near), FUSED: answered.fused(self.settings.weight)}
        values = {name: list_values(task.asked, found) for name, found in lists.items()}
        table = per_query(task, values[FUSED])
        compared = {name: {m: float(v.mean()) for m, v in found.items()} for name, found in values.items()}
        cost = {
            "ms_per_query": self._time_queries(),
            "model_mb": task.encoder.megabytes(),
            "vector_weight": self.settings.weight,
        }
        tables = {FOUND: found_table(task, lists[FUSED])}
        return Outcome(FUSED, aggregate(table) | cost, compared, table, tables=tables)

    def save(self, folder: Path) -> None:
        """Write the encoder, and the catalogue with its vectors, for `evaluate` and `recommend`."""
        task = self.task
        task.encoder.save(folder)
        unit_ID, texts = catalogue_of(task, task.asked, self.vectors_ED)
        keys = tuple(task.pairs.product_keys[product] for product in task.asked.products_I.tolist())
        save_search(self.settings, Catalogue(keys, tuple(texts)), unit_ID, folder)

    def _time_queries(self) -> float:
        """Give the median milliseconds from a query's text to its ten products; the catalogue is indexed."""
        task = self.task
        engine = make_engine(*catalogue_of(task, task.asked, self.vectors_ED))
        seconds = []
        for query in task.asked.queries_Q[:TIMED_QUERIES].tolist():
            began = perf_counter()
            ask(engine, task.encoder, task.pairs.queries[query], self.settings)
            seconds.append(perf_counter() - began)
        return float(np.median(seconds)) * 1000


def load(job: RetrievalJob, *, training: bool) -> Retrieval:
    """Load pairs and model, raising InputError for whatever a job cannot run with."""
    pairs = read_pairs(job.data)
    if pairs.classes:
        raise DataError(f"{job.data.path}: labels are words; retrieval wants numbers, relevant from {job.relevant:g}")
    asked = ask_part(pairs, job, Part(job.part))
    if not len(asked.queries_Q):
        raise DataError(f"{job.data.path}: no {job.part} row has a label of relevant = {job.relevant:g} or more")
    learnt_N = _drawn(pairs, job) if training else np.empty(0, dtype=np.int64)
    if training and len(learnt_N) < job.train.batch:
        raise DataError(
            f"{job.data.path}: {len(learnt_N)} train rows with a label of relevant = {job.relevant:g} or more are"
            f" fewer than train.batch = {job.train.batch}"
        )
    source = find_model(job.model)
    saved = load_settings(source.folder)
    if not training and saved is None and (source.folder / "relevance.json").exists():
        raise ModelError(f"{source.folder}: judges pairs and finds no products; it holds no {SETTINGS}")
    choosing = job.search.weight is None and (training or saved is None)
    chosen_on = ask_part(pairs, job, Part.VALID) if choosing else NO_QUESTIONS
    max_tokens = job.model.max_tokens if saved is None else saved.max_tokens
    encoder = TextEncoder(source, trained_layers=job.train.layers if training else 0, max_tokens=max_tokens)
    return Retrieval(
        job, pairs, _collect_texts(pairs, learnt_N, asked, chosen_on), learnt_N, asked, chosen_on, encoder, saved
    )


def ask_part(pairs: Pairs, job: RetrievalJob, part: Part) -> Questions:
    """Collect a part's questions and the catalogue, with what is judged in that part if the catalogue was cut."""
    rows = pairs.rows(part)
    products_I = np.union1d(np.arange(pairs.card.catalogue_size), pairs.product_id[rows])
    place = np.full(len(pairs.products), -1)
    place[products_I] = np.arange(len(products_I))
    good = rows[pairs.label[rows] >= job.relevant]
    queries_Q, first = np.unique(pairs.query_id[good], return_index=True)
    order = np.argsort(pairs.query_id[good], kind="stable")
    ends = np.searchsorted(pairs.query_id[good][order], queries_Q, side="right")
    relevant = [np.unique(found) for found in np.split(place[pairs.product_id[good[order]]], ends[:-1])]
    return Questions(queries_Q, relevant if len(queries_Q) else [], products_I, good[first])


def judged_before(task: Retrieval) -> Known:
    """Collect what the train rows say: which texts are relevant to a query, and which are not."""
    pairs, texts = task.pairs, task.texts
    rows = pairs.rows(Part.TRAIN)
    text = texts.of_product[pairs.product_id[rows]]
    rows, text = rows[text >= 0], text[text >= 0]
    good = pairs.label[rows] >= task.job.relevant
    count = len(texts.all_E) - texts.queries
    relevant = np.unique(pairs.query_id[rows[good]] * count + text[good])
    refused: dict[int, list[int]] = {}
    for query, one in zip(pairs.query_id[rows[~good]].tolist(), text[~good].tolist(), strict=True):
        refused.setdefault(query, []).append(one)
    return Known(relevant, count, refused)


def answer(task: Retrieval, asked: Questions, vectors_ED: Tensor, top: int) -> Answered:
    """Give both lists for every question."""
    engine = make_engine(*catalogue_of(task, asked, vectors_ED))
    unit_QD = unit(vectors_ED[torch.from_numpy(asked.queries_Q)])
    queries = [task.pairs.queries[query] for query in asked.queries_Q.tolist()]
    return Answered(
        [engine.by_vector(unit_D, top) for unit_D in unit_QD], [engine.by_words(query, top) for query in queries]
    )


def ask(engine: Engine, encoder: TextEncoder, query: str, settings: Settings) -> Found:
    """Answer one query from its text alone."""
    (unit_D,) = unit(encoder.embed([query]))
    return fuse(engine.by_vector(unit_D, settings.top), engine.by_words(query, settings.top), settings.weight)


def catalogue_of(task: Retrieval, asked: Questions, vectors_ED: Tensor) -> tuple[Vectors, list[str]]:
    """Give the unit vectors and texts of a catalogue's products."""
    places = task.texts.products(task.texts.of_product[asked.products_I])
    return unit(vectors_ED[places]), [task.pairs.products[product] for product in asked.products_I.tolist()]


def list_values(asked: Questions, found: Sequence[Found]) -> dict[str, Floats]:
    gains = [dict.fromkeys(places.tolist(), 1) for places in asked.relevant]
    ranked = Ranked(gains, [one.items_L for one in found])
    return rank_metrics(ranked, ndcg=(TOP,), recall=(TOP, DEEP))


def per_query(task: Retrieval, values: Mapping[str, Floats]) -> PerExample:
    """Give one row a query; its slice is that of its first relevant row."""
    pairs, rows = task.pairs, task.asked.row_Q.tolist()
    return PerExample(
        tuple(pairs.query_keys[query] for query in task.asked.queries_Q.tolist()),
        {name: tuple(column[row] for row in rows) for name, column in pairs.slices.items()},
        np.ones(len(rows)),
        dict(values),
    )


def found_table(task: Retrieval, found: Sequence[Found]) -> pa.Table:
    """Give the first ten products of every query, and whether each is relevant."""
    asked, pairs = task.asked, task.pairs
    rows = [
        (pairs.query_keys[query], rank, pairs.product_keys[asked.products_I[place]], float(score), place in set(good))
        for query, one, good in zip(
            asked.queries_Q.tolist(), found, map(np.ndarray.tolist, asked.relevant), strict=True
        )
        for rank, (place, score) in enumerate(zip(one.items_L[:TOP].tolist(), one.scores_L[:TOP], strict=True), 1)
    ]
    names = ("query", "rank", "product", "score", "relevant")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def unit(vectors: Tensor) -> Vectors:
    return np.asarray(torch.nn.functional.normalize(vectors, dim=1).numpy(), dtype=np.float32)


def _drawn(pairs: Pairs, job: RetrievalJob) -> Ints:
    rows = pairs.rows(Part.TRAIN)
    good = rows[pairs.label[rows] >= job.relevant]
    if job.train.pairs is None or job.train.pairs >= len(good):
        return good
    return np.sort(np.random.default_rng(job.seed).permutation(good)[: job.train.pairs])


def _collect_texts(pairs: Pairs, learnt_N: Ints, *asked: Questions) -> Texts:
    """Number the distinct texts of the products that are learnt from, refused to a learnt query, or asked for."""
    train = pairs.rows(Part.TRAIN)
    beside = train[np.isin(pairs.query_id[train], pairs.query_id[learnt_N])]
    products = np.unique(np.concatenate([pairs.product_id[beside], *(one.products_I for one in asked)]))
    distinct, place = np.unique(np.array([pairs.products[product] for product in products]), return_inverse=True)
    of_product = np.full(len(pairs.products), -1)
    of_product[products] = place
    return Texts((*pairs.queries, *(str(text) for text in distinct)), len(pairs.queries), of_product)
