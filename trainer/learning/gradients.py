"""The gradient of a batch: of the whole, or in parts where it does not fit into memory; a loss that is lost is told."""

import gc
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.errors import LostProcessError, TrainingError
from trainer.models.crew import ALONE, Crew
from trainer.models.device import Device
from trainer.tracking.progress import say

Ints = npt.NDArray[np.int64]
InParts = Callable[[Ints, int], Iterator[Tensor]]
"""Of rows, and into how many parts: losses that add up to the mean of the rows', each sent back before the next."""

SEEN = 20  # steps at either end, whose median loss is held against the other's
FAR, AND = 2.0, 1.0  # times as high and so many nats more: no noise of batches reaches that
NO_MEMORY = ("not enough memory", "can't allocate memory", "DefaultCPUAllocator")  # as torch says it on processors


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a batch teaches."""

    loss_of: Callable[[Ints], Tensor]  # the mean of the rows
    in_parts: InParts | None  # None: the batch is small whatever the job says
    scaling: "Scaling"
    crew: Crew = ALONE  # who computes `in_parts` together

    def send_back(
        self, rows: Ints, parts: int, optimizer: torch.optim.Optimizer, losses: "LossWatch", step: int
    ) -> tuple[float, int]:
        """Leave the gradient of the rows' mean loss with the parameters; give the loss, and how many parts it took.

        Raise FloatingPointError for a loss that is no number, TrainingError where memory is too short for any parts.
        """
        while True:
            # None, not nought: what a batch did not reach is left alone, neither decayed nor moved by its momentum.
            optimizer.zero_grad(set_to_none=True)
            drawn = torch.get_rng_state()  # of dropout: a batch that is tried again draws the same
            try:
                total = self._once(rows, parts, losses, step)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
            self._check_alone(step, reason)
            parts = self._more(rows, parts, step, reason)
            torch.set_rng_state(drawn)
            gc.collect()  # what the failed try held
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        # Apart from the trying: another process may have memory, and would wait for what this one never sends.
        total = self.crew.add_up([one for group in optimizer.param_groups for one in group["params"]], total)
        losses.check(total, step)
        losses.add(total, step)
        return total, parts

    def _once(self, rows: Ints, parts: int, losses: "LossWatch", step: int) -> float:
        total, whole = 0.0, parts == 1 and self.crew.is_alone
        for loss in [self.loss_of(rows)] if whole or self.in_parts is None else self.in_parts(rows, parts):
            total += float(loss.detach())
            # Told before the step: after it every weight would be lost too, and the message would come a step late.
            if self.crew.is_alone:  # of several, all have to end: by the sum
                losses.check(total, step)
            self.scaling.scaled(loss).backward()  # type: ignore[no-untyped-call]
        return total

    def _check_alone(self, step: int, reason: str) -> None:
        """Raise LostProcessError where this process cannot try again by itself: the others wait for its weights."""
        if self.crew.shards:
            raise LostProcessError(
                f"step {step} does not fit into the memory of process {self.crew.rank} of {self.crew.size} ({reason}),"
                " and none of those that hold a part of the model each tries again alone, so all end: set"
                " train.accumulate higher, or train.batch or model.max_tokens lower"
            )

    def _more(self, rows: Ints, parts: int, step: int, reason: str) -> int:
        count = len(self.crew.share(rows))
        if self.in_parts is None or parts >= count:
            raise TrainingError(
                f"step {step} does not fit into memory, not even its rows one by one ({reason}): set train.batch,"
                " train.layers or model.max_tokens lower, or model.lora"
            )
        more = min(parts * 2, count)
        say(
            f"trainer: step {step} does not fit into memory: its {count} rows are computed in {more} parts from"
            " here on and learnt together, with the same result"
        )
        return more


class Scaling:
    """Gradients times a number, by which small ones are no nought in fp16; of other precisions as they are."""

    def __init__(self, device: Device) -> None:
        self.scaler = torch.amp.GradScaler(device.kind) if device.scales else None
        self.state = torch.zeros(2 if device.scales else 0, dtype=torch.float64)  # for a fit that goes on
        self._note()

    def scaled(self, loss: Tensor) -> Tensor:
        """Give the loss to be sent back."""
        return loss if self.scaler is None else self.scaler.scale(loss)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Let gradients be what they are again."""
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Step, unless a gradient grew too large for fp16: then the number is halved and the step left out."""
        if self.scaler is None:
            optimizer.step()
            return
        self.scaler.step(optimizer)
        self.scaler.update()
        self._note()

    def take_up(self) -> None:
        """Go on with the number of an earlier try."""
        if self.scaler is not None:
            scale, tracked = self.state.tolist()
            self.scaler.load_state_dict({**self.scaler.state_dict(), "scale": scale, "_growth_tracker": int(tracked)})

    def _note(self) -> None:
        if self.scaler is not None:
            told = self.scaler.state_dict()
            self.state.copy_(torch.tensor([told["scale"], told["_growth_tracker"]], dtype=torch.float64))


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error is want of memory, of a chip or of the machine."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)


@dataclass(slots=True)
class LossWatch:
    """The losses of a training, to see that they do not run away."""

    steps: int
    first: list[float] = field(default_factory=list)
    last: deque[float] = field(default_factory=lambda: deque(maxlen=SEEN))

    def check(self, loss: float, step: int) -> None:
        """Raise FloatingPointError for one that is no number."""
        if not np.isfinite(loss):
            why = (
                "a smaller train.lr may help"
                if step > 1
                else "no step was made yet, so the model or its data are at fault"
            )
            raise FloatingPointError(f"the loss is {loss} at step {step} of {self.steps}; {why}")

    def add(self, loss: float, step: int) -> None:
        """Take note of one; raise TrainingError where they have risen far above the first."""
        if len(self.first) < SEEN:
            self.first.append(loss)
            return
        self.last.append(loss)
        if len(self.last) == SEEN and (now := median(self.last)) > FAR * (began := median(self.first)) + AND:
            raise TrainingError(
                f"the loss rose from {began:.3g} to {now:.3g} by step {step} of {self.steps}: it runs away; a smaller"
                " train.lr, or more train.warmup, may help"
            )
