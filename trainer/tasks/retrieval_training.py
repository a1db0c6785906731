"""Trains a retrieval encoder by contrast: each relevant product against the batch's others and hard negatives."""

# Shape suffixes, scoped to this file:
#   E = texts the encoder knows, N = pairs to learn, Q = queries of a batch, C = product texts of a batch, D = width

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.data.pairs import Pairs
from trainer.jobs.schema import RetrievalJob
from trainer.learning.batches import shuffled_batches
from trainer.learning.contrastive_loss import contrast_loss, make_contrast
from trainer.learning.early_stop import stop_early
from trainer.learning.hard_negatives import Known, mine_negatives
from trainer.learning.loop import ParameterGroup, Schedule, train
from trainer.learning.shared_vectors import SharedVectors
from trainer.models.kept_states import Hidden
from trainer.models.text_encoder import TextEncoder
from trainer.task import Checkpoints, OnStep
from trainer.tasks.catalogue_indexes import CatalogueIndexes
from trainer.tasks.retrieval_questions import EncodedTexts, judged_before
from trainer.tasks.valid_losses import valid_contrast_loss

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TextLesson:
    """What a job learns from: its pairs, and the encoder that reads their texts."""

    job: RetrievalJob
    pairs: Pairs
    texts: EncodedTexts
    encoder: TextEncoder
    hidden: Hidden


def train_encoder(
    lesson: TextLesson, learnt_N: Ints, untrained: CatalogueIndexes, on_step: OnStep, checkpoints: Checkpoints
) -> int:
    """Train the encoder's upper layers in place on some rows, and give the number of steps.

    Hard negatives are mined with the *untrained* one.
    """
    settings, pairs, texts = lesson.job, lesson.pairs, lesson.texts
    encoder, hidden = lesson.encoder, lesson.hidden
    job, rng = settings.train, np.random.default_rng(settings.seed)
    query_N, text_N = pairs.query_id[learnt_N], texts.of_product[pairs.product_id[learnt_N]]
    known = judged_before(pairs, texts, settings.relevant)
    mined = _mine(settings, pairs, untrained, query_N, text_N, known, rng)
    negatives = encoder.device.crew.have_alike(mined)
    batches = shuffled_batches(len(query_N), job.batch, job.epochs, rng)
    shared = SharedVectors(encoder.device.crew, partial(encoder.encode, hidden))

    def loss_of(places: Ints, parts: int = 1) -> Tensor:
        shared.begin(places)
        contrast = make_contrast(query_N[places], text_N[places], negatives[places], known, encoder.device.put)
        texts_E = torch.cat([torch.from_numpy(contrast.queries_Q), texts.products(contrast.texts_C)])
        asked_QD, found_CD = shared.encode("both", texts_E, parts).tensor_split([len(contrast.queries_Q)])
        return shared.one_of_all(contrast_loss(asked_QD, found_CD, contrast, job.temperature))

    early = partial(valid_contrast_loss, encoder, hidden, pairs, texts, settings)
    train(
        [ParameterGroup(encoder.parameters(), job.lr)],
        batches,
        loss_of,
        Schedule(job.warmup, job.weight_decay, job.clip),
        on_step,
        checkpoints,
        in_parts=lambda rows, parts: iter([loss_of(rows, parts)]),
        parts=job.accumulate,
        device=encoder.device,
        early=stop_early(job.early_stop, len(batches) // job.epochs, early),
    )
    return len(batches)


def _mine(
    settings: RetrievalJob,
    pairs: Pairs,
    untrained: CatalogueIndexes,
    query_N: Ints,
    text_N: Ints,
    known: Known,
    rng: np.random.Generator,
) -> Ints:
    queries_Q = np.unique(query_N)
    asked = dict(zip(queries_Q.tolist(), untrained.unit_queries(queries_Q), strict=True))
    job, engine = settings.train, untrained.of_texts()
    return mine_negatives(
        query_N, text_N, engine, pairs.queries, asked, known, each=job.negatives, margin=job.margin, rng=rng
    )
