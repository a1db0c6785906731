"""Epochs of shuffled batches under a warm-up and a linear decay."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from trainer.config import TrainJob
from trainer.encoder import Hidden, TextEncoder
from trainer.scorer import Scorer
from trainer.step import Example, batch_loss, make_batch, update
from trainer.tasks import StepReport


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
    batches = _shuffled_batches(examples, job, rng)
    for step, chosen in enumerate(batches, start=1):
        lr = job.lr * schedule(step, len(batches), job.warmup)
        for group in optimizer.param_groups:
            group["lr"] = lr
        batch = make_batch(chosen)
        unit_ED = scorer.unit_vectors(encoder.encode(hidden, batch.texts_E))
        loss = batch_loss(unit_ED, batch, scorer.settings.temperature)
        update(loss, optimizer, parameters, job.clip)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise FloatingPointError(
                f"the loss is {value} at step {step} of {len(batches)}; a smaller train.lr may help"
            )
        on_step(StepReport(step, value, lr, len(chosen)))


def schedule(step: int, steps: int, warmup: float) -> float:
    """Give the share of the learning rate at a step from 1: up over the warm-up, then straight down towards zero."""
    rising = max(1, round(warmup * steps))
    return min(step / rising, (steps - step + 1) / max(1, steps - rising + 1))


def _shuffled_batches(examples: Sequence[Example], job: TrainJob, rng: np.random.Generator) -> list[list[Example]]:
    """Shuffle every epoch anew and cut it into batches as even as can be, none above the wanted size."""
    batches = -(-len(examples) // job.batch)
    orders = [rng.permutation(len(examples)) for _ in range(job.epochs)]
    parts = [part for order in orders for part in np.array_split(order, batches)]
    return [[examples[position] for position in part] for part in parts]
