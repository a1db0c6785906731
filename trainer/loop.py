"""Epochs of shuffled batches under a warm-up and a linear decay."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch

from trainer.config import TrainJob
from trainer.encoder import Hidden, TextEncoder
from trainer.scorer import Scorer
from trainer.step import Example, batch_loss, make_batch, update


@dataclass(frozen=True, slots=True)
class StepReport:
    step: int  # from 1
    loss: float  # nats a target
    lr: float
    trips: int
    seconds: float


def count_steps(examples: int, job: TrainJob) -> int:
    """Count steps; a short last batch joins the epoch, a batch of one trip has nothing to be told from and does not."""
    return job.epochs * len(_batch_starts(examples, job.batch))


def train(
    encoder: TextEncoder,
    hidden: Hidden,
    scorer: Scorer,
    examples: Sequence[Example],
    job: TrainJob,
    rng: np.random.Generator,
    on_step: Callable[[StepReport], None],
) -> None:
    """Train the encoder's upper layers in place, telling *on_step* after each step."""
    parameters = encoder.parameters()
    optimizer = torch.optim.AdamW(parameters, lr=job.lr, weight_decay=job.weight_decay)
    steps = count_steps(len(examples), job)
    for step, chosen in enumerate(_shuffled_batches(examples, job, rng), start=1):
        began = perf_counter()
        lr = job.lr * schedule(step, steps, job.warmup)
        for group in optimizer.param_groups:
            group["lr"] = lr
        batch = make_batch(chosen)
        unit_ED = scorer.unit_vectors(encoder.encode(hidden, batch.texts_E))
        loss = batch_loss(unit_ED, batch, scorer.settings.temperature)
        update(loss, optimizer, parameters, job.clip)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {step} of {steps}; a smaller train.lr may help")
        on_step(StepReport(step, value, lr, len(chosen), perf_counter() - began))


def schedule(step: int, steps: int, warmup: float) -> float:
    """Give the share of the learning rate at a step from 1: up over the warm-up, then straight down towards zero."""
    rising = max(1, round(warmup * steps))
    return min(step / rising, (steps - step + 1) / max(1, steps - rising + 1))


def _shuffled_batches(
    examples: Sequence[Example], job: TrainJob, rng: np.random.Generator
) -> Iterator[Sequence[Example]]:
    for _ in range(job.epochs):
        order = rng.permutation(len(examples))
        for start in _batch_starts(len(examples), job.batch):
            yield [examples[position] for position in order[start : start + job.batch]]


def _batch_starts(examples: int, batch: int) -> range:
    return range(0, max(examples - 1, 0), batch)
