"""Retrieval: which products of a catalogue answer a query, found by vectors, by words, and by both."""

# Shape suffixes, scoped to this file:
#   E = texts the encoder knows, N = pairs to learn, I = products of the catalogue, Q = queries asked, D = width

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from trainer.data.card import DataCard
from trainer.data.pairs import Pairs, ReadPairs, read_pairs
from trainer.data.scored_hash import note_judged
from trainer.data.splits import Part
from trainer.errors import DataError, ModelError
from trainer.jobs.schema import RetrievalJob, flatten
from trainer.measures.per_example import aggregate
from trainer.measures.undefined import tell_without
from trainer.models.device import PROCESSOR, Device
from trainer.models.hybrid_search import SETTINGS, SearchedProducts, SearchSettings, load_settings, save_search
from trainer.models.saved_encoder import SavedEncoder, as_tuned, open_encoder, refuse_to_tune, tell_tuned
from trainer.models.saved_settings import settle_search
from trainer.models.source import find_source
from trainer.models.text_encoder import TextEncoder
from trainer.models.token_losses import note_losses, tell_losses
from trainer.task import Amount, Checkpoints, Command, OnStep, Outcome
from trainer.tasks.adaptation import adapt, adapted_metrics, known_texts, name_untrained, tell_adapted
from trainer.tasks.catalogue_indexes import CatalogueIndexes, CatalogueWords
from trainer.tasks.fusion_weights import choose_weight
from trainer.tasks.memory_needs import check_memory, check_weights, retrieval_needs
from trainer.tasks.retrieval_pictures import (
    JobPictures,
    PlacedPictures,
    TextAnswers,
    WeighedPictures,
    chance,
    open_pictures,
    settle_pictures,
    texts_there,
)
from trainer.tasks.retrieval_questions import (
    DEEP,
    NO_QUESTIONS,
    EncodedTexts,
    Questions,
    ask,
    ask_part,
    collect_texts,
    draw_relevant,
    found_table,
    list_values,
    needed_texts,
    per_query,
)
from trainer.tasks.retrieval_training import TextLesson, train_encoder
from trainer.tasks.valid_losses import check_valid_rows

Ints = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]

