"""The training loop: a step a batch under a warm-up and a linear decay, whatever is learnt."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.learning.checkpoints import NoCheckpoints
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
) -> None:
    """Step once a batch of row numbers, telling *on_step* after each; raise FloatingPointError for a lost loss."""
    # Decay stands apart from the gradient (Loshchilov and Hutter 2019): large gradients do not weaken it.
    optimizer = torch.optim.AdamW(
        [{"params": list(group.parameters), "lr": group.lr} for group in groups], weight_decay=pace.weight_decay
    )
    parameters = [parameter for group in groups for parameter in group.parameters]
    keeper = checkpoints or NoCheckpoints()
    with keeper.following(Standing(parameters, optimizer, len(batches), _hash_order(batches))) as done:
        for step, rows in enumerate(batches[done:], start=done + 1):
            share = schedule(step, len(batches), pace.warmup)
            for group, settings in zip(groups, optimizer.param_groups, strict=True):
                settings["lr"] = group.lr * share
            loss = loss_of(rows)
            # Told before the step: after it every weight would be lost too, and the message would come a step late.
            value = float(loss.detach())
            if not np.isfinite(value):
                why = (
                    "a smaller train.lr may help"
                    if step > 1
                    else "no step was made yet, so the model or its data are at fault"
                )
                raise FloatingPointError(f"the loss is {value} at step {step} of {len(batches)}; {why}")
            update(loss, optimizer, parameters, pace.clip)
            on_step(StepReport(step, value, groups[0].lr * share, len(rows)))
            keeper.step_done(step)


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


def update(loss: Tensor, optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor], clip: float) -> None:
    """Step down the gradient of *loss*, its norm cut at *clip*."""
    # None, not nought: what a batch did not reach is left alone, neither decayed nor carried on by its momentum.
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    # One odd batch must not undo the others (Pascanu et al. 2013); the direction stays, all groups being cut together.
    torch.nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()
