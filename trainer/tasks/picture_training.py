"""Trains the maps of queries and pictures into one space, after the text tower or together with it."""

# Shape suffixes, scoped to this file:
#   N = relevant pairs with a picture, Q = queries, P = distinct pictures, D = width of a text's vector

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.data.pairs import Pairs
from trainer.data.splits import Part
from trainer.jobs.images import ImagesJob
from trainer.learning.batches import shuffled_batches
from trainer.learning.contrastive_loss import contrast_loss, make_contrast
from trainer.learning.early_stop import stop_early
from trainer.learning.hard_negatives import Known
from trainer.learning.loop import ParameterGroup, Schedule, train
from trainer.learning.picture_contrast import NONE_MINED, make_picture_contrast, picture_loss
from trainer.models.kept_states import Hidden
from trainer.models.picture_space import PictureSpace
from trainer.models.text_encoder import TextEncoder
from trainer.task import Checkpoints, OnStep, StepReport
from trainer.tasks.retrieval_questions import judged_before
from trainer.tasks.retrieval_training import TextLesson
from trainer.tasks.shown_products import ShownProducts

Ints = npt.NDArray[np.int64]

APART = 2  # of the seed: what the pictures draw is no matter to what the texts draw


@dataclass(frozen=True, slots=True)
class ShownPairs:
    """Relevant pairs of a query and a product with a picture, and all that is known to be relevant beside them."""

    query_N: Ints
    picture_N: Ints
    product_N: Ints
    known: Known


@dataclass(slots=True)
class AskedQueries:
    """The vectors of queries: of a text tower that stands still all of them, once the first is asked for."""

    encoder: TextEncoder
    hidden: Hidden
    learns: bool
    queries_Q: Ints  # that may be asked for, rising
    kept_QD: list[Tensor] = field(default_factory=list)

    def of(self, queries: Ints, parts: int) -> Tensor:
        """Give the vectors of some queries, with gradients where the tower learns."""
        if self.learns and torch.is_grad_enabled():
            return self.encoder.encode(self.hidden, torch.from_numpy(queries), parts)
        if self.learns:
            return self.encoder.device.put(self.encoder.encode_some(self.hidden, torch.from_numpy(queries)))
        if not self.kept_QD:  # not before: a fit that goes on has the tower's weights back with the first step
            kept_QD = self.encoder.encode_some(self.hidden, torch.from_numpy(self.queries_Q))
            self.kept_QD.append(self.encoder.device.put(kept_QD))
        return self.kept_QD[0][torch.from_numpy(np.searchsorted(self.queries_Q, queries))]


def pair_up(pairs: Pairs, shown: ShownProducts, rows: Ints, relevant_from: float, part: Part) -> ShownPairs:
    """Give those of some *rows* whose product has a picture; what a *part* knows to be relevant is no negative."""
    rows = rows[shown.have(pairs.product_id[rows])]
    judged = pairs.rows(part)
    judged = judged[(pairs.label[judged] >= relevant_from) & shown.have(pairs.product_id[judged])]
    count = max(1, len(shown.vectors_PW))
    relevant = np.unique(pairs.query_id[judged] * count + shown.of_product[pairs.product_id[judged]])
    products = pairs.product_id[rows]
    return ShownPairs(pairs.query_id[rows], shown.of_product[products], products, Known(relevant, count, {}))


