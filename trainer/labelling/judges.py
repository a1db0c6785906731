"""What saved models, and the words that are shared, say of unlabelled pairs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainer.errors import JobError, ModelError
from trainer.jobs.schema import ModelJob, PairModelJob, RelevanceJob
from trainer.labelling.choosing import discord, doubt, places, rank_gap
from trainer.labelling.pool import Pool
from trainer.models.bm25 import index_words
from trainer.models.cross_encoder import CrossEncoder
from trainer.models.device import Device
from trainer.models.hybrid_search import load_settings as load_search
from trainer.models.label_scale import CLASSES, RelevanceSettings, load_settings
from trainer.models.saved_cross_encoder import open_cross_encoder
from trainer.models.saved_encoder import open_encoder
from trainer.models.source import find_source
from trainer.models.text_encoder import unit
from trainer.tasks.relevance import Relevance

Floats = npt.NDArray[np.float64]


def chances(saved: RelevanceSettings, output_NC: Floats) -> Floats:
    """Give the calibrated chances of classes; of grades, and of yes or no, that of being relevant in the second."""
    if saved.scale.kind == CLASSES:
        return saved.calibration.class_chances(output_NC)
    sure_N = saved.certainty.chances(output_NC[:, 0])
    return np.stack([1 - sure_N, sure_N], axis=1)


def weigh(job: RelevanceJob, task: Relevance, pool: Pool) -> tuple[dict[str, Floats], Floats | None]:
    """Give by reason what each pair is worth, and the vectors that clusters are made of, if they are wanted."""
    reasons, worth = job.label.reasons, {}
    if {"uncertainty", "disagreement"} & reasons:
        assert task.saved is not None  # load refuses a bare model
        chance_NC = chances(task.saved, task.model.score_pairs(pool.queries, pool.products))
        if "uncertainty" in reasons:
            worth["uncertainty"] = doubt(chance_NC)
        if "disagreement" in reasons:
            worth["disagreement"] = _disagreement(job, task, pool, chance_NC)
    if "diversity" not in reasons:
        return worth, None
    if not isinstance(task.model, CrossEncoder):
        raise ModelError(
            f"{task.model.source.folder}: is compressed; what is diverse is told by a model that fit saved"
        )
    return worth, task.model.embed_pairs(pool.queries, pool.products)


def _disagreement(job: RelevanceJob, task: Relevance, pool: Pool, chance_NC: Floats) -> Floats:
    folders = [Path(folder) for folder in job.label.others]
    alike = [folder for folder in folders if (folder / "relevance.json").exists()]
    others = [folder for folder in folders if folder not in alike]
    found = []
    if alike:
        found.append(discord(np.stack([chance_NC, *(_chances_of(folder, task, pool) for folder in alike)])))
    if chance_NC.shape[1] > 2 and (others or not alike):  # noqa: PLR2004 - relevant or not
        raise JobError("label: classes have no order to hold against BM25 or vectors: label.others names more models")
    orders = [_cosines(folder, pool, task.model.device) for folder in others] or ([] if alike else [_by_words(pool)])
    found += [rank_gap(chance_NC[:, 1], order_N) for order_N in orders]
    return np.mean([places(one) for one in found], axis=0) if len(found) > 1 else found[0]


def _chances_of(folder: Path, task: Relevance, pool: Pool) -> Floats:
    source, saved = find_source(ModelJob(folder=folder)), load_settings(folder)
    assert saved is not None  # the file is there
    assert task.saved is not None
    if (saved.scale.kind, saved.scale.classes) != (task.saved.scale.kind, task.saved.scale.classes):
        raise ModelError(f"{folder}: judges by another scale than the model that asks")
    read = PairModelJob.model_validate(
        {"folder": str(folder), "max_tokens": saved.max_tokens, "pooling": saved.pooling}
    )
    model = open_cross_encoder(source, read, saved.scale.outputs, None, task.model.device)
    return chances(saved, model.score_pairs(pool.queries, pool.products))


def _cosines(folder: Path, pool: Pool, device: Device) -> Floats:
    if not folder.is_dir():
        raise ModelError(f"{folder}: there is no such model folder")
    settings = load_search(folder)
    if settings is None:
        raise ModelError(f"{folder}: is neither a relevance nor a retrieval model that `fit` saved")
    source = find_source(ModelJob(folder=folder))
    encoder = open_encoder(source, max_tokens=settings.max_tokens, pooling=settings.pooling, device=device)
    query_ND = np.asarray(unit(encoder.embed_queries(pool.queries)))
    return np.asarray((query_ND * np.asarray(unit(encoder.embed(pool.products)))).sum(axis=1), dtype=np.float64)


def _by_words(pool: Pool) -> Floats:
    """Give each pair's BM25 as a share of the best that its query has: a rare word would else outweigh all queries."""
    products = sorted(set(pool.products))
    place, index = {text: number for number, text in enumerate(products)}, index_words(products)
    rows: dict[str, list[int]] = {}
    for row, query in enumerate(pool.queries):
        rows.setdefault(query, []).append(row)
    share_N = np.zeros(len(pool))
    for query, asked in rows.items():
        score_I = index.score(query)
        share_N[asked] = score_I[_places(pool, asked, place)] / max(float(score_I.max()), 1e-12)
    return share_N


def _places(pool: Pool, rows: Sequence[int], place: dict[str, int]) -> list[int]:
    return [place[pool.products[row]] for row in rows]
