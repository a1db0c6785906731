"""Next item: which items will a household buy on its next trip, told from texts and what it bought before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.data.card import DataCard
from trainer.data.next_item_data import ReadSnapshot, read_data, source_of
from trainer.data.scored_hash import note_held_out
from trainer.data.snapshot import Snapshot
from trainer.data.trips import Trips, collect_histories, split_trips
from trainer.errors import DataError, ModelError
from trainer.jobs.data import HistoriesData, InteractionsData
from trainer.jobs.schema import DataJob, MixJob, NextItemJob, flatten
from trainer.jobs.training import TrainJob
from trainer.learning.batches import shuffled_batches
from trainer.learning.loop import ParameterGroup, Schedule, train
from trainer.learning.next_item_loss import Example, batch_loss, make_batch
from trainer.learning.shared_vectors import SharedVectors
from trainer.measures.ranks import TOP
from trainer.models.device import PROCESSOR, Device
from trainer.models.ease import ItemLinks, read_links_or_learn
from trainer.models.history_scorer import Scorer, load_scorer, save_scorer
from trainer.models.kept_states import Hidden
from trainer.models.saved_encoder import SavedEncoder, as_tuned, open_encoder, refuse_to_tune, tell_tuned
from trainer.models.saved_settings import settle
from trainer.models.source import find_source
from trainer.models.text_encoder import TextEncoder
from trainer.models.token_losses import note_losses, tell_losses
from trainer.task import Amount, Checkpoints, Command, OnStep, Outcome
from trainer.tasks.adaptation import adapt, adapted_metrics, name_untrained, tell_adapted
from trainer.tasks.memory_needs import check_memory, check_weights, next_item_needs
from trainer.tasks.next_item_mix import Rehearsal, learn_mix, not_rehearsed, rehearse, tell_mix
from trainer.tasks.next_item_ranking import (
    CatalogueTexts,
    HeldOutTrips,
    ScoreUsers,
    collect_test,
    count_learned,
    distinct_texts,
    score_items,
)
from trainer.tasks.next_item_report import TEXTS_ALONE, report

Ints = npt.NDArray[np.int64]

TIMED_QUERIES = 64
TUNED, SAVED = "tuned", "saved"
MIXED = 1  # of the seed: what the mix draws is no matter to what the text model draws


@dataclass(frozen=True, slots=True)
class NextItem:
    """A job's data and model, loaded and checked: see trainer.task.Task."""

    job: NextItemJob
    snapshot: Snapshot
    texts: CatalogueTexts
    encoder: SavedEncoder
    learn: Trips
    test_trips: Trips
    saved: Scorer | None
    rehearsals: Sequence[Rehearsal] = ()  # what the mix is learned from

    @property
    def card(self) -> DataCard:
        return self.snapshot.card

    def facts(self) -> Mapping[str, str | int | float | bool]:
        return {**self.encoder.facts(), **flatten(self.job.score.model_dump(), "score."), **self._mix_facts()}

    def _mix_facts(self) -> dict[str, str | int | float | bool]:
        return {} if self.job.mix is None else flatten(self.job.mix.model_dump(), "mix.")

    def story(self, command: Command) -> Mapping[str, str]:
        card, others = self.card, "the lower ones and the embeddings stay as they came"
        whose = card.split or f"the first trip of each from {card.test_from}"
        return {
            "tested on": f"{card.test_examples} users, {whose}, full ranking of {card.catalogue_size} items, "
            "ties by expectation",
            **({"fine-tuned": f"partly: {tell_tuned(self.encoder)}; {others}"} if command == "fit" else {}),
            "data": f"{card.rows_kept} of {card.rows_in} rows, {card.distinct_texts} distinct texts, "
            f"hash {card.hash[:12]}",
            **({"mixed": tell_mix(self.rehearsals, self.job.mix)} if self.job.mix is not None else {}),
            **tell_adapted(self.encoder),
            **tell_losses(card),
        }

    def amount(self) -> Amount:
        return Amount(min(self.job.train.trips, len(self.learn)) * self.job.train.epochs, "trips")

    def fit(self, on_step: OnStep, checkpoints: Checkpoints) -> "ReadyNextItem":
        """Train the encoder in place."""
        rng = np.random.default_rng(self.job.seed)
        crew = as_tuned(self.encoder).device.crew
        # Before texts are read: each takes gigabytes of a large catalogue.
        links = self._learn_links() if crew.leads else None
        adapt(as_tuned(self.encoder), lambda: self.texts.distinct, self.job, on_step, checkpoints)
        beginning = as_tuned(self.encoder).run_untrained(self.texts.distinct, self.job.model.cache)
        scorer = self._fresh_scorer(beginning.vectors_ED, links)
        examples = self._draw_examples(rng)
        train_on_trips(
            as_tuned(self.encoder), beginning.hidden, scorer, examples, self.job.train, rng, on_step, checkpoints
        )
        as_tuned(self.encoder).come_together()
        vectors_ED = as_tuned(self.encoder).encode_all(beginning.hidden)
        return ReadyNextItem(self, self._with_mix(scorer, vectors_ED), vectors_ED, beginning.vectors_ED)

    def take_saved(self) -> "ReadyNextItem":
        links = None if self.saved else self._learn_links()
        vectors_ED = self.encoder.read_vectors(self.texts.distinct, self.job.model.cache)
        scorer = self.saved or self._with_mix(self._fresh_scorer(vectors_ED, links), vectors_ED)
        return ReadyNextItem(self, scorer, vectors_ED, None)

    def _with_mix(self, scorer: Scorer, vectors_ED: Tensor) -> Scorer:
        if self.job.mix is None:
            return scorer
        rng, cache = np.random.default_rng([self.job.seed, MIXED]), self.job.model.cache
        mix = learn_mix(self.snapshot, self.texts, scorer, vectors_ED, self.rehearsals, self.job.mix, rng, cache)
        return replace(scorer, mix=mix)

    def _learn_links(self) -> ItemLinks | None:
        score, chosen_NI = self.job.score, count_learned(self.snapshot).sign()
        if not score.links:
            return None
        item_ids, cache = self.snapshot.catalogue.item_ids, self.job.model.cache
        return read_links_or_learn(item_ids, chosen_NI, score.link_ridge, score.link_items, cache)

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
        models: dict[str, ScoreUsers] = {}
        texts_alone = replace(self.scorer, mix=None)
        if self.before_ED is not None:
            models[name_untrained(task.job)[0]] = score_items(
                task.snapshot, task.texts, texts_alone, self.before_ED, test
            )
        if self.scorer.mix is not None:
            models[TEXTS_ALONE] = score_items(task.snapshot, task.texts, texts_alone, self.vectors_ED, test)
        name = SAVED if self.before_ED is None else TUNED
        models[name] = score_items(task.snapshot, task.texts, self.scorer, self.vectors_ED, test)
        found = report(task.snapshot, test, models, name, settings.factors, slice_column(task.job))
        cost = {"ms_per_query": _time_queries(models[name], test), "model_mb": task.encoder.megabytes()}
        cost |= adapted_metrics(task.encoder)
        return Outcome(name, found.compared[name] | cost, found.compared, found.table, notes=found.notes)

    def save(self, folder: Path) -> None:
        """Write a model folder that `evaluate` reads."""
        self.task.encoder.save(folder)
        save_scorer(self.scorer, folder)