BM25, VECTORS, FUSED = "bm25", "vectors", "fused"
CHANCE, TEXTS, PICTURES = "chance", "fused without pictures", "pictures"
FOUND = "found.parquet"
TIMED_QUERIES = 64


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A job's pairs and model, loaded and checked: see trainer.task.Task."""

    job: RetrievalJob
    pairs: Pairs
    texts: EncodedTexts
    learnt_N: Ints  # rows of relevant pairs
    asked: Questions
    chosen_on: Questions  # the valid rows' questions, perhaps none
    encoder: SavedEncoder
    words: CatalogueWords
    pictures: JobPictures | None = None

    @property
    def card(self) -> DataCard:
        return self.pairs.card

    def facts(self) -> Mapping[str, str | int | float | bool]:
        search = flatten(self.job.search.model_dump(), "search.")
        shown = {} if self.pictures is None else self.pictures.facts()
        return {**self.encoder.facts(), **shown, **search, "data.spelling": self.job.data.spelling}

    def story(self, command: Command) -> Mapping[str, str]:
        learnt = f"the rest as they came; {len(self.learnt_N)} relevant pairs"
        return {
            "tested on": f"{len(self.asked.queries_Q)} queries of the {self.job.part} rows with a product of "
            f"{self.job.relevant:g} or more, over a catalogue of {len(self.asked.products_I)}",
            **({"fine-tuned": f"{tell_tuned(self.encoder)}, {learnt}"} if command == "fit" else {}),
            "data": f"{self.card.rows_kept} of {self.card.rows_in} rows, hash {self.card.hash[:12]}",
            **tell_adapted(self.encoder),
            **({} if self.pictures is None else self.pictures.story(self.pairs, fits=command == "fit")),
            **tell_losses(self.card),
        }

    def amount(self) -> Amount:
        shown = 0 if self.pictures is None else len(self.pictures.learnt_N) * self.pictures.job.epochs
        return Amount(len(self.learnt_N) * self.job.train.epochs + shown, "pairs")

    def fit(self, on_step: OnStep, checkpoints: Checkpoints) -> "ReadyRetrieval":
        """Train the encoder in place, then choose the weight of the fusion on the valid rows."""
        adapt(as_tuned(self.encoder), partial(known_texts, self.pairs), self.job, on_step, checkpoints)
        beginning = as_tuned(self.encoder).run_untrained(self.texts.all_E, self.job.model.cache)
        untrained = CatalogueIndexes(self.words, beginning.vectors_ED)
        lesson = TextLesson(self.job, self.pairs, self.texts, as_tuned(self.encoder), beginning.hidden)
        steps, placed = 0, None
        if len(self.learnt_N):  # none where products have pictures alone
            steps = train_encoder(lesson, self.learnt_N, untrained, on_step, checkpoints)
        if self.pictures is not None:
            placed = self.pictures.fit(lesson, steps, on_step, checkpoints)
        as_tuned(self.encoder).come_together()
        # The untrained model is compared at its own weight: at the tuned one's it would lose for nothing.
        before = self._settings(untrained)
        # Training moved every vector; these are the ones that will be looked at.
        needed = needed_texts(self.texts, self.asked, self.chosen_on)
        vectors_ED = beginning.vectors_ED.clone()
        vectors_ED[needed] = as_tuned(self.encoder).encode_some(beginning.hidden, needed)
        tuned = CatalogueIndexes(self.words, vectors_ED)
        settings = self._settings(tuned)
        return ReadyRetrieval(self, settings, tuned, untrained, before, self._weigh(placed, tuned, settings))

    def take_saved(self) -> "ReadyRetrieval":
        return self.take(self.encoder.read_vectors(self.texts.all_E, self.job.model.cache, self.texts.queries))

    def take(self, vectors_ED: Tensor) -> "ReadyRetrieval":
        """Take some vectors of all texts as the encoder's."""
        # With a saved model the job's weight is that model's, unless the job gives one: nothing is chosen anew.
        indexes = CatalogueIndexes(self.words, vectors_ED)
        settings = self._settings(indexes)
        placed = None if self.pictures is None else self.pictures.take_saved(self.pairs)
        return ReadyRetrieval(self, settings, indexes, None, None, self._weigh(placed, indexes, settings))

    def _settings(self, indexes: CatalogueIndexes) -> SearchSettings:
        weight, chosen_on = self.job.search.weight, self.chosen_on
        if weight is None:
            top = self.job.search.top
            weight = choose_weight(chosen_on, lambda: indexes.answer(chosen_on, top).fused, top)
        how, job = self.encoder, self.job
        return SearchSettings(how.max_tokens, job.search.top, weight, job.data.spelling, how.pooling)

    def _weigh(
        self, placed: PlacedPictures | None, indexes: CatalogueIndexes, settings: SearchSettings
    ) -> WeighedPictures | None:
        if self.pictures is None or placed is None:
            return None
        texts = partial(_text_answers, indexes, self.chosen_on, settings, settings.top)
        return self.pictures.weigh(placed, self.chosen_on, texts, settings.top)


@dataclass(frozen=True, slots=True)
class ReadyRetrieval:
    task: Retrieval
    settings: SearchSettings
    indexes: CatalogueIndexes
    untrained: CatalogueIndexes | None  # before training, where there was any
    before: SearchSettings | None
    pictures: WeighedPictures | None = None

    def score(self) -> Outcome:
        """Ask every question of the whole catalogue, beside what needs no training."""
        task, top = self.task, max(self.settings.top, DEEP)
        answered = self.indexes.answer(task.asked, top)
        lists = {BM25: answered.worded}
        if self.untrained is not None and self.before is not None:
            earlier = self.untrained.answer(task.asked, top)
            lists |= zip(name_untrained(task.job), (earlier.near, earlier.fused(self.before.weight)), strict=True)
        lists |= {VECTORS: answered.near, FUSED: answered.fused(self.settings.weight)}
        if self.pictures is not None:
            texts = _text_answers(self.indexes, task.asked, self.settings, top)
            seen, fused = self.pictures.lists(task.asked, texts, top)
            lists |= {TEXTS: texts.lists, PICTURES: seen, FUSED: fused}
        values = {name: list_values(task.asked, found, top) for name, found in lists.items()}
        table = per_query(task.pairs, task.asked, values[FUSED], task.job.unit)
        compared = {name: {m: float(v.mean()) for m, v in found.items()} for name, found in values.items()}
        if self.pictures is not None:
            # Maps that learnt nothing put pictures in no order: chance is what they would have.
            compared = {CHANCE: chance(task.asked), **compared}
        compared[FUSED] = compared.pop(FUSED)  # the judged one last: its intervals stand under it
        cost = {
            "ms_per_query": self._time_queries(),
            "model_mb": task.encoder.megabytes(),
            "vector_weight": self.settings.weight,
            "queries_without_relevant": float(task.asked.without),
            **adapted_metrics(task.encoder),
            **({} if self.pictures is None else self.pictures.metrics(task.card)),
        }
        tables = {FOUND: found_table(task.pairs, task.asked, lists[FUSED])}
        notes = tell_without(task.asked.without, task.job.nothing_relevant)
        return Outcome(FUSED, aggregate(table) | cost, compared, table, tables=tables, notes=notes)

    def save(self, folder: Path) -> None:
        """Write the encoder, and the catalogue with its vectors, for `evaluate` and `recommend`."""
        task = self.task
        task.encoder.save(folder)
        products, pairs = task.asked.products_I.tolist(), task.pairs
        keys, texts = (tuple(map(column.__getitem__, products)) for column in (pairs.product_keys, pairs.products))
        save_search(self.settings, SearchedProducts(keys, texts), self.indexes.of_catalogue(task.asked).unit_ID, folder)
        if self.pictures is not None:
            self.pictures.save(task.asked, folder)

    def _time_queries(self) -> float:
        """Give the median milliseconds from a query's text to its ten products; the catalogue is indexed."""
        task = self.task
        engine = self.indexes.of_catalogue(task.asked)
        pictures = None if self.pictures is None else self.pictures.search(task.asked)
        seconds = []
        for query in task.asked.queries_Q[:TIMED_QUERIES].tolist():
            began = perf_counter()
            ask(engine, task.encoder, task.pairs.queries[query], self.settings, pictures)
            seconds.append(perf_counter() - began)
        return float(np.median(seconds)) * 1000


