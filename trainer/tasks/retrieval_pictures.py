"""Pictures beside the texts of a retrieval job: opened and checked, learnt, searched, saved."""

# Shape suffixes, scoped to this file:
#   Q = queries asked, I = products of the catalogue, P = distinct pictures, D = width of a text's vector,
#   S = size of the space

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from trainer.data.card import DataCard
from trainer.data.pairs import Pairs
from trainer.data.splits import Part
from trainer.errors import DataError, ModelError
from trainer.jobs.images import ImagesJob
from trainer.jobs.schema import RetrievalJob
from trainer.models.device import Device
from trainer.models.hybrid_search import Found, FoundLists
from trainer.models.picture_search import PictureEngine, PictureSearch, make_picture_engine
from trainer.models.picture_space import PictureSpace
from trainer.models.saved_pictures import PictureSettings, SavedPictures, load_pictures, save_pictures
from trainer.models.saved_settings import settle
from trainer.task import Checkpoints, OnStep
from trainer.tasks.fusion_weights import choose_weight
from trainer.tasks.picture_training import train_space
from trainer.tasks.retrieval_questions import DEEP, TOP, Questions
from trainer.tasks.retrieval_training import TextLesson
from trainer.tasks.shown_products import ShownProducts, look_at_products, open_job_tower
from trainer.tracking.progress import say

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TextAnswers:
    """What the texts have for some questions, and the questions' unit vectors."""

    lists: FoundLists
    unit_QD: Vectors


@dataclass(frozen=True, slots=True)
class JobPictures:
    """What a job's section of pictures comes to, loaded and checked."""

    job: ImagesJob
    shown: ShownProducts
    learnt_N: Ints  # rows of relevant pairs, those with a picture
    saved: SavedPictures | None

    def facts(self) -> Mapping[str, str | int]:
        """Say what decides the numbers."""
        return self.shown.facts()

    def story(self, pairs: Pairs, *, fits: bool) -> dict[str, str]:
        """Say in words what was seen, and what of it was learnt."""
        card, tower = pairs.card, self.shown.tower
        seen = f"{card.pictures} of {card.catalogue_size} products have one, {card.pictures_missing} have none"
        with_texts = ", the text tower with them" if self.job.train_text else ""
        learnt = f"; {len(self.learnt_N)} relevant pairs learnt{with_texts}" if fits else ""
        return {"pictures": f"{seen}; seen by {tower.name} (licence: {tower.licence}), which is frozen{learnt}"}

    def fit(
        self, lesson: TextLesson, earlier_steps: int, on_step: OnStep, checkpoints: Checkpoints
    ) -> "PlacedPictures":
        """Train the maps into one space, and the encoder with them where the job says so."""
        space = train_space(
            lesson,
            self.job,
            self.shown,
            self.learnt_N,
            earlier_steps=earlier_steps,
            on_step=on_step,
            checkpoints=checkpoints,
        )
        return place_pictures(space, self.shown, lesson.pairs)

    def take_saved(self, pairs: Pairs) -> "PlacedPictures":
        """Give the pictures in the space of the saved model."""
        assert self.saved is not None  # load refuses a model without
        return place_pictures(self.saved.space, self.shown, pairs)

    def weigh(
        self, placed: "PlacedPictures", asked: Questions, texts: Callable[[], TextAnswers], top: int
    ) -> "WeighedPictures":
        """Give them with their weight: the job's, or the saved model's, or what some questions choose."""
        weight = self.job.weight
        if weight is None:
            weight = choose_weight(asked, lambda: placed.answer(asked, texts(), top).fused, top)
        return WeighedPictures(self, placed, weight)


@dataclass(frozen=True, slots=True)
class AnsweredByPictures:
    """For every question the list of the pictures, and that of the texts with them."""

    engine: PictureEngine
    texts: FoundLists
    near: FoundLists
    asked_QS: Vectors
    top: int

    def fused(self, weight: float) -> FoundLists:
        """Give one list a question, the pictures weighing *weight*."""

        def add(query: int) -> Found:
            return self.engine.add(self.texts.of(query), self.near.of(query), self.asked_QS[query], weight, self.top)

        return FoundLists(add, len(self.texts))


@dataclass(frozen=True, slots=True)
class PlacedPictures:
    """A space, and the job's pictures in it."""

    space: PictureSpace
    unit_PS: Vectors
    of_product: Ints
    has_text: Mask  # of each product

    def answer(self, asked: Questions, texts: TextAnswers, top: int) -> AnsweredByPictures:
        """Give both lists for every question, whose texts have given the first."""
        engine = self.engine(asked)
        asked_QS = self.space.find_queries(texts.unit_QD)
        near = FoundLists(lambda query: engine.find(asked_QS[query], top), len(asked_QS))
        return AnsweredByPictures(engine, texts.lists, near, asked_QS, top)

    def engine(self, asked: Questions) -> PictureEngine:
        """Index the pictures of the catalogue that some questions are asked of."""
        products_I = asked.products_I
        return make_picture_engine(self.unit_PS, self.of_product[products_I], self.has_text[products_I])


