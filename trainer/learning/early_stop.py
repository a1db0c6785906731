"""Ends a training once the loss of the valid rows falls no more, and leaves the weights that had the lowest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from trainer.jobs.running import EarlyStopJob
from trainer.task import Checkpoints
from trainer.tracking.progress import say


@dataclass(slots=True)
class EarlyStop:
    """Looks at the valid rows now and then."""

    loss_of_valid: Callable[[], float]
    every: int  # steps
    patience: int  # looks that may bring nothing lower
    best: list[Tensor] = field(default_factory=list)  # weights at the best look
    state: Tensor = field(default_factory=lambda: torch.tensor([torch.inf, 0, 0], dtype=torch.float64))
    """The lowest loss, how many looks brought nothing lower since, its step: a tensor, for a fit that goes on."""

    def begin(self, parameters: Sequence[Tensor], checkpoints: Checkpoints) -> None:
        """Take what is there as the best, until a look says more."""
        self.best = [parameter.detach().clone() for parameter in parameters]
        checkpoints.carry("early_stop.best", self.best)
        checkpoints.carry("early_stop.state", [self.state])

    @property
    def is_over(self) -> bool:
        """Say whether enough looks brought nothing lower."""
        return float(self.state[1]) >= self.patience

    @torch.no_grad()
    def look(self, parameters: Sequence[Tensor], step: int, steps: int) -> float | None:
        """Give the valid loss where it is time to look, and at the last step."""
        if step % self.every and step != steps:
            return None
        loss = self.loss_of_valid()
        if loss < float(self.state[0]):
            self.state.copy_(torch.tensor([loss, 0, step], dtype=torch.float64))
            for kept, parameter in zip(self.best, parameters, strict=True):
                kept.copy_(parameter)
        else:
            self.state[1] += 1
        return loss

    @torch.no_grad()
    def finish(self, parameters: Sequence[Tensor], steps: int) -> None:
        """Put the best weights back."""
        loss, _, step = self.state.tolist()
        if not step:  # never looked: this training was done before, and one that followed it goes on
            return
        say(f"trainer: the valid loss was lowest, {loss:.4g}, after step {step:.0f} of {steps}: these weights are kept")
        for kept, parameter in zip(self.best, parameters, strict=True):
            parameter.copy_(kept)


def stop_early(job: EarlyStopJob | None, batches: int, make: Callable[[], Callable[[], float]]) -> EarlyStop | None:
    """Give what ends a training whose epochs have so many batches, where the job wants that; *make* what measures."""
    return None if job is None else EarlyStop(make(), max(1, batches // job.looks), job.patience)
