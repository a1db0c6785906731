"""Next item: which items will a household buy on its next trip, told from texts and what it bought before."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from trainer.data.baskets import take_baskets
from trainer.data.card import DataCard
from trainer.data.histories import read_histories
from trainer.data.interactions import read_interactions
from trainer.data.snapshot import LEARN, Catalogue, Snapshot, read_snapshot
from trainer.data.trips import Histories, Trips, collect_histories, split_trips
from trainer.errors import DataError
from trainer.jobs.data import HistoriesData, InteractionsData
from trainer.jobs.schema import DataJob, NextItemJob, ScoreJob, TrainJob
from trainer.learning.batches import shuffled_batches
from trainer.learning.loop import Group, Pace, train
from trainer.learning.next_item_loss import Example, batch_loss, make_batch
from trainer.measures.per_example import PerExample, aggregate, gather_examples
from trainer.measures.ranks import TOP, Scores, expected_coverage, rank_targets, score_ranks
from trainer.models.collaborative_filtering import count_pairs, fit_factors, item_neighbours
from trainer.models.ease import learn_links
from trainer.models.history_scorer import Scorer, load_scorer, save_scorer, spread_history
from trainer.models.text_encoder import Beginning, Hidden, TextEncoder, find_model
from trainer.task import Amount, Command, OnStep, Outcome

Ints = npt.NDArray[np.int64]

TIMED_QUERIES = 64
EVERYTHING = "all"  # the slice of items without a group
TUNED = "tuned"
SAVED = "saved"
PERSONAL = "personal frequency"
NEIGHBOURS = "item neighbours"
FACTORS = "ALS"
POPULARITY = "popularity"
ZERO_SHOT = "zero-shot"


@dataclass(frozen=True, slots=True)
class Texts:
    """The distinct texts of a catalogue, in order of the alphabet, and which of them each item has."""

    distinct: tuple[str, ...]
    of_item: Ints


@dataclass(frozen=True, slots=True)
class Test:
    """Everything known before the test trips, and the trips."""

    trips: Trips
    bag_UE: Tensor
    near_UE: Tensor
    user_N: Ints  # of each target, a position among the test trips
    counts_UI: Scores  # how often a user chose an item before the trip
    recent_UI: sparse.csr_array  # weights of the history's items, summing to one a row
    popularity_I: npt.NDArray[np.float64]  # times chosen in what is learned from, plus one
    repeats: bool  # an item of the history may come again


@dataclass(frozen=True, slots=True)
class Task:
    """A job's data and model, loaded and checked."""

    snapshot: Snapshot
    texts: Texts
    encoder: TextEncoder
    learn: Trips
    test_trips: Trips
    saved_scorer: Scorer | None
    slice_column: str


@dataclass(frozen=True, slots=True)
class Ready:
    """A model ready to rank: its scorer, and the catalogue's vectors after and, where it was trained, before."""

    scorer: Scorer
    vectors_ED: Tensor
    before_ED: Tensor | None


@dataclass(frozen=True, slots=True)
class NextItem:
    """The task as every job is run: see trainer.task.Task."""

    task: Task
    job: NextItemJob

    @property
    def card(self) -> DataCard:
        return self.task.snapshot.card

    def facts(self) -> Mapping[str, str | int | float | bool]:
        encoder = self.task.encoder
        return {**encoder.source.facts(), "model.frozen_layers": encoder.frozen}

    def story(self, command: Command) -> Mapping[str, str]:
        card, encoder = self.card, self.task.encoder
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
        }

    def amount(self) -> Amount:
        return Amount(trips_of(self.task, self.job) * self.job.train.epochs, "trips")

    def fit(self, on_step: OnStep) -> "ReadyNextItem":
        return ReadyNextItem(self.task, fit(self.task, self.job, begin(self.task, self.job), on_step))

    def take_saved(self) -> "ReadyNextItem":
        return ReadyNextItem(self.task, take_saved(self.task, self.job, begin(self.task, self.job)))