@dataclass(frozen=True, slots=True)
class WeighedPictures:
    """Pictures as they are searched beside the texts, and saved."""

    of_job: JobPictures
    placed: PlacedPictures
    weight: float  # of the pictures in the fusion

    def search(self, asked: Questions) -> PictureSearch:
        """Give what adds pictures to one query's list."""
        return PictureSearch(self.placed.engine(asked), self.placed.space, self.weight)

    def lists(self, asked: Questions, texts: TextAnswers, top: int) -> tuple[FoundLists, FoundLists]:
        """Give the lists of the pictures alone, and those of the texts with them."""
        answered = self.placed.answer(asked, texts, top)
        return answered.near, answered.fused(self.weight)

    def metrics(self, card: DataCard) -> dict[str, float]:
        """Give what is measured beside the lists."""
        return {"picture_weight": self.weight, "pictures_missing": float(card.pictures_missing or 0)}

    def save(self, asked: Questions, folder: Path) -> None:
        """Write the maps and the pictures of the catalogue, in its order."""
        placed, tower = self.placed, self.of_job.shown.tower
        temperature = round(1 / float(placed.space.scale()), 6)
        size = placed.space.text.out_features
        settings = PictureSettings(size, self.weight, tower.name, tower.sha256, tower.licence, temperature)
        places = placed.of_product[asked.products_I]
        save_pictures(SavedPictures(settings, placed.space, placed.unit_PS, places), folder)


def place_pictures(space: PictureSpace, shown: ShownProducts, pairs: Pairs) -> PlacedPictures:
    """Give the pictures of all products in a space."""
    with torch.no_grad():
        unit_PS = space.place_pictures(torch.from_numpy(shown.vectors_PW)).numpy()
    return PlacedPictures(space, unit_PS, shown.of_product, texts_there(pairs))


def texts_there(pairs: Pairs) -> Mask:
    """Say of each product whether it has a text."""
    return np.array([bool(text) for text in pairs.products], dtype=np.bool_)


def chance(asked: Questions) -> dict[str, float]:
    """Give what lists in random order would have, which maps that learnt nothing come to."""
    size = len(asked.products_I)
    discount = 1 / np.log2(np.arange(2, TOP + 2))
    within, relevant = discount[:size].sum(), [len(places) for places in asked.relevant]
    gains = [0.0 if not count else count / size * within / discount[:count].sum() for count in relevant]
    # A query with nothing relevant, where one is asked, counts as nought.
    some = float(np.mean([count > 0 for count in relevant]))
    recalls = {f"recall_at_{k}": some * min(k, size) / size for k in (TOP, DEEP)}
    return {f"ndcg_at_{TOP}": float(np.mean(gains)), **recalls}


def settle_pictures(job: RetrievalJob, folder: Path, *, training: bool) -> tuple[RetrievalJob, SavedPictures | None]:
    """Give a job that looks at pictures as a saved model does, unless it says otherwise; raise ModelError.

    The *folder* is the text model's, which knows the pictures of a model that was fitted with some.
    """
    images, saved = job.model.images, None if training else load_pictures(folder)
    if images is None:
        if saved is not None:
            say(f"trainer: {folder}: was fitted with pictures, and the job names none: its texts alone are scored")
        return job, None
    if training:
        return job, None
    if saved is None:
        raise ModelError(
            f"{folder}: was fitted without pictures: leave [model.images] and the column of pictures out, or fit"
        )
    told = {"weight": saved.settings.weight, "size": saved.settings.size}
    images = settle(images, told, "model.images", training=False, learnt=("size",))
    return job.model_copy(update={"model": job.model.model_copy(update={"images": images})}), saved


def open_pictures(
    job: RetrievalJob, pairs: Pairs, saved: SavedPictures | None, drawn_N: Ints, *, training: bool, device: Device
) -> tuple[JobPictures | None, Pairs]:
    """Let the tower see what a job's products show, and count them in the card; raise an InputError."""
    images, path = job.model.images, job.data.path
    if images is None:
        return None, pairs
    tower = open_job_tower(images, device, job.model.cache)
    if saved is not None and saved.settings.tower_sha256 != tower.sha256:
        raise ModelError(
            f"model.images: the saved model was fitted with the tower {saved.settings.tower}, whose weights have the"
            f" sha256 {saved.settings.tower_sha256[:12]}...; this one's have {tower.sha256[:12]}..., the same are right"
        )
    shown, pairs = look_at_products(images, pairs, tower, path, job.model.cache)
    learnt_N = drawn_N[shown.have(pairs.product_id[drawn_N])]
    if training and len(learnt_N) < images.batch:
        raise DataError(
            f"{path}: {len(learnt_N)} train rows with a label of relevant = {job.relevant:g} or more have a picture,"
            f" fewer than model.images.batch = {images.batch}"
        )
    if training and images.early_stop is not None:
        rows = pairs.rows(Part.VALID)
        rows = rows[pairs.label[rows] >= job.relevant]
        if not shown.have(pairs.product_id[rows]).any():
            raise DataError(
                f"{path}: model.images.early_stop looks at the valid rows, and no relevant one has a picture"
            )
    return JobPictures(images, shown, learnt_N, saved), pairs
