"""Next item: which items will a household buy on its next trip, told from texts and what it bought before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.data.card import DataCard
from trainer.data.next_item_data import read_data, source_of
from trainer.data.snapshot import Snapshot
from trainer.data.trips import Trips, collect_histories, split_trips
from trainer.errors import DataError
from trainer.jobs.data import HistoriesData, InteractionsData
from trainer.jobs.schema import DataJob, NextItemJob, TrainJob, flatten
from trainer.learning.batches import shuffled_batches
from trainer.learning.loop import ParameterGroup, Schedule, train
from trainer.learning.next_item_loss import Example, batch_loss, make_batch
from trainer.measures.ranks import TOP
from trainer.models.ease import ItemLinks, learn_links
from trainer.models.history_scorer import Scorer, load_scorer, save_scorer
from trainer.models.saved_settings import settle
from trainer.models.source import find_source
from trainer.models.text_encoder import Hidden, TextEncoder, UntrainedOutputs
from trainer.models.token_losses import note_losses, tell_losses
from trainer.task import Amount, Command, OnStep, Outcome
from trainer.tasks.memory_needs import check_memory, next_item_needs, weights_needs
from trainer.tasks.next_item_ranking import (
    CatalogueTexts,
    HeldOutTrips,
    collect_test,
    count_learned,
    distinct_texts,
    link_weights,
    measure,
    score_items,
    score_texts,
    score_without_text,
)

Ints = npt.NDArray[np.int64]

TIMED_QUERIES = 64
TUNED, SAVED, ZERO_SHOT = "tuned", "saved", "zero-shot"


@dataclass(frozen=True, slots=True)
class NextItem:
    """A job's data and model, loaded and checked: see trainer.task.Task."""

    job: NextItemJob
    snapshot: Snapshot
    texts: CatalogueTexts
    encoder: TextEncoder
    learn: Trips
    test_trips: Trips
    saved: Scorer | None

    @property
    def card(self) -> DataCard:
        return self.snapshot.card

    def facts(self) -> Mapping[str, str | int | float | bool]:
        return {**self.encoder.facts(), **flatten(self.job.score.model_dump(), "score.")}

    def story(self, command: Command) -> Mapping[str, str]:
        card, encoder = self.card, self.encoder
        layers = len(encoder.layers)
        what = (
            f"the top {layers - encoder.frozen} of {layers} layers; the lower {encoder.frozen} and the embeddings stay"
        )
        whose = card.split or f"the first trip of each from {card.test_from}"
        return {
            "tested on": f"{card.test_examples} users, {whose}, full ranking of {card.catalogue_size} items, "
            "ties by expectation",
            **({"fine-tuned": f"partly: {what} as they came"} if command == "fit" else {}),
            "data": f"{card.rows_kept} of {card.rows_in} rows, {card.distinct_texts} distinct texts, "
            f"hash {card.hash[:12]}",
            **tell_losses(card),
        }

    def amount(self) -> Amount:
        return Amount(min(self.job.train.trips, len(self.learn)) * self.job.train.epochs, "trips")

    def fit(self, on_step: OnStep) -> "ReadyNextItem":
        """Train the encoder in place."""
        rng = np.random.default_rng(self.job.seed)
        links = self._learn_links()  # before texts are read: each takes gigabytes of a large catalogue
        beginning = self._begin()
        scorer = self._fresh_scorer(beginning.vectors_ED, links)
        examples = self._draw_examples(rng)
        train_on_trips(self.encoder, beginning.hidden, scorer, examples, self.job.train, rng, on_step)
        return ReadyNextItem(self, scorer, self.encoder.encode_all(beginning.hidden), beginning.vectors_ED)

    def take_saved(self) -> "ReadyNextItem":
        links = None if self.saved else self._learn_links()
        vectors_ED = self.encoder.read_vectors(self.texts.distinct, self.job.model.cache)
        return ReadyNextItem(self, self.saved or self._fresh_scorer(vectors_ED, links), vectors_ED, None)

    def _begin(self) -> UntrainedOutputs:
        return self.encoder.run_untrained(self.texts.distinct, self.job.model.cache)

    def _learn_links(self) -> ItemLinks | None:
        score, chosen_NI = self.job.score, count_learned(self.snapshot).sign()
        if not score.links:
            return None
        return learn_links(self.snapshot.catalogue.item_ids, chosen_NI, score.link_ridge, score.link_items)

    def _fresh_scorer(self, before_ED: Tensor, links: ItemLinks | None) -> Scorer:
        # Of the vectors before training: it stands still while they move, and goes with the saved model.
        centre_D = before_ED[torch.from_numpy(self.texts.of_item)].mean(0)
        return Scorer(self.job.score, self.encoder.max_tokens, centre_D, links, self.encoder.pooling)

    def _draw_examples(self, rng: np.random.Generator) -> list[Example]:
        """Draw trips, and of each trip the items to learn; a trip with nothing before it cannot be drawn."""
        score, settings, of_item = self.job.score, self.job.train, self.texts.of_item
        trips = self.learn.take(np.sort(rng.permutation(len(self.learn))[: settings.trips]))
        histories = collect_histories(
            self.snapshot.purchases, trips, half_life=score.half_life_days, top=score.bag_items, by_text=of_item
        )
        examples = []
        for trip in range(len(trips)):
            items, weights = histories.before(trip, score.bag_items)
            damped = weights**score.power
            bought = of_item[trips.bought(trip)]
            # A few of each trip: large baskets would else be most of what is learnt.
            targets = rng.permutation(bought)[: settings.targets]
            examples.append(Example(of_item[items], damped / damped.sum(), bought, targets))
        return examples


