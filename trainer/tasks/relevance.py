"""Relevance: how well does a product answer a query, judged by a model that reads both together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.data.card import DataCard
from trainer.data.pairs import Pairs, ReadPairs, read_pairs
from trainer.data.scored_hash import note_judged
from trainer.data.splits import Part
from trainer.data.words import word_overlap
from trainer.errors import DataError
from trainer.jobs.schema import RelevanceJob
from trainer.learning.batches import batches_by_length
from trainer.learning.early_stop import stop_early
from trainer.learning.loop import ParameterGroup, Schedule, train
from trainer.learning.pair_loss import balanced_weights, pair_loss, weighted_parts
from trainer.learning.prefetch import pad_ahead
from trainer.learning.weight_averaging import average_fits
from trainer.measures.bootstrap import Interval, Sliced, statistic_intervals
from trainer.measures.pair_predictions import (
    PairPredictions,
    class_numbers,
    count_without,
    list_metrics,
    predict,
    prediction_columns,
    prediction_metrics,
    prediction_statistic,
    prediction_table,
    predictions,
    settle_outputs,
)
from trainer.measures.per_example import aggregate, number, rows_by_name
from trainer.measures.slices import ShownSlices, choose_slices
from trainer.measures.undefined import explain_undefined, tell_without
from trainer.models.calibration import Calibration, fit_temperature
from trainer.models.cross_encoder import start_head
from trainer.models.device import PROCESSOR, Device
from trainer.models.label_scale import (
    CLASSES,
    GRADES,
    SETTINGS,
    JobScale,
    LabelScale,
    RelevanceSettings,
    check_saved_scale,
    choose_scale,
    load_settings,
    save_settings,
)
from trainer.models.saved_cross_encoder import SavedCrossEncoder, as_tuned_judge, open_cross_encoder, tell_trained
from trainer.models.saved_encoder import refuse_to_tune
from trainer.models.saved_settings import settle_pairs
from trainer.models.source import find_source, not_saved
from trainer.models.token_losses import tell_losses
from trainer.task import Amount, Checkpoints, Command, OnStep, Outcome
from trainer.tasks.adaptation import adapt, adapted_metrics, known_texts, tell_adapted
from trainer.tasks.memory_needs import check_memory, check_weights, relevance_needs
from trainer.tasks.valid_losses import check_valid_rows, valid_pair_loss

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TUNED, SAVED, BASE_RATE, OVERLAP = "tuned", "saved", "base rate", "word overlap"
PREDICTIONS = "predictions.parquet"
TIMED_PAIRS, REPLICATES, SLICE_REPLICATES = 64, 500, 200


@dataclass(frozen=True, slots=True)
class Relevance:
    """A job's pairs and model, loaded and checked: see trainer.task.Task."""

    job: RelevanceJob
    pairs: Pairs
    scale: LabelScale
    model: SavedCrossEncoder
    saved: RelevanceSettings | None

    @property
    def card(self) -> DataCard:
        return self.pairs.card

    def facts(self) -> Mapping[str, str | int | float | bool]:
        return {
            **self.model.facts(),
            "model.kind": self.model.source.kind,
            "model.max_tokens": self.job.model.max_tokens,
            "data.spelling": self.job.data.spelling,
            "model.pooled_by": self.model.pooling,
            "relevance.kind": self.scale.kind,
        }

    def story(self, command: Command) -> Mapping[str, str]:
        rows = self.pairs.rows(Part(self.job.part))
        queries, lora = len(np.unique(self.pairs.query_id[rows])), self.job.model.lora is not None
        judged = {CLASSES: f"one of {len(self.scale.classes)} classes", GRADES: "a grade"}.get(
            self.scale.kind, "yes or no"
        )
        return {
            "tested on": f"{len(rows)} pairs of {queries} queries, the {self.job.part} rows; {judged} a pair",
            "relevant": "" if self.scale.kind == CLASSES else f"from {self.scale.relevant:g}",
            **({"fine-tuned": tell_trained(self.model, lora=lora)} if command == "fit" else {}),
            "data": f"{self.card.rows_kept} of {self.card.rows_in} rows, hash {self.card.hash[:12]}",
            **tell_adapted(self.model),
            **tell_losses(self.card),
        }

    def amount(self) -> Amount:
        return Amount(len(self._learnt()) * self.job.train.epochs * self.job.train.average, "pairs")

    def fit(self, on_step: OnStep, checkpoints: Checkpoints) -> "ReadyRelevance":
        rng = np.random.default_rng(self.job.seed)
        rows, model = self._learnt(rng), as_tuned_judge(self.model)
        adapt(model, partial(known_texts, self.pairs), self.job, on_step, checkpoints)
        settings, device, tokens = self.job.train, model.device, model.encode(*self.pairs.texts(rows))
        given, expect = pad_ahead(tokens, model.pad_token, device)
        wanted = torch.from_numpy(self.wanted(rows))
        balances = settings.balance == "weights" and self.scale.kind != GRADES  # grades are no classes
        weights = balanced_weights(self.pairs.label[rows], balances=balances)
        if self.saved is None:
            start_head(model, wanted, self.job.seed, classes=self.scale.kind == CLASSES)

        def loss_of(places: Ints) -> Tensor:
            chosen = torch.from_numpy(places)
            return pair_loss(model.score(given, places), device.put(wanted[chosen]), device.put(weights[chosen]))

        groups = [
            ParameterGroup(model.backbone_parameters(), settings.lr),
            ParameterGroup(model.head_parameters(), settings.head_lr),
        ]
        pace = Schedule(settings.warmup, settings.weight_decay, settings.clip)
        parts = weighted_parts(loss_of, weights, device.crew)
        learn = partial(train, groups, in_parts=parts, parts=settings.accumulate, device=device)

        def fit_once(on_step: OnStep) -> None:
            batches = batches_by_length(tokens.lengths, settings.batch, settings.epochs, rng)
            measure = partial(valid_pair_loss, model, self.pairs, self.wanted)
            early = stop_early(settings.early_stop, len(batches) // settings.epochs, measure)
            learn(batches, loss_of, pace, on_step, checkpoints, early=early, expect=expect)

        learnt = [one for group in groups for one in group.parameters]
        average_fits(settings.average, learnt, fit_once, on_step, checkpoints)
        model.come_together()
        return ReadyRelevance(self, self._settle(), fresh=True)

    def take_saved(self) -> "ReadyRelevance":
        assert self.saved is not None  # load refuses a bare model
        return ReadyRelevance(self, self.saved, fresh=False)

    def _learnt(self, rng: np.random.Generator | None = None) -> Ints:
        rows = self.pairs.rows(Part.TRAIN)
        wanted = self.job.train.pairs
        if wanted is None or wanted >= len(rows):
            return rows
        return rows[:wanted] if rng is None else np.sort(rng.permutation(rows)[:wanted])

    def wanted(self, rows: Ints) -> npt.NDArray[np.float32] | Ints:
        """Give what the model is to say of some pairs: numbers of classes, or shares."""
        if self.scale.kind == CLASSES:
            return class_numbers(self.pairs, rows, self.scale, self.job.data.path)
        return self.scale.shares(self.pairs.label[rows]).astype(np.float32)

    def _settle(self) -> RelevanceSettings:
        """Choose calibration and threshold on the valid rows; without any, outputs are taken as they are."""
        rows = self.pairs.rows(Part.VALID)
        settings = (self.job.model.max_tokens, self.model.pooling, self.job.data.spelling)
        if not len(rows):
            return RelevanceSettings(self.scale, Calibration(), Calibration(), 0.5, *settings)
        # Never on rows that were learnt: there a model is surer than it is right.
        output_NC = self.model.score_pairs(*self.pairs.texts(rows))
        if self.scale.kind == CLASSES:
            tempered = fit_temperature(output_NC, class_numbers(self.pairs, rows, self.scale, self.job.data.path))
            return RelevanceSettings(self.scale, tempered, Calibration(), 0.5, *settings)
        return RelevanceSettings(
            self.scale, *settle_outputs(output_NC[:, 0], self.pairs.label[rows], self.scale), *settings
        )


@dataclass(frozen=True, slots=True)
class ReadyRelevance:
    task: Relevance
    saved: RelevanceSettings
    fresh: bool

    def score(self) -> Outcome:
        """Judge every pair of the part, beside a constant and beside counting shared words."""
        task, name = self.task, TUNED if self.fresh else SAVED
        rows = task.pairs.rows(Part(task.job.part))
        output_NC = task.model.score_pairs(*task.pairs.texts(rows))
        judged, shown = self._predict(rows, output_NC, self.saved), task.job.slices
        metrics, table = prediction_metrics(judged, task.job.k), prediction_table(judged, task.job.k, task.job.unit)
        cost = {"ms_per_pair": self._time_pairs(rows), "model_mb": task.model.megabytes()}
        without = count_without(judged)
        counted = {} if without is None else {"queries_without_relevant": float(without)}
        compared = {**self._baselines(rows), name: metrics}
        further = self._intervals(judged, REPLICATES)
        sliced = self._sliced(rows, output_NC, choose_slices(table, shown.smallest, shown.most))
        undefined = explain_undefined(judged.answers, judged.choices, list_metrics(judged, task.job.k), metrics)
        notes, told = tell_without(without or 0, task.job.nothing_relevant), {PREDICTIONS: predictions(judged)}
        found = aggregate(table) | metrics | counted | cost | adapted_metrics(task.model)
        return Outcome(name, found, compared, table, further, sliced, told, undefined, notes)

    def _predict(self, rows: Ints, output_NC: Floats, saved: RelevanceSettings) -> PairPredictions:
        job = self.task.job
        return predict(self.task.pairs, rows, output_NC, saved, job.data.path, job.nothing_relevant)

    def _intervals(self, judged: PairPredictions, replicates: int) -> dict[str, Interval]:
        cluster_N, told_by = number(judged.pairs.names(judged.rows, self.task.job.unit)), prediction_columns(judged)
        return statistic_intervals(cluster_N, prediction_statistic(judged), replicates, told_by=told_by)

    def save(self, folder: Path) -> None:
        self.task.model.save(folder)
        save_settings(self.saved, folder)

    def _sliced(self, rows: Ints, output_NC: Floats, shown: ShownSlices) -> dict[str, dict[str, Sliced]]:
        pairs = self.task.pairs
        found: dict[str, dict[str, Sliced]] = {}
        for column, values in shown.values.items():
            names = pairs.slices[column]
            for value, places in rows_by_name([names[row] for row in rows.tolist()], values).items():
                judged = self._predict(rows[places], output_NC[places], self.saved)
                intervals = self._intervals(judged, SLICE_REPLICATES)
                found.setdefault(column, {})[value] = Sliced(prediction_metrics(judged, self.task.job.k), intervals)
        return found

    def _baselines(self, rows: Ints) -> dict[str, dict[str, float]]:
        """Give what needs no model, settled on the same valid rows: a constant, and the share of shared words."""
        task, scale = self.task, self.saved.scale
        if scale.kind == CLASSES:
            return {BASE_RATE: prediction_metrics(self._predict(rows, self._class_rates(rows), self.saved), 0)}
        valid = task.pairs.rows(Part.VALID)
        settled = valid if len(valid) else task.pairs.rows(Part.TRAIN)
        found = {}
        for name, output_of in ((BASE_RATE, lambda rows: np.zeros(len(rows))), (OVERLAP, self._overlap)):
            settings = settle_outputs(output_of(settled), task.pairs.label[settled], scale)
            saved = RelevanceSettings(scale, *settings, self.saved.max_tokens, self.saved.pooling)
            judged = self._predict(rows, output_of(rows)[:, None], saved)
            found[name] = prediction_metrics(judged, task.job.k)
        return found

    def _class_rates(self, rows: Ints) -> Floats:
        """Give outputs whose chances are the classes' shares of the train rows."""
        task, scale = self.task, self.saved.scale
        train = task.pairs.rows(Part.TRAIN)
        counts = np.bincount(class_numbers(task.pairs, train, scale, task.job.data.path), minlength=scale.outputs)
        # One more of each: a class that training never saw is unlikely, not impossible.
        return np.tile(np.log(counts + 1.0) / self.saved.calibration.slope, (len(rows), 1))

    def _overlap(self, rows: Ints) -> Floats:
        return np.array([word_overlap(*texts) for texts in zip(*self.task.pairs.texts(rows), strict=True)])

    def _time_pairs(self, rows: Ints) -> float:
        """Give the median milliseconds from two texts to a judgement, one pair at a time."""
        seconds, model = [], self.task.model
        for row in rows[:TIMED_PAIRS]:
            began = perf_counter()
            model.score_all(model.encode(*self.task.pairs.texts(np.array([row]))))
            seconds.append(perf_counter() - began)
        return float(np.median(seconds)) * 1000


def load(job: RelevanceJob, *, training: bool, device: Device = PROCESSOR, read: ReadPairs = read_pairs) -> Relevance:
    """Load pairs and model, raising InputError for whatever a job cannot run with."""
    source = find_source(job.model)
    refuse_to_tune(source, training=training)
    saved = load_settings(source.folder)
    if saved is None and not training:
        raise not_saved(source.folder, SETTINGS)
    if saved is not None:
        job = settle_pairs(job, saved.max_tokens, saved.pooling, spelling=saved.spelling, training=training)
    pairs = note_judged(read(job.data), Part(job.part))
    for part in (Part.TRAIN, Part(job.part)) if training else (Part(job.part),):
        if not len(pairs.rows(part)):
            raise DataError(f"{job.data.path}: no row is for {part.value}")
    check_valid_rows(job, pairs)
    scale = _scale_of(job, pairs, saved, training=training)
    torch.manual_seed(job.seed)  # adapters and the head are drawn
    check_weights(source, job, device.crew, training=training)
    trained = job.train.layers if training else None
    model = open_cross_encoder(source, job.model, scale.outputs, trained, device, tuned=saved is not None)
    check_memory(job.data.path, relevance_needs(job, model, pairs, training=training))
    pairs = replace(pairs, card=model.note_losses(pairs.card, *pairs.texts(np.arange(len(pairs)))))
    return Relevance(job, pairs, scale, model, saved)


def _scale_of(job: RelevanceJob, pairs: Pairs, saved: RelevanceSettings | None, *, training: bool) -> LabelScale:
    if saved is not None:
        told = JobScale(job.target, job.relevant, settled=not training)
        return check_saved_scale(saved.scale, pairs.label, pairs.classes, told, job.data.path)
    label_N = pairs.label[pairs.rows(Part.TRAIN)]
    return choose_scale(label_N, pairs.label, pairs.classes, job.target, job.relevant, job.data.path)
