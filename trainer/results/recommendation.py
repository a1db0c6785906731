"""Asks a saved model: products for a query, for each line of a file, or for a user."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from trainer.errors import DataError, ModelError
from trainer.jobs.running import DeviceJob
from trainer.tracking.progress import say

if TYPE_CHECKING:
    from trainer.data.next_item_data import NextItemData
    from trainer.models.saved_encoder import SavedEncoder

ANY = DeviceJob()  # what is there
RETRIEVAL, NEXT_ITEM, RELEVANCE = "retrieval.json", "scorer.json", "relevance.json"


@dataclass(frozen=True, slots=True)
class RankedProduct:
    """One product of a list."""

    key: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Recommended:
    """The list for one question."""

    asked: str  # the query, or the user's id
    products: tuple[RankedProduct, ...]  # best first
    milliseconds: float  # from the question to the products, the model and catalogue being loaded


def read_queries(path: Path) -> list[str]:
    """Read a query a line, empty lines left out; raise DataError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file of queries") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text: {error}") from None
    queries = [line.strip() for line in lines if line.strip()]
    if not queries:
        raise DataError(f"{path}: holds no query")
    return queries


def recommend_for_queries(folder: Path, queries: Sequence[str], k: int, device: DeviceJob = ANY) -> list[Recommended]:
    """Find products in the catalogue a retrieval model was saved with; raise ModelError."""
    _check_kind(folder, RETRIEVAL, "a query")
    from trainer.data.spelling import Spelling, learn_spelling
    from trainer.data.text_normalisation import normalise
    from trainer.models.hybrid_search import fuse, load_catalogue, load_settings, make_engine
    from trainer.models.text_encoder import unit

    settings = load_settings(folder)
    assert settings is not None
    catalogue, vectors = load_catalogue(folder)
    encoder = _load_encoder(folder, settings.max_tokens, settings.pooling, device)
    engine = make_engine(vectors, catalogue.texts)
    spelling = learn_spelling(catalogue.texts) if settings.spelling else Spelling({})
    top = max(settings.top, k)
    encoder.embed_queries([queries[0]])  # the first question pays for what is set up once
    found = []
    for query in queries:
        began = perf_counter()
        text = spelling.mend(normalise(query))
        near, worded = engine.by_vector(unit(encoder.embed_queries([text]))[0], top), engine.by_words(text, top)
        ranked = fuse(near, worded, settings.weight, top)
        products = tuple(
            RankedProduct(catalogue.keys[item], catalogue.texts[item], float(score))
            for item, score in zip(ranked.items_L[:k].tolist(), ranked.scores_L[:k].tolist(), strict=True)
        )
        found.append(Recommended(query, products, (perf_counter() - began) * 1000))
    return found


def recommend_for_user(folder: Path, data: "NextItemData", user: str, k: int, device: DeviceJob = ANY) -> Recommended:
    """Rank the items of some data for a user's history as it stands at their end; raise an InputError."""
    _check_kind(folder, NEXT_ITEM, "a user")
    import torch

    from trainer.data.next_item_data import find_user, read_to_the_end, source_of
    from trainer.data.trips import Trips, collect_histories
    from trainer.jobs.data import HistoriesData
    from trainer.models.history_scorer import load_scorer
    from trainer.tasks.next_item_ranking import ask, distinct_texts, link_weights, score_mixed, score_texts

    snapshot, scorer = read_to_the_end(data), load_scorer(folder)
    assert scorer is not None
    purchases, catalogue = snapshot.purchases, snapshot.catalogue
    number = np.array([find_user(snapshot, source_of(data), user)])
    own = purchases.user == number[0]
    texts = distinct_texts(catalogue)
    encoder = _load_encoder(folder, scorer.max_tokens, scorer.pooling, device)
    popularity_I = np.bincount(purchases.item, minlength=len(catalogue)).astype(np.float64) + 1
    nothing = np.empty(0, dtype=np.int64)
    with torch.inference_mode():
        unit_ED = scorer.unit_vectors(encoder.embed(texts.distinct))
        began = perf_counter()
        # Behind the user's own last choice: how long nothing was chosen since weighs all of them alike.
        trip = Trips(number, np.array([int(purchases.time[own].max()) + 1]), np.zeros(2, dtype=np.int64), nothing)
        settings = scorer.settings
        top = max(settings.bag_items, settings.near_items)
        histories = collect_histories(
            purchases, trip, half_life=settings.half_life_days, top=top, by_text=texts.of_item
        )
        bag_UE, near_UE = (
            histories.as_weights(len(texts.distinct), items, settings.power, texts.of_item)
            for items in (settings.bag_items, settings.near_items)
        )
        recent_UI = histories.as_weights(len(catalogue), settings.near_items, settings.power)
        score_UE = scorer.score(unit_ED, bag_UE, near_UE)
        if (mix := scorer.mix) is not None:
            # The mix knows how long somebody has been away: asked at the end of the data, where they have times.
            end = trip if isinstance(data, HistoriesData) else replace(trip, time=purchases.time.max(keepdims=True) + 1)
            asked = ask(mix.links, purchases, np.ones(len(purchases), dtype=np.bool_), end, texts)
            score_I = score_mixed(mix, asked, np.zeros(1, dtype=np.int64), score_UE.numpy(), texts, popularity_I)[0]
        else:
            links_II = link_weights(scorer, catalogue)
            score_I = score_texts(score_UE, texts, popularity_I, scorer, recent_UI, links_II)[0]
        if not settings.repeats:
            score_I[purchases.item[own]] = -np.inf
        order = np.argsort(-score_I, kind="stable")[:k]
        best = order[np.isfinite(score_I[order])].tolist()
    products = tuple(
        RankedProduct(catalogue.item_ids[item], catalogue.texts[item], float(score_I[item])) for item in best
    )
    return Recommended(user, products, (perf_counter() - began) * 1000)


def _load_encoder(folder: Path, max_tokens: int, pooling: str, wanted: DeviceJob) -> "SavedEncoder":
    from trainer.jobs.schema import ModelJob
    from trainer.models.device import PROCESSOR, prepare_device
    from trainer.models.model_form import TUNABLE, read_form
    from trainer.models.saved_encoder import open_encoder
    from trainer.models.source import find_source

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


def _check_kind(folder: Path, wanted: str, asked: str) -> None:
    if not folder.is_dir():
        raise ModelError(f"{folder}: there is no such model folder")
    if (folder / wanted).exists():
        return
    if (folder / RELEVANCE).exists():
        raise ModelError(f"{folder}: judges pairs and finds no products; a model of the task retrieval answers a query")
    other = {RETRIEVAL: "a query", NEXT_ITEM: "--user ID"}
    for name, instead in other.items():
        if (folder / name).exists():
            raise ModelError(f"{folder}: answers {instead}, not {asked}")
    raise ModelError(f"{folder}: holds no {wanted}; a model that `fit` saved does")
