"""What can be made of a tuned judge of pairs: graphs that give the same numbers, nearly."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.compression.candidates import LESS_IS_BETTER, Candidate, Scored
from trainer.compression.int8 import quantize, quantize_by_samples, samples_of
from trainer.compression.layer_reader import LayerReader, open_reader
from trainer.compression.layered_students import LayerLessons, make_half, make_pruned
from trainer.compression.onnx_export import export_cross_encoder
from trainer.data.splits import Part
from trainer.jobs.schema import ModelJob, RelevanceJob
from trainer.learning.pair_loss import pair_loss
from trainer.measures.bootstrap import Interval, statistic_intervals
from trainer.measures.pair_predictions import (
    PairPredictions,
    predict,
    prediction_columns,
    prediction_statistic,
)
from trainer.measures.per_example import number
from trainer.models.label_scale import save_settings
from trainer.models.model_form import FORM, read_form
from trainer.models.pair_tokens import Tokens
from trainer.models.saved_cross_encoder import SavedCrossEncoder, as_tuned_judge, open_cross_encoder
from trainer.models.saved_encoder import refuse_to_tune
from trainer.models.source import find_source
from trainer.tasks.relevance import REPLICATES, Relevance, load

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelledPairs:
    """See trainer.compression.importance.LabelledRows."""

    tokens: Tokens
    wanted_N: Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    def loss_of(self, reader: LayerReader, rows: Ints) -> Tensor:
        """Give the mean cross-entropy of some pairs."""
        output_BC, _ = reader.read(self.tokens.pad(rows, reader.pad_token))
        return pair_loss(output_BC, self.wanted_N[torch.from_numpy(rows)], torch.ones(len(rows)))


class RelevanceCandidates:
    """See trainer.compression.candidates.Compressible."""

    candidates: tuple[Candidate, ...] = (
        Candidate.ONNX,
        Candidate.INT8,
        Candidate.STATIC_INT8,
        Candidate.HALF,
        Candidate.PRUNED,
    )
    metric = "auc"
    answers_at_once = 512  # pairs, so that lengths agree as they do among all

    def __init__(self, job: RelevanceJob, scratch: Path) -> None:
        self.job, self.scratch = job, scratch
        refuse_to_tune(find_source(job.model), training=True)
        self.task: Relevance = load(job, training=False)
        self.rows = self.task.pairs.rows(Part(job.part))
        self.questions = len(self.rows)
        self.judged: dict[str, PairPredictions] = {}

    def original(self) -> Scored:
        """Score the model as it was saved."""
        return self._score("", self.task.model)

    def make(self, candidate: Candidate, folder: Path) -> Scored:
        """Make a candidate, write its folder as `fit` would, and score it."""
        bare = self.scratch / f"bare-{candidate}"
        match candidate:
            case Candidate.HALF:
                make_half(self._lessons(), bare)
            case Candidate.PRUNED:
                make_pruned(self._lessons(), bare)
            case _:
                self._export(candidate, bare)
        model = open_cross_encoder(find_source(ModelJob(folder=bare)), self.task.job.model, self.task.scale.outputs)
        scored = self._score(candidate, model)
        assert self.task.saved is not None  # load refuses a bare model
        model.save(folder)
        save_settings(self.task.saved, folder)
        return scored

    def _export(self, candidate: Candidate, bare: Path) -> None:
        exported = self.scratch / f"bare-{Candidate.ONNX}"
        if not (exported / FORM).exists():
            export_cross_encoder(as_tuned_judge(self.task.model), exported)
        if candidate is Candidate.INT8:
            quantize(exported, read_form(exported), bare)
        elif candidate is Candidate.STATIC_INT8:
            model = as_tuned_judge(self.task.model)
            samples = samples_of(self._learnt()[1], model.pad_token, self.job.compress.seed)
            quantize_by_samples(exported, read_form(exported), bare, samples)

    def _lessons(self) -> LayerLessons:
        task, settings, model = self.task, self.job.compress, as_tuned_judge(self.task.model)
        rows, tokens = self._learnt()
        labelled = LabelledPairs(tokens, torch.from_numpy(task.wanted(rows)))
        return LayerLessons(
            lambda: open_reader(model.source, model.pooling, model.head), tokens, lambda: labelled, settings
        )

    def _learnt(self) -> tuple[Ints, Tokens]:
        """Give train rows, and their tokens: what students and scales are made with."""
        settings, pairs = self.job.compress, self.task.pairs
        rows = np.random.default_rng(settings.seed).permutation(pairs.rows(Part.TRAIN))
        rows = np.sort(rows[: settings.recovery.rows])
        return rows, self.task.model.encode(*pairs.texts(rows))

    def lose(self, candidate: Candidate, metric: str) -> tuple[float, Interval | None]:
        """Give what a candidate loses of a metric, and the interval, paired by the queries that are drawn."""
        first, second = (prediction_statistic(self.judged[name]) for name in ("", candidate))
        sign = -1.0 if metric in LESS_IS_BETTER else 1.0

        def lost(weight_N: Floats) -> dict[str, float]:
            return {metric: sign * (first(weight_N)[metric] - second(weight_N)[metric])}

        names = self.task.pairs.names(self.rows, self.task.job.unit)
        told_by = prediction_columns(self.judged[""])
        between = statistic_intervals(number(names), lost, REPLICATES, told_by=told_by).get(metric)
        return lost(np.ones(len(self.rows)))[metric], between

    def _score(self, name: str, model: SavedCrossEncoder) -> Scored:
        task, texts = self.task, self.task.pairs.texts(self.rows)
        assert task.saved is not None
        output_NC = model.score_pairs(*texts)
        judged = predict(task.pairs, self.rows, output_NC, task.saved, task.job.data.path, task.job.nothing_relevant)
        self.judged[name] = judged
        found = prediction_statistic(judged)(np.ones(len(self.rows)))

        def ask(places: Sequence[int]) -> Floats:
            queries, products = ([column[place] for place in places] for column in texts)
            return model.score_all(model.encode(queries, products))

        def answer(places: Sequence[int]) -> Floats:
            queries, products = ([column[place] for place in places] for column in texts)
            return model.score_pairs(queries, products)

        metrics = {name: value for name, value in found.items() if np.isfinite(value)}
        return Scored(metrics, ask, answer, model.megabytes())
