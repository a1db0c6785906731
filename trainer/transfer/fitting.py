"""Fits and scores one cell: a job like the set's own, on what was drawn, from the model that it starts with."""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from shutil import rmtree

import numpy as np

from trainer.data.card import DataCard
from trainer.data.scored_hash import note_held_out, note_judged
from trainer.data.splits import Part
from trainer.jobs.schema import AnyJob, NextItemJob, RelevanceJob
from trainer.learning.checkpoints import NoCheckpoints
from trainer.measures.pair_predictions import predict, prediction_metrics, prediction_table, predictions
from trainer.models.calibration import Calibration
from trainer.models.label_scale import RelevanceSettings, choose_scale
from trainer.run import params_of
from trainer.task import OnStep, Outcome, Ready, Task
from trainer.tasks.next_item import slice_column
from trainer.tasks.next_item_report import report_popularity
from trainer.tasks.on_device import load_on_device
from trainer.tasks.relevance import PREDICTIONS
from trainer.transfer.drawing import Drawn
from trainer.transfer.judged_set import JudgedSet
from trainer.transfer.plan import learnt_rows
from trainer.transfer.sets import TransferSet
from trainer.transfer.trip_set import TripSet

NO_SLICE = 2**31 - 1  # examples: none has so many
NO_ANSWER = "no answer"  # what a judge says who has learnt nothing
Params = dict[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class CellModel:
    """A model that has learnt what a cell learns, ready to be saved and scored."""

    ready: Ready
    params: Params
    card: DataCard

    def save(self, folder: Path) -> None:
        """Write the model's folder, all at once."""
        partial = folder.with_name(f".{folder.name}.partial")
        rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self.ready.save(partial)
        partial.rename(folder)


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """What scoring a cell's model came to, and what decided it."""

    outcome: Outcome
    params: Params
    card: DataCard


def open_fit(
    one: TransferSet, drawn: Drawn, seed: int, model: Path | None, least_steps: int, *, adapts: bool = False
) -> tuple[Task, Params]:
    """Load what a fit on what was drawn needs, from a saved model or the job's own; raise InputError.

    A fit that *adapts* reads the target's texts first, as the job's [adapt] says; no other does.
    """
    seeded = _of_seed(one.job, seed, model)
    seeded = seeded.model_copy(update={"adapt": one.job.adapt}) if adapts else seeded
    job = _for_rows(seeded, learnt_rows(one, drawn), least_steps)
    task, device = load_on_device(job, training=True, given=one.given(drawn))
    return task, {**params_of(job, task), **device.facts()}


def fit_cell(opened: tuple[Task, Params], on_step: OnStep) -> CellModel:
    """Fit what was opened."""
    task, params = opened
    return CellModel(task.fit(on_step, NoCheckpoints()), params, task.card)


def score_cell(one: TransferSet, drawn: Drawn, seed: int, model: Path | None) -> CellOutcome:
    """Score a saved model, or the job's own, on a target of which a model that was not fitted on it learns nothing.

    What was drawn is what is counted beside a model: of next_item how often each item was chosen.
    """
    given = one.given(drawn)
    if model is None and isinstance(one, JudgedSet) and isinstance(one.job, RelevanceJob):
        return _unanswered(one, one.job)
    job = _of_seed(one.job, seed, model)
    task, device = load_on_device(job, training=False, given=given)
    outcome = task.take_saved().score()
    return CellOutcome(outcome, {**params_of(job, task), **device.facts()}, task.card)


def score_popularity(one: TransferSet, drawn: Drawn) -> CellOutcome:
    """Rank a target's items by how often they were chosen in what was drawn, alike for all users."""
    assert isinstance(one, TripSet)  # judged pairs have no such list, and the plan no such cell
    assert isinstance(one.job, NextItemJob)
    snapshot = note_held_out(one.given(drawn))
    job = one.job
    outcome = report_popularity(snapshot, job.train.min_history_days, job.score, slice_column(job))
    return CellOutcome(outcome, {"task": job.task, "data.hash": snapshot.card.hash}, snapshot.card)


def relevant_of(one: TransferSet) -> float | None:
    """Give the grade from which a pair of the set counts as relevant."""
    return one.job.relevant if isinstance(one, JudgedSet) else None


def _unanswered(one: JudgedSet, job: RelevanceJob) -> CellOutcome:
    """Score a judge without an answer: a bare model has no layer that judges, so that all pairs are alike to it."""
    pairs = note_judged(one.given(one.nothing()), Part.TEST)
    rows, all_labels = pairs.rows(Part.TEST), pairs.label
    scale = choose_scale(all_labels, all_labels, pairs.classes, job.target, job.relevant, job.data.path)
    plain = Calibration()
    saved = RelevanceSettings(scale, plain, plain, 0.5, job.model.max_tokens, job.model.pooling)
    judged = predict(pairs, rows, np.zeros((len(rows), scale.outputs)), saved, job.data.path, job.nothing_relevant)
    table, metrics = prediction_table(judged, job.k, job.unit), prediction_metrics(judged, job.k)
    outcome = Outcome(NO_ANSWER, metrics, {NO_ANSWER: metrics}, table, tables={PREDICTIONS: predictions(judged)})
    return CellOutcome(outcome, {"task": job.task, "data.hash": pairs.card.hash}, pairs.card)


def _of_seed(job: AnyJob, seed: int, model: Path | None) -> AnyJob:
    """Give a job with a seed, which scores its test and keeps nothing beside; from a saved model where one is named."""
    changed: dict[str, object] = {"seed": seed, "tensorboard": False, "transfer": None, "result": None, "adapt": None}
    changed["slices"] = job.slices.model_copy(update={"smallest": NO_SLICE})  # each set is looked at by itself
    if isinstance(job, NextItemJob):
        changed["score"] = job.score.model_copy(update={"factors": 0})  # a scorer beside, that nobody asks for here
    else:
        changed["part"] = "test"
    if model is not None:
        nowhere = dict.fromkeys(("package", "name", "revision", "registry", "sha256", "cache"))
        changed["model"] = job.model.model_copy(update={**nowhere, "folder": model})
    return job.model_copy(update=changed)


def _for_rows(job: AnyJob, rows: int, least_steps: int) -> AnyJob:
    """Give a job that learns so many rows: no batch is larger, and few rows are gone through more often."""
    batch = max(2, min(job.train.batch, rows))
    changed: dict[str, object] = {"batch": batch, "accumulate": min(job.train.accumulate, batch)}
    changed["epochs"] = max(job.train.epochs, ceil(least_steps / max(1, round(rows / batch))))
    if not isinstance(job, NextItemJob):
        changed["pairs"] = None  # they are drawn already
    return job.model_copy(update={"train": job.train.model_copy(update=changed)})
