"""Ranks a catalogue for households whose next trip is known: by texts, and beside them by what needs no text."""

# Shape suffixes, scoped to this file:
#   U = households asked about, E = distinct texts, I = items of the catalogue, N = targets (household, item)

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from trainer.data.name_numbers import number_names
from trainer.data.rhythms import collect_rhythms
from trainer.data.snapshot import LEARN, Catalogue, Purchases, Snapshot
from trainer.data.trips import Trips, collect_histories
from trainer.jobs.schema import ScoreJob
from trainer.measures.per_example import PerExample, aggregate, gather_examples
from trainer.measures.ranks import Coverage, Ranks, Scores, join_ranks, rank_targets, score_ranks
from trainer.models.collaborative_filtering import count_pairs, fit_factors, item_neighbours
from trainer.models.crowd import learn_crowd
from trainer.models.ease import ItemLinks
from trainer.models.history_scorer import Scorer
from trainer.models.mix import Mix
from trainer.models.mix_features import Asked

Ints = npt.NDArray[np.int64]

EVERYTHING = "all"  # the slice of items without a group
PERSONAL = "personal frequency"
NEIGHBOURS = "item neighbours"
FACTORS = "ALS"
POPULARITY = "popularity"
SCORES_AT_A_TIME = 1 << 25  # households times items: 128 MB, of which there are a few while a block is scored

ScoreUsers = Callable[[Ints], Scores]  # (B, I) scores for some of the test trips, which the caller may write to


@dataclass(frozen=True, slots=True)
class CatalogueTexts:
    """The distinct texts of a catalogue, in order of the alphabet, and which of them each item has."""

    distinct: tuple[str, ...]
    of_item: Ints