def _time_queries(score: ScoreUsers, test: HeldOutTrips) -> float:
    """Give the median milliseconds from one household's history to its ten items; the catalogue is indexed."""
    seconds = []
    for user in range(min(TIMED_QUERIES, len(test.trips))):
        began = perf_counter()
        np.argsort(-score(np.array([user]))[0])[:TOP]
        seconds.append(perf_counter() - began)
    return float(np.median(seconds)) * 1000


def load(job: NextItemJob, *, training: bool, device: Device = PROCESSOR, read: ReadSnapshot = read_data) -> NextItem:
    """Load data and model, raising InputError for whatever a job cannot run with."""
    source = find_source(job.model)
    refuse_to_tune(source, training=training)
    saved = load_scorer(source.folder)
    if saved is not None:
        job, saved = _as_saved(job, saved, training=training)
    source_name, snapshot = source_of(job.data), note_held_out(read(job.data))
    learn, test = split_trips(snapshot.purchases, snapshot.use, min_history_days=job.train.min_history_days)
    if not len(test):
        raise DataError(f"{source_name}: the test split is empty: no trip from {snapshot.card.test_from} on")
    rehearsals: Sequence[Rehearsal] = ()
    if job.mix is not None and (training or saved is None):
        rehearsals = rehearse(snapshot, job.mix, np.random.default_rng(job.seed))
        learn = not_rehearsed(learn, rehearsals)
    if training and len(learn) < job.train.batch:
        raise DataError(
            f"{source_name}: {len(learn)} trips to learn from with {job.train.min_history_days} days behind them"
            f"{' that are not rehearsed' if rehearsals else ''} are fewer than train.batch = {job.train.batch}"
        )
    check_weights(source, job, device.crew, training=training)
    reading: dict[str, Any] = {"max_tokens": job.model.max_tokens, "pooling": job.model.pooling, "device": device}
    encoder = (
        TextEncoder(source, trained_layers=job.train.layers, **reading) if training else open_encoder(source, **reading)
    )
    texts = distinct_texts(snapshot.catalogue)
    links = bool(job.score.links) and (training or saved is None)
    sizes = (len(snapshot.purchases.user_ids), len(snapshot.catalogue))
    rehearsed = sum(len(one.trips) for one in rehearsals)
    for stage in next_item_needs(
        job, encoder, texts.distinct, sizes, training=training, links=links, rehearsed=rehearsed
    ):
        check_memory(source_name, stage)
    snapshot = replace(snapshot, card=note_losses(snapshot.card, encoder.tokenizer, {"items": texts.distinct}))
    return NextItem(job, snapshot, texts, encoder, learn, test, saved, rehearsals)