def _text_answers(indexes: CatalogueIndexes, asked: Questions, settings: SearchSettings, top: int) -> TextAnswers:
    """Answer some questions by the texts alone."""
    return TextAnswers(indexes.answer(asked, top).fused(settings.weight), indexes.unit_queries(asked.queries_Q))


def load(
    job: RetrievalJob, *, training: bool, device: Device = PROCESSOR, weigh: bool = False, read: ReadPairs = read_pairs
) -> Retrieval:
    """Load pairs and model, raising InputError for whatever a job cannot run with.

    Whoever wants to *weigh* the two lists anew has the valid rows' questions, though the saved model has a weight.
    """
    source = find_source(job.model)
    refuse_to_tune(source, training=training)
    saved = load_settings(source.folder)
    if not training and saved is None and (source.folder / "relevance.json").exists():
        raise ModelError(f"{source.folder}: judges pairs and finds no products; it holds no {SETTINGS}")
    if saved is not None:
        job = settle_search(job, saved, training=training)
    job, saved_pictures = settle_pictures(job, source.folder, training=training)
    images = job.model.images
    pairs = read(job.data)
    if pairs.classes:
        raise DataError(
            f"{job.data.path}: labels are words: data.grades says what each is worth, relevant from {job.relevant:g}"
        )
    asked = ask_part(pairs, Part(job.part), job.relevant, every=job.nothing_relevant == "zero")
    if not any(len(places) for places in asked.relevant):
        raise DataError(f"{job.data.path}: no {job.part} row has a label of relevant = {job.relevant:g} or more")
    drawn_N = draw_relevant(pairs, job) if training else np.empty(0, dtype=np.int64)
    learnt_N = drawn_N if images is None else drawn_N[texts_there(pairs)[pairs.product_id[drawn_N]]]
    if training and len(learnt_N) < job.train.batch and (images is None or len(learnt_N)):
        raise DataError(
            f"{job.data.path}: {len(learnt_N)} train rows with a label of relevant = {job.relevant:g} or more are"
            f" fewer than train.batch = {job.train.batch}"
        )
    if weigh:
        job = job.model_copy(update={"search": job.search.model_copy(update={"weight": None})})
    check_valid_rows(job, pairs)
    weighs = job.search.weight is None or (images is not None and images.weight is None)
    chooses = weighs or job.train.early_stop
    chosen_on = ask_part(pairs, Part.VALID, job.relevant) if chooses else NO_QUESTIONS
    check_weights(source, job, device.crew, training=training)
    reading: dict[str, Any] = {"max_tokens": job.model.max_tokens, "pooling": job.model.pooling, "device": device}
    encoder = (
        TextEncoder(source, trained_layers=job.train.layers, **reading) if training else open_encoder(source, **reading)
    )
    texts = collect_texts(pairs, drawn_N, asked, chosen_on)
    needs = retrieval_needs(job, encoder, texts.all_E, len(asked.products_I), training=training)
    check_memory(job.data.path, needs)
    kinds = {"queries": pairs.queries, "products": pairs.products}
    pictures, pairs = open_pictures(job, pairs, saved_pictures, drawn_N, training=training, device=device)
    pairs = note_judged(pairs, Part(job.part), asked.products_I.tolist())
    pairs = replace(pairs, card=note_losses(pairs.card, encoder.tokenizer, kinds))
    return Retrieval(job, pairs, texts, learnt_N, asked, chosen_on, encoder, CatalogueWords(pairs, texts), pictures)