@dataclass(frozen=True, slots=True)
class HeldOutTrips:
    """Everything known before the test trips, and the trips."""

    trips: Trips
    bag_UE: sparse.csr_array
    near_UE: sparse.csr_array
    counts_UI: sparse.csr_array  # how often a user chose an item before the trip
    recent_UI: sparse.csr_array  # weights of the history's items, summing to one a row
    popularity_I: npt.NDArray[np.float64]  # times chosen in what is learned from, plus one
    repeats: bool  # an item of the history may come again

    def blocks(self, columns: int) -> Iterator[Ints]:
        """Give the test trips a block at a time: of all at once the scores need users times items."""
        step = max(1, SCORES_AT_A_TIME // columns)
        for start in range(0, len(self.trips), step):
            yield np.arange(start, min(start + step, len(self.trips)))


def distinct_texts(catalogue: Catalogue) -> CatalogueTexts:
    """Give each text once: the encoder costs by text, not by item."""
    return CatalogueTexts(*number_names(catalogue.texts))


def count_learned(snapshot: Snapshot) -> sparse.csr_array:
    """Give (users, I) who chose what how often in what is learned from."""
    purchases, rows = snapshot.purchases, snapshot.use == LEARN
    return count_pairs(purchases.user[rows], purchases.item[rows], len(snapshot.catalogue))


def collect_test(snapshot: Snapshot, trips: Trips, texts: CatalogueTexts, settings: ScoreJob) -> HeldOutTrips:
    """Gather what is known before each test trip."""
    purchases, items = snapshot.purchases, len(snapshot.catalogue)
    top = max(settings.bag_items, settings.near_items)
    histories = collect_histories(purchases, trips, half_life=settings.half_life_days, top=top, by_text=texts.of_item)
    place_of_user = np.full(len(purchases.user_ids), -1)
    place_of_user[trips.user] = np.arange(len(trips))
    owner = place_of_user[purchases.user]
    asked = (owner >= 0) & (purchases.time < trips.time[owner])
    learn = snapshot.use == LEARN
    once = np.ones(np.count_nonzero(asked), dtype=np.float32)
    counts_UI = sparse.csr_array((once, (owner[asked], purchases.item[asked])), shape=(len(trips), items))
    bag_UE, near_UE = (
        histories.as_weights(len(texts.distinct), top, settings.power, texts.of_item)
        for top in (settings.bag_items, settings.near_items)
    )
    return HeldOutTrips(
        trips=trips,
        bag_UE=bag_UE,
        near_UE=near_UE,
        counts_UI=counts_UI,
        recent_UI=histories.as_weights(items, settings.near_items, settings.power),
        popularity_I=np.bincount(purchases.item[learn], minlength=items).astype(np.float64) + 1,
        repeats=settings.repeats,
    )


def score_without_text(snapshot: Snapshot, test: HeldOutTrips, factors: int) -> Iterator[tuple[str, ScoreUsers]]:
    """Score by what needs no text: the popular, one's own, what the same people chose, two ways."""
    popular_I = test.popularity_I.astype(np.float32)
    yield POPULARITY, lambda users: np.tile(popular_I, (len(users), 1))
    yield PERSONAL, lambda users: test.counts_UI[users].toarray()
    count_NI = count_learned(snapshot)
    near_II = item_neighbours(count_NI.sign())
    yield NEIGHBOURS, lambda users: (test.recent_UI[users] @ near_II).toarray().astype(np.float32)
    if factors:
        fitted = fit_factors(count_NI, factors)
        yield FACTORS, lambda users: fitted.score(test.counts_UI[users])


def score_items(
    snapshot: Snapshot, texts: CatalogueTexts, scorer: Scorer, vectors_ED: Tensor, test: HeldOutTrips
) -> ScoreUsers:
    """Score texts once, then items: two items of one text and one popularity tie exactly."""
    links_II, mix = link_weights(scorer, snapshot.catalogue), scorer.mix
    asked = None if mix is None else ask(mix.links, snapshot.purchases, snapshot.use == LEARN, test.trips, texts)
    with torch.inference_mode():
        unit_ED = scorer.unit_vectors(vectors_ED)

    def score(users: Ints) -> Scores:
        with torch.inference_mode():
            score_BE = scorer.score(unit_ED, test.bag_UE[users], test.near_UE[users])
            if mix is not None and asked is not None:
                return score_mixed(mix, asked, users, score_BE.numpy(), texts, test.popularity_I)
            return score_texts(score_BE, texts, test.popularity_I, scorer, test.recent_UI[users], links_II)

    return score


def ask(
    links: ItemLinks, purchases: Purchases, rows: npt.NDArray[np.bool_], trips: Trips, texts: CatalogueTexts
) -> Asked:
    """Gather what a mix is told of some trips; what everybody does is counted over some *rows* of the purchases."""
    many = len(texts.distinct)
    return Asked(
        collect_rhythms(purchases, trips, texts.of_item, many),
        learn_crowd(purchases, rows, texts.of_item, many),
        links.for_catalogue(texts.distinct),
    )


def score_mixed(
    mix: Mix,
    asked: Asked,
    trips: Ints,
    text_BE: Scores,
    texts: CatalogueTexts,
    popularity_I: npt.NDArray[np.float64],
) -> Scores:
    """Give (B, I) scores of items: that of their text, and the log of their share in its popularity."""
    whole_E = np.bincount(texts.of_item, popularity_I, len(texts.distinct))
    scores_BI: Scores = mix.score(asked, trips, text_BE)[:, texts.of_item]
    scores_BI += np.log(popularity_I / whole_E[texts.of_item]).astype(np.float32)
    return scores_BI


def link_weights(scorer: Scorer, catalogue: Catalogue) -> sparse.csr_array | None:
    """Give the scorer's links in the order of a catalogue, None where it has none."""
    return None if scorer.links is None else scorer.links.for_catalogue(catalogue.item_ids)


def score_texts(
    score_UE: Tensor,
    texts: CatalogueTexts,
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
    # Log weights add up where weights multiply: taste, one's share of a text, popularity to the power of `prior`.
    prior_I = scorer.settings.prior * np.log(popularity_I) - np.log(sharing_I)
    scores_UI: Scores = score_UE.index_select(1, torch.from_numpy(of_item)).numpy()
    scores_UI += prior_I.astype(np.float32)
    if links_II is not None:
        scores_UI += scorer.score_links(recent_UI, links_II)
    return scores_UI


def measure(
    snapshot: Snapshot, test: HeldOutTrips, score: ScoreUsers, slice_column: str
) -> tuple[PerExample, dict[str, float]]:
    """Give the per-example table of some scores, one row a household and group of items, and the metrics over it."""
    return measure_parts(snapshot, [(test, np.arange(len(test.trips)))], score, slice_column)[0]


def measure_parts(
    snapshot: Snapshot, parts: Sequence[tuple[HeldOutTrips, Ints]], score: ScoreUsers, slice_column: str
) -> list[tuple[PerExample, dict[str, float]]]:
    """Measure several parts of one test, scored once; the first is all of it, and each names its trips in the first."""
    ranked = _rank(parts, score, len(snapshot.catalogue))
    return [
        _tabulate(snapshot, test, ranks, coverage, slice_column)
        for (test, _), (ranks, coverage) in zip(parts, ranked, strict=True)
    ]


def _tabulate(
    snapshot: Snapshot, test: HeldOutTrips, ranks: Ranks, coverage: float, slice_column: str
) -> tuple[PerExample, dict[str, float]]:
    catalogue, purchases = snapshot.catalogue, snapshot.purchases
    groups, group_I = number_names([group or EVERYTHING for group in catalogue.groups])
    values = score_ranks(ranks, len(catalogue))
    table = gather_examples(
        np.repeat(np.arange(len(test.trips)), np.diff(test.trips.starts)),
        group_I[test.trips.items],
        values,
        tuple(purchases.user_ids[user] for user in test.trips.user),
        groups,
        slice_column,
    )
    owners = {purchases.user_ids[user]: snapshot.person(user) for user in test.trips.user.tolist()}
    table = replace(table, clusters=tuple(owners[one] for one in table.example_ids), unit="user")
    return table, aggregate(table) | {"coverage": coverage}


def only_new(test: HeldOutTrips) -> tuple[HeldOutTrips, Ints]:
    """Give the test without what its users had chosen before, and which of its trips are left."""
    trips, items = test.trips, test.counts_UI.shape[1]
    owner_N = np.repeat(np.arange(len(trips)), np.diff(trips.starts))
    row, item = test.counts_UI.nonzero()
    known, asked_N = np.sort(row.astype(np.int64) * items + item), owner_N * items + trips.items
    new_N = np.searchsorted(known, asked_N, side="left") == np.searchsorted(known, asked_N, side="right")
    left = np.unique(owner_N[new_N])
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner_N[new_N], minlength=len(trips))[left])])
    shorter = Trips(trips.user[left], trips.time[left], starts.astype(np.int64), trips.items[new_N])
    bag_UE, near_UE, counts_UI, recent_UI = (
        one[left] for one in (test.bag_UE, test.near_UE, test.counts_UI, test.recent_UI)
    )
    return HeldOutTrips(shorter, bag_UE, near_UE, counts_UI, recent_UI, test.popularity_I, repeats=False), left


def _rank(parts: Sequence[tuple[HeldOutTrips, Ints]], score: ScoreUsers, items: int) -> list[tuple[Ranks, float]]:
    """Rank all targets and give the share of the catalogue that is recommended, a block of households at a time."""
    found: list[tuple[list[Ranks], Coverage]] = [([], Coverage(items)) for _ in parts]
    for users in parts[0][0].blocks(items):
        scores_BI = score(users)
        for (test, place), (ranks, coverage) in zip(parts, found, strict=True):
            (kept,) = np.nonzero((place >= users[0]) & (place <= users[-1]))
            own_BI = scores_BI if len(kept) == len(users) else scores_BI[place[kept] - users[0]]
            if not test.repeats:
                # For the scorers beside it too: they would else fill the list with what can be no answer.
                own_BI[test.counts_UI[kept].nonzero()] = -np.inf
            block = test.trips.take(kept)
            user_N = np.repeat(np.arange(len(block)), np.diff(block.starts))
            ranks.append(rank_targets(own_BI, user_N, block.items))
            if len(kept):
                coverage.add(own_BI)
    return [(join_ranks(ranks), coverage.share()) for ranks, coverage in found]
