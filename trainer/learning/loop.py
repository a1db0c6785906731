"""The training loop: a step a batch under a warm-up and a linear decay, whatever is learnt."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.learning.checkpoints import NoCheckpoints
from trainer.learning.early_stop import EarlyStop
from trainer.learning.gradients import InParts, Lesson, LossWatch, Scaling
from trainer.models.crew import ALONE, Crew
from trainer.models.device import PROCESSOR, Device
from trainer.models.shards import clip_norm
from trainer.task import Checkpoints, OnStep, Standing, StepReport

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters that share a rate."""

    parameters: Sequence[torch.nn.Parameter]
    lr: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """How rates rise and fall, and what holds the weights back."""

    warmup: float  # share of the steps
    weight_decay: float
    clip: float  # largest gradient norm


def train(
    groups: Sequence[ParameterGroup],
    batches: Sequence[Ints],
    loss_of: Callable[[Ints], Tensor],
    pace: Schedule,
    on_step: OnStep,
    checkpoints: Checkpoints | None = None,
    *,
    in_parts: InParts | None = None,
    parts: int = 1,
    device: Device = PROCESSOR,
    early: EarlyStop | None = None,
    expect: Callable[[Ints | None, int], None] | None = None,
) -> None:
    """Step once a batch of row numbers, telling *on_step* after each; raise FloatingPointError for a lost loss.

    A batch is learnt *in_parts*, so many from the first, and more once it does not fit into memory. It ends *early*
    where that says so. Whoever wants to *expect* a batch, and in how many parts, is told of the next before each.
    """
    # Decay stands apart from the gradient (Loshchilov and Hutter 2019): large gradients do not weaken it.
    optimizer = torch.optim.AdamW(
        [{"params": list(group.parameters), "lr": group.lr} for group in groups],
        weight_decay=pace.weight_decay,
        fused=True if device.fuses else None,
    )
    parameters = [parameter for group in groups for parameter in group.parameters]
    batches = device.crew.learn_alike(batches)
    keeper, losses = checkpoints or NoCheckpoints(), LossWatch(len(batches))
    standing = Standing(parameters, optimizer, len(batches), _hash_order(batches), parts)
    scaling = Scaling(device)
    keeper.carry("scaling", [scaling.state])
    lesson = Lesson(loss_of, in_parts, scaling, device.crew)
    if early is not None:
        early.begin(parameters, keeper)
    with keeper.following(standing) as done:
        scaling.take_up()
        device.crew.start_alike(parameters)
        for step, rows in enumerate(batches[done:], start=done + 1):
            if early is not None and early.is_over:
                break
            device.crew.draw_apart(standing.order, step)
            share = schedule(step, len(batches), pace.warmup)
            for group, settings in zip(groups, optimizer.param_groups, strict=True):
                settings["lr"] = group.lr * share
            if expect is not None:
                expect(batches[step] if step < len(batches) else None, standing.parts)
            value, standing.parts = lesson.send_back(rows, standing.parts, optimizer, losses, step)
            where = f" at step {step} of {len(batches)}"
            update(optimizer, parameters, pace.clip, scaling, where, device.crew)
            seen = None if early is None else early.look(parameters, step, len(batches))
            on_step(StepReport(step, value, groups[0].lr * share, len(rows), seen))
            keeper.step_done(step)
    if early is not None:
        early.finish(parameters, len(batches))


def _hash_order(batches: Sequence[Ints]) -> str:
    """Hash which rows are learnt at which step."""
    digest = hashlib.sha256()
    for rows in batches:
        digest.update(len(rows).to_bytes(4, "little") + np.ascontiguousarray(rows, dtype="<i8").tobytes())
    return digest.hexdigest()[:16]


def schedule(step: int, steps: int, warmup: float) -> float:
    """Give the share of the learning rate at a step from 1: up over the warm-up, then straight down towards zero."""
    # Adam's second moments rest on few gradients at first (Liu et al. 2020): early steps are kept short.
    rising = max(1, round(warmup * steps))
    # The last step still has a share: at nought it would cost as much as any and change nothing.
    return min(step / rising, (steps - step + 1) / max(1, steps - rising + 1))


def update(
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[Tensor],
    clip: float,
    scaling: Scaling | None = None,
    when: str = "",
    crew: Crew = ALONE,
) -> None:
    """Step down the gradient, its norm cut at *clip*; raise FloatingPointError for one that is no number."""
    scaling = scaling or Scaling(PROCESSOR)
    scaling.unscale(optimizer)
    # One odd batch must not undo the others (Pascanu et al. 2013); the direction stays, all groups being cut together.
    norm = clip_norm(parameters, clip, crew) if crew.shards else torch.nn.utils.clip_grad_norm_(parameters, clip)
    if not scaling.scaler and not torch.isfinite(norm):  # after such a step every weight would be lost
        raise FloatingPointError(f"the gradient's norm is {float(norm)}{when}; a smaller train.lr may help")
    scaling.step(optimizer)
