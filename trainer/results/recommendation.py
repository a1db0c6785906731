"""Asks a saved model: products for a query, for each line of a file, or for a user."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from trainer.errors import DataError, ModelError
from trainer.jobs.running import DeviceJob
from trainer.models.source import not_saved

if TYPE_CHECKING:
    from trainer.data.next_item_data import NextItemData

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
    from trainer.models.hybrid_search import load_catalogue, load_settings, make_engine
    from trainer.models.picture_search import search
    from trainer.models.saved_pictures import load_pictures
    from trainer.models.text_encoder import unit
    from trainer.results.asked_user import open_saved

    settings = load_settings(folder)
    assert settings is not None
    catalogue, vectors = load_catalogue(folder)
    saved = load_pictures(folder)
    pictures = None if saved is None else saved.search(np.array([bool(text) for text in catalogue.texts]))
    encoder = open_saved(folder, settings.max_tokens, settings.pooling, device)
    engine = make_engine(vectors, catalogue.texts)
    spelling = learn_spelling(catalogue.texts) if settings.spelling else Spelling({})
    top = max(settings.top, k)
    encoder.embed_queries([queries[0]])  # the first question pays for what is set up once
    found = []
    for query in queries:
        began = perf_counter()
        text = spelling.mend(normalise(query))
        ranked = search(engine, unit(encoder.embed_queries([text]))[0], text, settings, top, pictures)
        products = tuple(
            RankedProduct(catalogue.keys[item], catalogue.texts[item], float(score))
            for item, score in zip(ranked.items_L[:k].tolist(), ranked.scores_L[:k].tolist(), strict=True)
        )
        found.append(Recommended(query, products, (perf_counter() - began) * 1000))
    return found


def recommend_for_user(folder: Path, data: "NextItemData", user: str, k: int, device: DeviceJob = ANY) -> Recommended:
    """Rank the items of some data for a user's history as it stands at their end; raise an InputError."""
    _check_kind(folder, NEXT_ITEM, "a user")
    from trainer.results.asked_user import open_user

    asked = open_user(folder, data, user, device)
    began = perf_counter()
    score_I = asked.score()
    if not asked.scorer.settings.repeats:
        score_I[asked.items] = -np.inf
    order = np.argsort(-score_I, kind="stable")[:k]
    best, catalogue = order[np.isfinite(score_I[order])].tolist(), asked.catalogue
    products = tuple(
        RankedProduct(catalogue.item_ids[item], catalogue.texts[item], float(score_I[item])) for item in best
    )
    return Recommended(user, products, (perf_counter() - began) * 1000)


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
    raise not_saved(folder, wanted)
