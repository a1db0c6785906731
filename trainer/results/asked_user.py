"""One user of some data whom a saved next-item model is asked about: scores of all items, with or without purchases."""

# Shape suffixes, scoped to this file:
#   E = distinct texts, I = items, U = the one user

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.data.next_item_data import NextItemData, find_user, read_to_the_end, source_of
from trainer.data.snapshot import Catalogue, Purchases
from trainer.data.trips import Trips, collect_histories
from trainer.errors import ModelError
from trainer.jobs.data import HistoriesData
from trainer.jobs.running import DeviceJob
from trainer.jobs.schema import ModelJob
from trainer.models.device import PROCESSOR, prepare_device
from trainer.models.history_scorer import Scorer, load_scorer
from trainer.models.model_form import TUNABLE, read_form
from trainer.models.saved_encoder import SavedEncoder, open_encoder
from trainer.models.source import find_source
from trainer.tasks.next_item_ranking import (
    CatalogueTexts,
    ask,
    distinct_texts,
    link_weights,
    score_mixed,
    score_texts,
)
from trainer.tracking.progress import say

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AskedUser:
    """A user as of the end of the data, and what scores the catalogue for one."""

    scorer: Scorer
    catalogue: Catalogue
    purchases: Purchases
    texts: CatalogueTexts
    unit_ED: Tensor
    number: int
    end: int  # when a mix is asked: how long somebody has been away is known to it

    @property
    def items(self) -> Ints:
        """Give what the user chose, each item once, the latest first."""
        rows = np.flatnonzero(self.purchases.user == self.number)
        newest_first = self.purchases.item[rows][np.argsort(-self.purchases.time[rows], kind="stable")]
        _, first = np.unique(newest_first, return_index=True)
        return np.asarray(newest_first[np.sort(first)], dtype=np.int64)

    def score(self, without: Collection[int] = ()) -> Scores:
        """Give the (I,) scores of all items, as if the user had never chosen some."""
        scorer, settings = self.scorer, self.scorer.settings
        own = self.purchases.user == self.number
        # Behind the user's own last choice: how long nothing was chosen since weighs all of them alike.
        trip = self._trip(int(self.purchases.time[own].max()) + 1)
        purchases = self._leave_out(own & np.isin(self.purchases.item, list(without))) if without else self.purchases
        top = max(settings.bag_items, settings.near_items)
        many, of_item = len(self.texts.distinct), self.texts.of_item
        histories = collect_histories(purchases, trip, half_life=settings.half_life_days, top=top, by_text=of_item)
        bag_UE, near_UE = (
            histories.as_weights(many, items, settings.power, of_item)
            for items in (settings.bag_items, settings.near_items)
        )
        popularity_I = np.bincount(self.purchases.item, minlength=len(self.catalogue)).astype(np.float64) + 1
        with torch.inference_mode():
            score_UE = scorer.score(self.unit_ED, bag_UE, near_UE)
            if (mix := scorer.mix) is not None:
                rows = np.ones(len(purchases), dtype=np.bool_)
                asked = ask(mix.links, purchases, rows, self._trip(self.end), self.texts)
                first = np.zeros(1, dtype=np.int64)
                return np.asarray(score_mixed(mix, asked, first, score_UE.numpy(), self.texts, popularity_I)[0])
            recent_UI = histories.as_weights(len(self.catalogue), settings.near_items, settings.power)
            links_II = link_weights(scorer, self.catalogue)
            return np.asarray(score_texts(score_UE, self.texts, popularity_I, scorer, recent_UI, links_II)[0])

    def _trip(self, time: int) -> Trips:
        starts, nothing = np.zeros(2, dtype=np.int64), np.empty(0, dtype=np.int64)
        return Trips(np.array([self.number]), np.array([time]), starts, nothing)

    def _leave_out(self, gone: npt.NDArray[np.bool_]) -> Purchases:
        columns = {name: getattr(self.purchases, name)[~gone] for name in ("user", "time", "item")}
        return replace(self.purchases, **columns)


def open_user(folder: Path, data: NextItemData, user: str, device: DeviceJob) -> AskedUser:
    """Read a saved model and the history of a user as it stands at the end of some data; raise an InputError."""
    snapshot, scorer = read_to_the_end(data), load_scorer(folder)
    if scorer is None:
        raise ModelError(f"{folder}: holds no scorer.json; a next_item model that `fit` saved does")
    purchases, number = snapshot.purchases, find_user(snapshot, source_of(data), user)
    texts = distinct_texts(snapshot.catalogue)
    encoder = open_saved(folder, scorer.max_tokens, scorer.pooling, device)
    with torch.inference_mode():
        unit_ED = scorer.unit_vectors(encoder.embed(texts.distinct))
    last = int(purchases.time[purchases.user == number].max())
    # The mix is asked at the end of the data, where they have times.
    end = last if isinstance(data, HistoriesData) else int(purchases.time.max())
    return AskedUser(scorer, snapshot.catalogue, purchases, texts, unit_ED, int(number), end + 1)


def open_saved(folder: Path, max_tokens: int, pooling: str, wanted: DeviceJob) -> SavedEncoder:
    """Open the encoder of a saved model on what is wanted; raise ModelError for a compressed one elsewhere."""
    source, form = find_source(ModelJob(folder=folder)), read_form(folder).form
    layered = form in TUNABLE
    if not layered and (wanted.kind not in ("auto", "cpu") or wanted.precision not in ("auto", "fp32")):
        raise ModelError(
            f"{folder}: is compressed ({form.value}) and computes on the processor as it was written; a device and a"
            " precision are of models that fit saved"
        )
    device = prepare_device(wanted) if layered else PROCESSOR
    say(f"trainer: {device.tell()}")
    return open_encoder(source, max_tokens=max_tokens, pooling=pooling, device=device)