def _as_saved(job: NextItemJob, saved: Scorer, *, training: bool) -> tuple[NextItemJob, Scorer]:
    """Give a job as a saved model has it: how texts are read always, how items are scored where it is only scored."""
    read = {"max_tokens": saved.max_tokens, "pooling": saved.pooling}
    model = settle(job.model, read, "model", training=training, learnt=("pooling",))
    if training:
        return job.model_copy(update={"model": model}), saved
    learnt = ("link_ridge", "link_items", *(("links",) if saved.links is None else ()))
    score = settle(job.score, saved.settings.model_dump(), "score", training=False, learnt=learnt)
    update = {"model": model, "score": score, "mix": _mix_as_saved(job, saved)}
    return job.model_copy(update=update), replace(saved, settings=score)


def _mix_as_saved(job: NextItemJob, saved: Scorer) -> MixJob | None:
    if saved.mix is None:
        if job.mix is not None:
            raise ModelError("mix: the saved model was fitted without it: leave it out, or fit")
        return None
    fitted = saved.mix.settings.model_dump()
    return settle(job.mix or MixJob(), fitted, "mix", training=False, learnt=tuple(fitted))


def slice_column(job: NextItemJob) -> str:
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
    checkpoints: Checkpoints | None = None,
) -> None:
    """Train the encoder's upper layers in place."""
    shared = SharedVectors(encoder.device.crew, partial(encoder.encode, hidden))

    def loss_of(places: Ints, parts: int = 1) -> Tensor:
        shared.begin(places)
        batch = make_batch([examples[place] for place in places], encoder.device.put)
        unit_ED = scorer.unit_vectors(shared.encode("items", batch.texts_E, parts))
        return shared.one_of_all(batch_loss(unit_ED, batch, scorer.settings.temperature))

    batches = shuffled_batches(len(examples), job.batch, job.epochs, rng)
    train(
        [ParameterGroup(encoder.parameters(), job.lr)],
        batches,
        loss_of,
        Schedule(job.warmup, job.weight_decay, job.clip),
        on_step,
        checkpoints,
        in_parts=lambda places, parts: iter([loss_of(places, parts)]),
        parts=job.accumulate,
        device=encoder.device,
    )
