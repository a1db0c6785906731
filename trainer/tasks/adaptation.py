"""Lets a model read itself into a job's texts before its task is learnt (Gururangan et al. 2020)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from trainer.data.pairs import Pairs
from trainer.data.splits import Part
from trainer.errors import DataError, ModelError, TrainingError
from trainer.jobs.adaptation import AdaptJob
from trainer.jobs.schema import Job
from trainer.learning.batches import batches_of_tokens
from trainer.learning.gaps import GapLesson, learning_alone
from trainer.learning.loop import ParameterGroup, Schedule, train
from trainer.models.adaptation import Adapted, BareModel, GapScore, hash_weights
from trainer.models.cross_encoder import CrossEncoder
from trainer.models.gap_head import GapHead, frequencies
from trainer.models.gap_tokens import GapTexts, find_gap_vocabulary, read_gap_texts, with_words
from trainer.models.text_encoder import TextEncoder
from trainer.task import Checkpoints, OnStep, StepReport
from trainer.tasks.memory_needs import adaptation_needs, check_memory
from trainer.tracking.progress import say, show_lines

Ints = npt.NDArray[np.int64]

ZERO_SHOT, ZERO_SHOT_FUSED = "zero-shot", "zero-shot fused"
UNTRAINED, UNTRAINED_FUSED = "adapted untrained", "adapted untrained fused"
LEAST = 2  # texts: one to read, one to measure by
APART = 2  # of the seed: what is drawn here is no matter to what the task draws
ORDER, READ, HELD_OUT = 1, 2, 3  # what of it
HEAD_LR, HEAD_STEPS = 5e-3, 200  # of the layer on top, alone: an epoch, so many at most
HEAD_FASTER = 10.0  # than the layers below it, as in a fit of relevance
WEIGHT_DECAY, CLIP = 0.01, 1.0


class Adaptable(Protocol):
    """A task's model that can be trained."""

    adapted: Adapted | None

    def bare(self) -> BareModel:
        """Give what is below whatever the task has put on top."""
        ...


def known_texts(pairs: Pairs) -> list[str]:
    """Give what may be read of pairs: texts of products, known when they are searched, and queries of train rows."""
    asked = pairs.query_id[pairs.rows(Part.TRAIN)]
    return sorted({*pairs.products, *(pairs.queries[query] for query in set(asked.tolist()))})


def check_adaptable(model: Adaptable, texts: Sequence[str], job: AdaptJob) -> None:
    """Raise ModelError where the model fills no gaps, has fewer layers or is cut, DataError for less than two texts."""
    bare = model.bare()
    if bare.device.crew.shards:
        raise ModelError("adapt: does not read with a model that is cut among processes: device.shard = false is right")
    vocabulary = find_gap_vocabulary(bare.source, bare.tokenizer)
    if job.layers is not None and job.layers > len(bare.layers):
        raise ModelError(f"adapt.layers: {job.layers} is more than the model's {len(bare.layers)}")
    found = len(list(islice(with_words(bare.tokenizer, texts, bare.pad_token, vocabulary), LEAST)))
    if found < LEAST:
        raise DataError(
            f"adapt: of {len(texts)} distinct texts {found or 'none'} has a word that the model knows; two are needed,"
            " one to read and one to measure by"
        )


def check_memory_to_adapt(model: Adaptable, job: AdaptJob) -> None:
    """Raise JobError where gradients, moments and a copy of what learns do not fit beside the model."""
    bare = model.bare()
    weights = sum(one.numel() for one in _learning(bare, job))
    check_memory(bare.source.folder, adaptation_needs(weights, bare.device))


def adapt(
    model: Adaptable, give_texts: Callable[[], Sequence[str]], job: Job, on_step: OnStep, checkpoints: Checkpoints
) -> None:
    """Let the model's layers learn in place to tell hidden tokens of some texts, where the job wants that."""
    if job.adapt is None:
        return
    texts = give_texts()
    check_adaptable(model, texts, job.adapt)
    try:
        model.adapted = _Reading.prepare(model.bare(), texts, job.adapt, job.seed).carry_out(on_step, checkpoints)
    except (FloatingPointError, TrainingError) as error:
        raise type(error)(f"adapting: {str(error).replace('train.', 'adapt.')}") from None
    say(f"trainer: adapted {model.adapted.tell()}")


def name_untrained(job: Job) -> tuple[str, str]:
    """Give what the rows of a model before its task are called, alone and fused: with `[adapt]` it is no bare one."""
    return (ZERO_SHOT, ZERO_SHOT_FUSED) if job.adapt is None else (UNTRAINED, UNTRAINED_FUSED)


def tell_adapted(model: object) -> dict[str, str]:
    """Say for the summary what a model read before its task."""
    found = _adapted(model)
    return {} if found is None else {"adapted": found.tell()}


def adapted_metrics(model: object) -> dict[str, float]:
    """Give what the reading is measured by, nothing of a model that read nothing."""
    found = _adapted(model)
    return {} if found is None else found.metrics()


