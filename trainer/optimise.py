"""Steps over batches under a warm-up and a linear decay, whatever is learnt."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.loop import schedule
from trainer.step import update
from trainer.tasks import OnStep, StepReport

Ints = npt.NDArray[np.int64]
Batch = TypeVar("Batch")

BATCHES_SORTED_TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that share a rate."""

    parameters: Sequence[torch.nn.Parameter]
    lr: float


@dataclass(frozen=True, slots=True)
class Pace:
    warmup: float  # share of the steps
    weight_decay: float
    clip: float  # largest gradient norm


def optimise(
    groups: Sequence[Group],
    batches: Sequence[Ints],
    loss_of: Callable[[Ints], Tensor],
    pace: Pace,
    on_step: OnStep,
) -> None:
    """Step once a batch of row numbers, telling *on_step* after each; raise FloatingPointError for a lost loss."""
    optimizer = torch.optim.AdamW(
        [{"params": list(group.parameters), "lr": group.lr} for group in groups], weight_decay=pace.weight_decay
    )
    parameters = [parameter for group in groups for parameter in group.parameters]
    for step, rows in enumerate(batches, start=1):
        share = schedule(step, len(batches), pace.warmup)
        for group, settings in zip(groups, optimizer.param_groups, strict=True):
            settings["lr"] = group.lr * share
        loss = loss_of(rows)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise FloatingPointError(
                f"the loss is {value} at step {step} of {len(batches)}; a smaller train.lr may help"
            )
        update(loss, optimizer, parameters, pace.clip)
        on_step(StepReport(step, value, groups[0].lr * share, len(rows)))


def average_fits(
    fits: int, parameters: Sequence[torch.nn.Parameter], fit: Callable[[OnStep], None], on_step: OnStep
) -> None:
    """Fit several times from one start and leave the mean of the weights: a uniform soup (Wortsman et al. 2022)."""
    start = [parameter.detach().clone() for parameter in parameters]
    total = [torch.zeros_like(values) for values in start]
    taken = 0

    def count_on(report: StepReport) -> None:
        nonlocal taken
        taken += 1
        on_step(replace(report, step=taken))

    with torch.no_grad():
        for _ in range(fits):
            for parameter, values in zip(parameters, start, strict=True):
                parameter.copy_(values)
            with torch.enable_grad():
                fit(count_on)
            for parameter, values in zip(parameters, total, strict=True):
                values.add_(parameter)
        for parameter, values in zip(parameters, total, strict=True):
            parameter.copy_(values / fits)


def batches_by_length(lengths: Ints, batch: int, epochs: int, rng: np.random.Generator) -> list[Ints]:
    """Shuffle every epoch anew, in batches of rows of similar length: little of what is computed is padding.

    Only some batches' worth of rows are sorted together, so that batches differ from one epoch to the next.
    """
    batches: list[Ints] = []
    for _ in range(epochs):
        order = rng.permutation(len(lengths))
        together = batch * BATCHES_SORTED_TOGETHER
        parts: list[Ints] = []
        for start in range(0, len(order), together):
            rows = order[start : start + together]
            rows = rows[np.argsort(lengths[rows], kind="stable")]
            parts += np.array_split(rows, max(1, round(len(rows) / batch)))
        batches += [parts[place] for place in rng.permutation(len(parts))]
    return batches


def chunks(order: Ints, size: int) -> Iterable[Ints]:
    return (order[start : start + size] for start in range(0, len(order), size))