@dataclass(frozen=True, slots=True)
class ReadyNextItem:
    task: Task
    ready: Ready

    def score(self) -> Outcome:
        return evaluate(self.task, self.ready)

    def save(self, folder: Path) -> None:
        save(self.task, self.ready.scorer, folder)


def load(job: NextItemJob, *, training: bool) -> Task:
    """Load data and model, raising InputError for whatever a job cannot run with."""
    source_name, snapshot = _read_data(job)
    learn, test = split_trips(snapshot.purchases, snapshot.use, min_history_days=job.train.min_history_days)
    if not len(test):
        raise DataError(f"{source_name}: the test split is empty: no trip from {snapshot.card.test_from} on")
    if training and len(learn) < job.train.batch:
        raise DataError(
            f"{source_name}: {len(learn)} trips to learn from with {job.train.min_history_days} days behind them"
            f" are fewer than train.batch = {job.train.batch}"
        )
    source = find_model(job.model)
    saved = load_scorer(source.folder)
    max_tokens = job.model.max_tokens if saved is None else saved.max_tokens
    trained = job.train.layers if training else 0
    encoder = TextEncoder(source, trained_layers=trained, max_tokens=max_tokens)
    return Task(snapshot, distinct_texts(snapshot.catalogue), encoder, learn, test, saved, _slice_column(job))


def _read_data(job: NextItemJob) -> tuple[Path, Snapshot]:
    match job.data:
        case DataJob(snapshot=folder):
            return folder, read_snapshot(folder)
        case InteractionsData() as data:
            return data.path, take_baskets(data, read_interactions(data))
        case HistoriesData() as data:
            return data.path, read_histories(data)


def _slice_column(job: NextItemJob) -> str:
    match job.data:
        case DataJob():
            return "department"
        case InteractionsData(items=items) | HistoriesData(items=items):
            return "group" if items is None or items.group is None else items.group


def begin(task: Task, job: NextItemJob) -> Beginning:
    """Run the model as it came over the catalogue's texts."""
    return task.encoder.begin(task.texts.distinct, job.model.cache)


def fit(task: Task, job: NextItemJob, beginning: Beginning, on_step: OnStep) -> Ready:
    """Train the encoder in place."""
    rng = np.random.default_rng(job.seed)
    hidden, before_ED = beginning.hidden, beginning.vectors_ED
    scorer = _fresh_scorer(task, job, before_ED)
    examples = _draw_examples(task, job, rng)
    train_on_trips(task.encoder, hidden, scorer, examples, job.train, rng, on_step)
    return Ready(scorer, task.encoder.encode_all(hidden), before_ED)


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
        [Group(encoder.parameters(), job.lr)], batches, loss_of, Pace(job.warmup, job.weight_decay, job.clip), on_step
    )


def take_saved(task: Task, job: NextItemJob, beginning: Beginning) -> Ready:
    """Take the model as it was loaded."""
    vectors_ED = beginning.vectors_ED
    return Ready(task.saved_scorer or _fresh_scorer(task, job, vectors_ED), vectors_ED, None)


def trips_of(task: Task, job: NextItemJob) -> int:
    """Say how many trips an epoch learns from."""
    return min(job.train.trips, len(task.learn))


def evaluate(task: Task, ready: Ready) -> Outcome:
    """Rank the whole catalogue for every test household, beside what needs no model."""
    test = _collect_test(task, ready.scorer.settings)
    beside = _score_without_text(task, test, ready.scorer.settings.factors)
    compared = {other: _measure(task, test, scores)[1] for other, scores in beside}
    name = SAVED if ready.before_ED is None else TUNED
    if ready.before_ED is not None:
        compared[ZERO_SHOT] = _measure(task, test, _score_items(task, ready.scorer, ready.before_ED, test))[1]
    table, compared[name] = _measure(task, test, _score_items(task, ready.scorer, ready.vectors_ED, test))
    cost = {"ms_per_query": _time_queries(task, ready, test), "model_mb": _megabytes(task.encoder)}
    return Outcome(name, compared[name] | cost, compared, table)