@dataclass(frozen=True, slots=True)
class ReadyNextItem:
    """A model ready to rank: its scorer, and the catalogue's vectors after and, where it was trained, before."""

    task: NextItem
    scorer: Scorer
    vectors_ED: Tensor
    before_ED: Tensor | None

    def score(self) -> Outcome:
        """Rank the whole catalogue for every test household, beside what needs no model."""
        task, settings = self.task, self.scorer.settings
        test = collect_test(task.snapshot, task.test_trips, task.texts, settings)
        column = _slice_column(task.job)
        beside = score_without_text(task.snapshot, test, settings.factors)
        compared = {other: measure(task.snapshot, test, scores, column)[1] for other, scores in beside}
        name = SAVED if self.before_ED is None else TUNED
        if self.before_ED is not None:
            before = score_items(task.snapshot, task.texts, self.scorer, self.before_ED, test)
            compared[ZERO_SHOT] = measure(task.snapshot, test, before, column)[1]
        own = score_items(task.snapshot, task.texts, self.scorer, self.vectors_ED, test)
        table, compared[name] = measure(task.snapshot, test, own, column)
        cost = {"ms_per_query": self._time_queries(test), "model_mb": task.encoder.megabytes()}
        return Outcome(name, compared[name] | cost, compared, table)

    def save(self, folder: Path) -> None:
        """Write a model folder that `evaluate` reads."""
        self.task.encoder.save(folder)
        save_scorer(self.scorer, folder)

    def _time_queries(self, test: HeldOutTrips) -> float:
        """Give the median milliseconds from one household's history to its ten items; the catalogue is indexed."""
        task, scorer, seconds = self.task, self.scorer, []
        with torch.inference_mode():
            unit_ED, links_II = scorer.unit_vectors(self.vectors_ED), link_weights(scorer, task.snapshot.catalogue)
            for user in range(min(TIMED_QUERIES, len(test.trips))):
                began = perf_counter()
                score_UE = scorer.score(unit_ED, test.bag_UE[[user]], test.near_UE[[user]])
                recent_UI = test.recent_UI[[user]]
                scores_UI = score_texts(score_UE, task.texts, test.popularity_I, scorer, recent_UI, links_II)
                np.argsort(-scores_UI[0])[:TOP]
                seconds.append(perf_counter() - began)
        return float(np.median(seconds)) * 1000


def load(job: NextItemJob, *, training: bool) -> NextItem:
    """Load data and model, raising InputError for whatever a job cannot run with."""
    source = find_source(job.model)
    saved = load_scorer(source.folder)
    if saved is not None:
        job, saved = _as_saved(job, saved, training=training)
    source_name, snapshot = source_of(job.data), read_data(job.data)
    learn, test = split_trips(snapshot.purchases, snapshot.use, min_history_days=job.train.min_history_days)
    if not len(test):
        raise DataError(f"{source_name}: the test split is empty: no trip from {snapshot.card.test_from} on")
    if training and len(learn) < job.train.batch:
        raise DataError(
            f"{source_name}: {len(learn)} trips to learn from with {job.train.min_history_days} days behind them"
            f" are fewer than train.batch = {job.train.batch}"
        )
    trained, model = job.train.layers if training else 0, job.model
    check_memory(source.folder, weights_needs(source, job, training=training))
    encoder = TextEncoder(source, trained_layers=trained, max_tokens=model.max_tokens, pooling=model.pooling)
    texts = distinct_texts(snapshot.catalogue)
    links = bool(job.score.links) and (training or saved is None)
    sizes = (len(snapshot.purchases.user_ids), len(snapshot.catalogue))
    for stage in next_item_needs(job, encoder, texts.distinct, sizes, training=training, links=links):
        check_memory(source_name, stage)
    snapshot = replace(snapshot, card=note_losses(snapshot.card, encoder.tokenizer, {"items": texts.distinct}))
    return NextItem(job, snapshot, texts, encoder, learn, test, saved)


def _as_saved(job: NextItemJob, saved: Scorer, *, training: bool) -> tuple[NextItemJob, Scorer]:
    """Give a job as a saved model has it: how texts are read always, how items are scored where it is only scored."""
    read = {"max_tokens": saved.max_tokens, "pooling": saved.pooling}
    model = settle(job.model, read, "model", training=training, learnt=("pooling",))
    if training:
        return job.model_copy(update={"model": model}), saved
    learnt = ("link_ridge", "link_items", *(("links",) if saved.links is None else ()))
    score = settle(job.score, saved.settings.model_dump(), "score", training=False, learnt=learnt)
    return job.model_copy(update={"model": model, "score": score}), replace(saved, settings=score)


def _slice_column(job: NextItemJob) -> str:
    match job.data:
        case DataJob():
            return "department"
        case InteractionsData(items=items) | HistoriesData(items=items):
            return "group" if items is None or items.group is None else items.group


def train_on_trips(
    encoder: TextEncoder,
    hidden: Hidden,
    scorer: Scorer,
    examples: Sequence[Example],
    job: TrainJob,
    rng: np.random.Generator,
    on_step: OnStep,
) -> None:
    """Train the encoder's upper layers in place."""

    def loss_of(places: Ints) -> Tensor:
        batch = make_batch([examples[place] for place in places])
        unit_ED = scorer.unit_vectors(encoder.encode(hidden, batch.texts_E))
        return batch_loss(unit_ED, batch, scorer.settings.temperature)

    batches = shuffled_batches(len(examples), job.batch, job.epochs, rng)
    train(
        [ParameterGroup(encoder.parameters(), job.lr)],
        batches,
        loss_of,
        Schedule(job.warmup, job.weight_decay, job.clip),
        on_step,
    )
