"""Fits whose weights are averaged: a uniform soup (Wortsman et al. 2022)."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from trainer.learning.checkpoints import NoCheckpoints
from trainer.task import Checkpoints, OnStep, StepReport


def average_fits(
    fits: int,
    parameters: Sequence[torch.nn.Parameter],
    fit: Callable[[OnStep], None],
    on_step: OnStep,
    checkpoints: Checkpoints | None = None,
) -> None:
    """Fit several times from one start and leave the mean of the weights."""
    if fits == 1:  # three copies of the weights less
        fit(on_step)
        return
    keeper = checkpoints or NoCheckpoints()
    # From one start, the order of rows alone being different, fits stay in one valley: there the mean of weights is a
    # model, which between fits of different starts it is not.
    start = [parameter.detach().clone() for parameter in parameters]
    total = [torch.zeros_like(values) for values in start]
    # Put back while the fit that was cut off is taken up: what those before it add until then is no matter.
    keeper.carry("total", total)
    taken = keeper.taken()

    def count_on(report: StepReport) -> None:
        nonlocal taken
        taken += 1  # counted through: curves of several fits would else be drawn over one another
        on_step(replace(report, step=taken))

    with torch.no_grad():
        for _ in range(fits):
            for parameter, values in zip(parameters, start, strict=True):
                parameter.copy_(values)  # in place: whoever holds the model sees the averaged one in the end
            with torch.enable_grad():
                fit(count_on)
            for parameter, values in zip(parameters, total, strict=True):
                values.add_(parameter)
        for parameter, values in zip(parameters, total, strict=True):
            parameter.copy_(values / fits)