def save(task: Task, scorer: Scorer, folder: Path) -> None:
    """Write a model folder that `evaluate` reads."""
    task.encoder.save(folder)
    save_scorer(scorer, folder)


def distinct_texts(catalogue: Catalogue) -> Texts:
    distinct, of_item = np.unique(np.array(catalogue.texts, dtype=np.str_), return_inverse=True)
    return Texts(tuple(str(text) for text in distinct), of_item.astype(np.int64))


def _fresh_scorer(task: Task, job: NextItemJob, before_ED: Tensor) -> Scorer:
    centre_D = before_ED[torch.from_numpy(task.texts.of_item)].mean(0)
    links = None
    if job.score.links:
        links = learn_links(task.snapshot.catalogue.item_ids, _counted(task).sign(), job.score.link_ridge)
    return Scorer(job.score, task.encoder.max_tokens, centre_D, links)


def _counted(task: Task) -> sparse.csr_array:
    """Give who chose what how often in what is learned from."""
    purchases, rows = task.snapshot.purchases, task.snapshot.use == LEARN
    return count_pairs(purchases.user[rows], purchases.item[rows], len(task.snapshot.catalogue))


def _draw_examples(task: Task, job: NextItemJob, rng: np.random.Generator) -> list[Example]:
    """Draw trips, and of each trip the items to learn; a trip with nothing before it cannot be drawn."""
    chosen = np.sort(rng.permutation(len(task.learn))[: job.train.trips])
    trips = task.learn.take(chosen)
    histories = collect_histories(
        task.snapshot.purchases, trips, half_life=job.score.half_life_days, top=job.score.bag_items
    )
    of_item = task.texts.of_item
    examples = []
    for trip in range(len(trips)):
        items, weights = histories.before(trip, job.score.bag_items)
        damped = weights**job.score.power
        bought = of_item[trips.bought(trip)]
        targets = rng.permutation(bought)[: job.train.targets]
        examples.append(Example(of_item[items], damped / damped.sum(), bought, targets))
    return examples


def _collect_test(task: Task, settings: ScoreJob) -> Test:
    purchases, trips, items = task.snapshot.purchases, task.test_trips, len(task.snapshot.catalogue)
    top = max(settings.bag_items, settings.near_items)
    histories = collect_histories(purchases, trips, half_life=settings.half_life_days, top=top)
    place_of_user = np.full(len(purchases.user_ids), -1)
    place_of_user[trips.user] = np.arange(len(trips))
    owner = place_of_user[purchases.user]
    asked = (owner >= 0) & (purchases.time < trips.time[owner])
    learn = task.snapshot.use == LEARN
    counts_UI = np.zeros((len(trips), items), dtype=np.float32)
    np.add.at(counts_UI, (owner[asked], purchases.item[asked]), 1.0)
    return Test(
        trips=trips,
        bag_UE=_spread(task, histories, settings.bag_items, settings.power),
        near_UE=_spread(task, histories, settings.near_items, settings.power),
        user_N=np.repeat(np.arange(len(trips)), np.diff(trips.starts)),
        counts_UI=counts_UI,
        recent_UI=histories.as_weights(items, settings.near_items, settings.power),
        popularity_I=np.bincount(purchases.item[learn], minlength=items).astype(np.float64) + 1,
        repeats=settings.repeats,
    )


def _spread(task: Task, histories: Histories, top: int, power: float) -> Tensor:
    texts = task.texts
    return spread_history(
        histories, range(len(task.test_trips)), texts.of_item, len(texts.distinct), top=top, power=power
    )


