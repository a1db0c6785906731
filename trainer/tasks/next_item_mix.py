"""Learns the mix from tests that were: trips near the end of what is learned from, told by what came before them."""

# Shape suffixes, scoped to this file:
#   B = trips of a block, E = distinct texts, N = candidates

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.data.snapshot import LEARN, TARGET, Purchases, Snapshot, Uses, first_trips_from
from trainer.data.trips import Trips, collect_histories, split_trips
from trainer.errors import DataError
from trainer.jobs.schema import MixJob, ScoreJob
from trainer.learning.mix_loss import Candidates, join_candidates, learn_gate
from trainer.models.crowd import learn_text_links
from trainer.models.ease import ItemLinks
from trainer.models.history_scorer import Scorer
from trainer.models.mix import Mix
from trainer.models.mix_features import Block, open_block
from trainer.tasks.next_item_ranking import CatalogueTexts, ask

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

SCORES_AT_A_TIME = 1 << 21  # trips times texts: 8 MB, of which there are a few while a block is described
TIME_BITS = 33  # as trips are told apart in trainer.data.trips


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The learned part as it stood at some time, and trips that came then."""

    purchases: Purchases
    use: Uses
    trips: Trips


def rehearse(snapshot: Snapshot, settings: MixJob, rng: np.random.Generator) -> list[Rehearsal]:
    """Hold out of what is learned from as the test is held out of all, the latest first; raise DataError for too few.

    Of a split in time, some users' first trips in each of some spans of days; else some users' last trip.
    """
    learned = _select(snapshot.purchases, snapshot.use == LEARN)
    if not len(learned):
        return []
    if snapshot.card.test_from is None:
        found = [_rehearsal(learned, _last_trips(learned))]
    else:
        days = round(settings.days / learned.step_days)
        end = int(learned.time.max()) + 1
        spans = (end - days * number for number in range(1, settings.spans + 1))
        found = [_first_trips(learned, start, start + days) for start in spans if start > learned.time.min()]
    drawn = [_draw(one, settings.trips, rng) for one in found if len(one.trips)]
    count = sum(len(one.trips) for one in drawn)
    if count < settings.batch:
        raise DataError(f"mix: {count} trips to rehearse are fewer than mix.batch = {settings.batch}")
    return drawn


def not_rehearsed(trips: Trips, rehearsals: Sequence[Rehearsal]) -> Trips:
    """Leave out the trips that are rehearsed: a text model that had learned them would be trusted too much."""
    keys = [(one.trips.user << TIME_BITS) + one.trips.time for one in rehearsals]
    return trips.take(np.flatnonzero(~np.isin((trips.user << TIME_BITS) + trips.time, np.concatenate(keys))))


def tell_mix(rehearsals: Sequence[Rehearsal], settings: MixJob) -> str:
    """Say what the mix was learned from, for the summary."""
    if not rehearsals:
        return "what the user repeats and what is new to it, as the saved model weighs them"
    trips = sum(len(one.trips) for one in rehearsals)
    when = f"{len(rehearsals)} spans of {settings.days:g} days" if len(rehearsals) > 1 else "one rehearsal"
    return (
        "what the user repeats and what is new to it, weighed by a network learned on "
        f"{trips} trips in {when} of what is learned from, each told by what came before"
    )


def learn_mix(
    snapshot: Snapshot,
    texts: CatalogueTexts,
    scorer: Scorer,
    vectors_ED: Tensor,
    rehearsals: Sequence[Rehearsal],
    settings: MixJob,
    rng: np.random.Generator,
    cache: Path | None = None,
) -> Mix:
    """Learn the gate on rehearsals and the links on all that is learned from; raise DataError where nothing is told."""
    gate = learn_gate(_candidates_of(rehearsals, texts, scorer, vectors_ED, settings, rng, cache), settings, rng)
    return Mix(settings, gate, _learn_links(snapshot.purchases, snapshot.use, texts, settings, cache))


def _candidates_of(
    rehearsals: Sequence[Rehearsal],
    texts: CatalogueTexts,
    scorer: Scorer,
    vectors_ED: Tensor,
    settings: MixJob,
    rng: np.random.Generator,
    cache: Path | None,
) -> Candidates:
    parts = [part for one in rehearsals for part in _describe(one, texts, scorer, vectors_ED, settings, rng, cache)]
    if not parts:
        raise DataError("mix: no trip to rehearse bought what score.repeats = false allows: nothing is new to its user")
    return join_candidates(parts)


def _rehearsal(purchases: Purchases, use: Uses) -> Rehearsal:
    return Rehearsal(purchases, use, split_trips(purchases, use, min_history_days=0)[1])


def _draw(rehearsal: Rehearsal, most: int, rng: np.random.Generator) -> Rehearsal:
    return replace(rehearsal, trips=rehearsal.trips.take(np.sort(rng.permutation(len(rehearsal.trips))[:most])))


def _first_trips(learned: Purchases, start: int, end: int) -> Rehearsal:
    part = _select(learned, learned.time < end)
    return _rehearsal(part, first_trips_from(part, start))


def _last_trips(learned: Purchases) -> Uses:
    last = np.full(len(learned.user_ids), -1, dtype=np.int64)
    first = np.full(len(learned.user_ids), np.iinfo(np.int64).max)
    np.maximum.at(last, learned.user, learned.time)
    np.minimum.at(first, learned.user, learned.time)
    target = (learned.time == last[learned.user]) & (last > first)[learned.user]
    return np.where(target, TARGET, LEARN).astype(np.int8)


def _select(purchases: Purchases, kept: npt.NDArray[np.bool_]) -> Purchases:
    return replace(purchases, user=purchases.user[kept], time=purchases.time[kept], item=purchases.item[kept])


def _learn_links(
    purchases: Purchases, use: Uses, texts: CatalogueTexts, settings: MixJob, cache: Path | None
) -> ItemLinks:
    rows, ridge, most = use == LEARN, settings.link_ridge, settings.link_texts
    return learn_text_links(purchases, rows, texts.of_item, texts.distinct, ridge, most, cache)


def _describe(
    rehearsal: Rehearsal,
    texts: CatalogueTexts,
    scorer: Scorer,
    vectors_ED: Tensor,
    settings: MixJob,
    rng: np.random.Generator,
    cache: Path | None,
) -> Iterator[Candidates]:
    trips = rehearsal.trips
    # Links that had seen these trips would explain them too well, and the gate would trust them too much.
    links = _learn_links(rehearsal.purchases, rehearsal.use, texts, settings, cache)
    asked = ask(links, rehearsal.purchases, rehearsal.use == LEARN, trips, texts)
    step = max(1, SCORES_AT_A_TIME // len(texts.distinct))
    for first in range(0, len(trips), step):
        part = np.arange(first, min(first + step, len(trips)))
        text_BE = _score_texts(scorer, vectors_ED, rehearsal.purchases, trips.take(part), texts)
        block = open_block(asked, part, text_BE)
        yield from _candidates(block, trips.take(part), texts, settings, scorer.settings, rng)


def _score_texts(
    scorer: Scorer, vectors_ED: Tensor, purchases: Purchases, trips: Trips, texts: CatalogueTexts
) -> Scores:
    """Give (B, E) scores of the text model for some trips."""
    settings, many = scorer.settings, len(texts.distinct)
    top = max(settings.bag_items, settings.near_items)
    histories = collect_histories(purchases, trips, half_life=settings.half_life_days, top=top, by_text=texts.of_item)
    bag_BE, near_BE = (
        histories.as_weights(many, items, settings.power, texts.of_item)
        for items in (settings.bag_items, settings.near_items)
    )
    with torch.inference_mode():
        return np.asarray(scorer.score(scorer.unit_vectors(vectors_ED), bag_BE, near_BE).numpy())


def _candidates(
    block: Block, trips: Trips, texts: CatalogueTexts, settings: MixJob, score: ScoreJob, rng: np.random.Generator
) -> Iterator[Candidates]:
    """Take of each trip what was bought, the history where it may come again, and some others."""
    for row in range(len(trips)):
        bought_E = np.zeros(len(texts.distinct), dtype=np.bool_)
        bought_E[texts.of_item[trips.bought(row)]] = True
        held_E = block.place_BE[row] >= 0
        certain_E = (bought_E | held_E) if score.repeats else (bought_E & ~held_E)
        (others,) = np.nonzero(~bought_E & ~held_E)
        picked = np.sort(rng.permutation(others)[: settings.others])
        text_N = np.concatenate([np.flatnonzero(certain_E), picked])
        if not (certain_E & bought_E).any():
            continue
        log_share_N = np.zeros(len(text_N), dtype=np.float32)
        log_share_N[len(text_N) - len(picked) :] = np.log(max(len(others), 1) / max(len(picked), 1))
        described_NF = block.describe(np.full(len(text_N), row), text_N)
        bought_N = bought_E[text_N].astype(np.float32)
        yield Candidates(described_NF, bought_N, log_share_N, np.array([len(text_N)]))