def _adapted(model: object) -> Adapted | None:
    return model.adapted if isinstance(model, (TextEncoder, CrossEncoder)) else None


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is read, by what."""

    job: AdaptJob
    bare: BareModel
    read: GapLesson
    held_out: GapLesson
    parameters: Sequence[torch.nn.Parameter]
    seed: int

    @classmethod
    def prepare(cls, bare: BareModel, texts: Sequence[str], job: AdaptJob, seed: int) -> "_Reading":
        rng = np.random.default_rng([seed, APART])
        vocabulary = find_gap_vocabulary(bare.source, bare.tokenizer)
        shuffled = [texts[place] for place in rng.permutation(len(texts)).tolist()]
        drawn = list(islice(with_words(bare.tokenizer, shuffled, bare.pad_token, vocabulary), job.texts))
        held_out = min(max(1, round(job.valid_share * len(drawn))), len(drawn) - 1)
        read_as = partial(
            read_gap_texts,
            bare.tokenizer,
            pad_token=bare.pad_token,
            vocabulary=vocabulary,
            whole_words=job.whole_words,
        )
        read, held = read_as(texts=drawn[held_out:]), read_as(texts=drawn[:held_out])
        lesson = GapLesson(bare, _fresh_head(bare, read), read, vocabulary, job.mask, (seed, APART, READ))
        learns = _learning(bare, job)
        return cls(job, bare, lesson, replace(lesson, texts=held, seed=(seed, APART, HELD_OUT)), learns, seed)

    def carry_out(self, on_step: OnStep, checkpoints: Checkpoints) -> Adapted:
        head, learns = list(self.read.head.parameters()), self.parameters
        of_head, batches = self._draw_batches()
        # What the loops come to, for a fit that goes on behind them.
        measured = torch.full((4,), torch.nan, dtype=torch.float64)
        came_to = [one.detach().clone() for one in learns]
        checkpoints.carry("adapt.measured", [measured])
        checkpoints.carry("adapt.weights", came_to)
        say(f"trainer: adapts the model to {len(self.read.texts)} texts first, in {len(batches)} steps")
        advance = show_lines("adapting", sum(map(len, [*of_head, *batches])), "texts")

        def count_on(before: int, report: StepReport) -> None:
            on_step(replace(report, step=before + report.step, adapting=True))
            advance(report.examples, f"loss {report.loss:.3f}")

        with learning_alone(self.bare.model, ()):
            # Of a layer that knows nothing those below learn what it lacks: vectors then move farther and gain less.
            self._train([ParameterGroup(head, HEAD_LR)], of_head, partial(count_on, 0), checkpoints)
        if measured[0].isnan():
            measured[:2] = self._measure()
        with learning_alone(self.bare.model, learns):
            groups = [ParameterGroup(learns, self.job.lr), ParameterGroup(head, HEAD_FASTER * self.job.lr)]
            self._train(groups, batches, partial(count_on, len(of_head)), checkpoints)
        if measured[2].isnan():
            measured[2:] = self._measure()
            _copy(learns, came_to)
        _copy(came_to, learns)
        before, after = GapScore(*measured[:2].tolist()), GapScore(*measured[2:].tolist())
        return Adapted(before, after, len(self.read.texts), len(self.held_out.texts), hash_weights(learns))

    def _draw_batches(self) -> tuple[list[Ints], list[Ints]]:
        """Draw what the layer on top learns from, of an epoch of its own, and what all do."""
        lengths, epochs = self.read.texts.tokens.lengths, self.job.epochs
        batches = batches_of_tokens(
            lengths, self.job.batch, epochs + 1, np.random.default_rng([self.seed, APART, ORDER])
        )
        spare = [rows for rows in batches if rows[0] >= epochs * len(lengths)]
        return spare[:HEAD_STEPS], [rows for rows in batches if rows[0] < epochs * len(lengths)]

    def _train(
        self, groups: Sequence[ParameterGroup], batches: Sequence[Ints], on_step: OnStep, checkpoints: Checkpoints
    ) -> None:
        pace = Schedule(self.job.warmup, WEIGHT_DECAY, CLIP)
        lesson, device = self.read, self.bare.device
        train(groups, batches, lesson.loss_of, pace, on_step, checkpoints, in_parts=lesson.in_parts, device=device)

    def _measure(self) -> torch.Tensor:
        lengths = self.held_out.texts.tokens.lengths
        score = self.held_out.measure(batches_of_tokens(lengths, self.job.batch, 1, np.random.default_rng(0)))
        return torch.tensor([score.loss, score.accuracy], dtype=torch.float64)


def _learning(bare: BareModel, job: AdaptJob) -> list[torch.nn.Parameter]:
    layers = bare.layers[-job.layers :] if job.layers else bare.layers
    return [one for layer in layers for one in layer]


def _fresh_head(bare: BareModel, texts: GapTexts) -> GapHead:
    embeddings = bare.model.get_input_embeddings().weight
    frequency_V = frequencies(torch.from_numpy(texts.tokens.ids_P), len(embeddings))
    return GapHead(int(bare.model.config.hidden_size), embeddings, frequency_V).to(embeddings.device)


@torch.no_grad()
def _copy(given: Sequence[torch.Tensor], into: Sequence[torch.Tensor]) -> None:
    for one, other in zip(given, into, strict=True):
        other.copy_(one)