def train_space(
    lesson: TextLesson,
    job: ImagesJob,
    shown: ShownProducts,
    learnt_N: Ints,
    *,
    earlier_steps: int,
    on_step: OnStep,
    checkpoints: Checkpoints,
) -> PictureSpace:
    """Give a space learnt on some rows; where the job wants it the encoder's upper layers learn with it, in place."""
    settings, pairs, encoder = lesson.job, lesson.pairs, lesson.encoder
    rng, device = np.random.default_rng([settings.seed, APART]), encoder.device
    learnt = pair_up(pairs, shown, learnt_N, settings.relevant, Part.TRAIN)
    held = pair_up(pairs, shown, _relevant_rows(pairs, Part.VALID, settings.relevant), settings.relevant, Part.VALID)
    width = encoder.keep([pairs.queries[int(learnt.query_N[0])]])[0]
    space = PictureSpace(width, shown.tower.width, job.size, job.temperature)
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    space.begin(shown.vectors_PW[np.unique(learnt.picture_N)], generator)
    space.to(device.kind)
    asked = AskedQueries(encoder, lesson.hidden, job.train_text, np.union1d(learnt.query_N, held.query_N))
    features_PW = torch.from_numpy(shown.vectors_PW)

    def loss_among(some: ShownPairs, places: Ints, parts: int) -> Tensor:
        contrast = make_picture_contrast(some.query_N[places], some.picture_N[places], some.known, device.put)
        queries_Q, pictures_C = contrast.towards.queries_Q, torch.from_numpy(contrast.towards.texts_C)
        query_QS = space.place_texts(asked.of(queries_Q, parts))
        return picture_loss(
            query_QS, space.place_pictures(device.put(features_PW[pictures_C])), contrast, space.scale()
        )

    loss_of_texts = _text_loss(lesson, learnt) if job.train_text else None

    def loss_of(places: Ints, parts: int = 1) -> Tensor:
        loss = loss_among(learnt, places, parts)
        return loss if loss_of_texts is None else loss + loss_of_texts(places, parts)

    groups = [ParameterGroup(space.learnt(), job.lr)]
    if job.train_text:
        groups.append(ParameterGroup(encoder.parameters(), settings.train.lr))
    else:
        checkpoints.carry("text tower", encoder.parameters())  # which a fit that goes on does not learn again
    batches = shuffled_batches(len(learnt.query_N), job.batch, job.epochs, rng)

    def measure_held() -> Callable[[], float]:
        order = np.random.default_rng(settings.seed).permutation(len(held.query_N))
        parts = np.array_split(order, max(1, round(len(order) / job.batch)))

        def measure() -> float:
            with torch.no_grad():
                return sum(float(loss_among(held, places, 1)) * len(places) for places in parts) / len(order)

        return measure

    train(
        groups,
        batches,
        loss_of,
        Schedule(settings.train.warmup, settings.train.weight_decay, settings.train.clip),
        lambda report: on_step(_counted_on(report, earlier_steps)),
        checkpoints,
        in_parts=lambda rows, parts: iter([loss_of(rows, parts)]),
        device=device,
        early=stop_early(job.early_stop, len(batches) // job.epochs, measure_held),
    )
    return space.to("cpu").requires_grad_(requires_grad=False)


def _counted_on(report: StepReport, earlier_steps: int) -> StepReport:
    """Number a step behind those of the texts: two curves would else be drawn over one another."""
    return replace(report, step=report.step + earlier_steps)


def _relevant_rows(pairs: Pairs, part: Part, relevant_from: float) -> Ints:
    rows = pairs.rows(part)
    return rows[pairs.label[rows] >= relevant_from]


def _text_loss(lesson: TextLesson, learnt: ShownPairs) -> Callable[[Ints, int], Tensor]:
    """Give the contrast of the texts of pairs that have one: a tower that learnt pictures alone would lose them."""
    pairs, texts, encoder = lesson.pairs, lesson.texts, lesson.encoder
    known, temperature = judged_before(pairs, texts, lesson.job.relevant), lesson.job.train.temperature
    text_N = texts.of_product[learnt.product_N]
    worded_N = np.array([bool(pairs.products[product]) for product in learnt.product_N.tolist()], dtype=np.bool_)

    def loss_of(places: Ints, parts: int) -> Tensor:
        places = places[worded_N[places]]
        if not len(places):
            return encoder.device.put(torch.zeros(()))
        contrast = make_contrast(learnt.query_N[places], text_N[places], NONE_MINED, known, encoder.device.put)
        texts_E = torch.cat([torch.from_numpy(contrast.queries_Q), texts.products(contrast.texts_C)])
        asked_QD, found_CD = encoder.encode(lesson.hidden, texts_E, parts).tensor_split([len(contrast.queries_Q)])
        return contrast_loss(asked_QD, found_CD, contrast, temperature)

    return loss_of
