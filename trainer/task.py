"""What a job can be about: every task is loaded, fitted or taken as saved, scored and written in the same steps."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import pyarrow as pa

from trainer.data.card import DataCard
from trainer.measures.bootstrap import Interval, Sliced
from trainer.measures.per_example import PerExample

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

Command = Literal["fit", "evaluate", "compress", "transfer"]


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a fit tells of one step."""

    step: int  # from 1
    loss: float  # nats a target
    lr: float
    examples: int  # learnt from in this step
    valid_loss: float | None = None  # where the valid rows were looked at
    adapting: bool = False  # of the reading before the task, whose steps are counted by themselves

    def curves(self) -> dict[str, float]:
        """Give what is drawn of it, by the name of the curve."""
        if self.adapting:
            return {"adapt/loss": self.loss, "adapt/lr": self.lr}
        seen = {} if self.valid_loss is None else {"valid/loss": self.valid_loss}
        return {"train/loss": self.loss, "train/lr": self.lr, **seen}


@dataclass(frozen=True, slots=True)
class Amount:
    """How much a fit has to do, in the unit that its steps report."""

    examples: int
    unit: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What scoring a model gives: metrics, the table they are means of, and what stands beside it."""

    name: str  # of the scored model among `compared`
    metrics: dict[str, float]
    compared: dict[str, dict[str, float]]  # scorer -> metrics, on the same examples
    table: PerExample
    intervals: Mapping[str, Interval] = field(default_factory=dict)  # of metrics that are no mean over the table
    sliced: Mapping[str, Mapping[str, Sliced]] = field(default_factory=dict)  # column -> value
    tables: Mapping[str, pa.Table] = field(default_factory=dict)  # further rows to look at, by file name
    undefined: Mapping[str, str] = field(default_factory=dict)  # metric that is absent -> why
    notes: Mapping[str, str] = field(default_factory=dict)  # what else the summary says


OnStep = Callable[[StepReport], None]


@dataclass(slots=True)
class Standing:
    """What changes from step to step, and what says that it is the same training."""

    parameters: Sequence["Tensor"]
    optimizer: "Optimizer"
    steps: int
    order: str  # hash of which rows are learnt at which step
    parts: int = 1  # in which a batch is learnt, for want of memory


class Checkpoints(Protocol):
    """What the loops of a fit tell, one loop after the other."""

    def following(self, standing: Standing) -> AbstractContextManager[int]:
        """Give how many steps of this loop are done already, everything being as it was after them."""
        ...

    def step_done(self, step: int) -> None:
        """Take note of a step; raise Stopped where the fit was told to stop."""
        ...

    def carry(self, name: str, tensors: Sequence["Tensor"]) -> None:
        """Keep these too, which change between steps or loops, and put them back as they were."""
        ...

    def taken(self) -> int:
        """Give how many steps of the task's own loops earlier tries have told."""
        ...


class Ready(Protocol):
    """A model ready to be scored and saved."""

    def score(self) -> Outcome:
        """Measure the model on the part of the data that the job names."""
        ...

    def save(self, folder: Path) -> None:
        """Write a model folder that `evaluate` reads."""
        ...


class Task(Protocol):
    """A job's data and model, loaded and checked; nothing computed yet."""

    @property
    def card(self) -> DataCard:
        """Say what the data are."""
        ...

    def facts(self) -> Mapping[str, str | int | float | bool]:
        """Give what decides the numbers beside the job file: digests, frozen layers."""
        ...

    def story(self, command: Command) -> Mapping[str, str]:
        """Say in words what was done, for the summary."""
        ...

    def amount(self) -> Amount:
        """Say how much a fit has to do."""
        ...

    def fit(self, on_step: OnStep, checkpoints: Checkpoints) -> Ready:
        """Train the model in place, telling *on_step* after each step; raise FloatingPointError for a lost loss.

        Where *checkpoints* know of an earlier try, the steps that it told are not made again.
        """
        ...

    def take_saved(self) -> Ready:
        """Take the model as it was loaded."""
        ...