def _score_without_text(task: Task, test: Test, factors: int) -> Iterator[tuple[str, Scores]]:
    """Score by what needs no text: the popular, one's own, what the same people chose, two ways."""
    yield POPULARITY, np.broadcast_to(test.popularity_I.astype(np.float32), test.counts_UI.shape)
    yield PERSONAL, test.counts_UI
    count_NI = _counted(task)
    yield NEIGHBOURS, np.asarray((test.recent_UI @ item_neighbours(count_NI.sign())).toarray(), dtype=np.float32)
    if factors:
        yield FACTORS, fit_factors(count_NI, factors).score(sparse.csr_array(test.counts_UI))


def _score_items(task: Task, scorer: Scorer, vectors_ED: Tensor, test: Test) -> Scores:
    """Score texts once, then items: two items of one text and one popularity tie exactly."""
    links_II = link_weights(scorer, task.snapshot.catalogue)
    with torch.inference_mode():
        score_UE = scorer.score(scorer.index(vectors_ED), test.bag_UE, test.near_UE)
        return score_texts(score_UE, task.texts, test.popularity_I, scorer, test.recent_UI, links_II)


def link_weights(scorer: Scorer, catalogue: Catalogue) -> sparse.csr_array | None:
    return None if scorer.links is None else scorer.links.for_catalogue(catalogue.item_ids)


def score_texts(
    score_UE: Tensor,
    texts: Texts,
    popularity_I: npt.NDArray[np.float64],
    scorer: Scorer,
    recent_UI: sparse.csr_array,
    links_II: sparse.csr_array | None,
) -> Scores:
    """Turn scores of texts, which are log weights, into scores of items.

    Items of one text share its weight; else a text that many items have would fill the top of every list with them.
    """
    of_item = texts.of_item
    sharing_I = np.bincount(of_item)[of_item]
    prior_I = scorer.settings.prior * np.log(popularity_I) - np.log(sharing_I)
    scores_UI = (score_UE[:, torch.from_numpy(of_item)] + torch.from_numpy(prior_I.astype(np.float32))).numpy()
    return scores_UI if links_II is None else scores_UI + scorer.score_links(recent_UI, links_II)


def _measure(task: Task, test: Test, scores_UI: Scores) -> tuple[PerExample, dict[str, float]]:
    catalogue, purchases = task.snapshot.catalogue, task.snapshot.purchases
    if not test.repeats:
        scores_UI = np.where(test.counts_UI > 0, np.float32(-np.inf), scores_UI)
    groups, group_I = np.unique(np.array([group or EVERYTHING for group in catalogue.groups]), return_inverse=True)
    values = score_ranks(rank_targets(scores_UI, test.user_N, test.trips.items), len(catalogue))
    table = gather_examples(
        test.user_N,
        group_I[test.trips.items],
        values,
        tuple(purchases.user_ids[user] for user in test.trips.user),
        tuple(str(name) for name in groups),
        task.slice_column,
    )
    return table, aggregate(table) | {"coverage": expected_coverage(scores_UI)}


def _time_queries(task: Task, ready: Ready, test: Test) -> float:
    """Give the median milliseconds from one household's history to its ten items; the catalogue is indexed."""
    seconds = []
    with torch.inference_mode():
        index, links_II = ready.scorer.index(ready.vectors_ED), link_weights(ready.scorer, task.snapshot.catalogue)
        for user in range(min(TIMED_QUERIES, len(test.trips))):
            began = perf_counter()
            row = slice(user, user + 1)
            score_UE = ready.scorer.score(index, test.bag_UE[row], test.near_UE[row])
            recent_UI = test.recent_UI[[user]]
            scores_UI = score_texts(score_UE, task.texts, test.popularity_I, ready.scorer, recent_UI, links_II)
            np.argsort(-scores_UI[0])[:TOP]
            seconds.append(perf_counter() - began)
    return float(np.median(seconds)) * 1000


def _megabytes(encoder: TextEncoder) -> float:
    """Give the size of the weights as saved, 1 MB = 10^6 bytes."""
    tensors = encoder.model.state_dict().values()
    return float(sum(tensor.numel() * tensor.element_size() for tensor in tensors)) / 1e6
