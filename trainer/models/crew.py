"""The processes that fit one model together: each computes its share of a batch, and all make the same step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor

from trainer.errors import Dismissed, LostProcessError
from trainer.models.shards import is_cut, tells_of_loss
from trainer.stopping import unstoppable
from trainer.tracking.progress import say

Ints = npt.NDArray[np.int64]

PATIENCE = timedelta(minutes=5)  # with one that lives and does not answer; one that died is noticed at once
LONGEST = 4096  # bytes of a path
TOGETHER = 1 << 23  # numbers sent at a time


@dataclass(frozen=True, slots=True)
class Crew:
    """Which of how many processes this one is; the first writes and speaks for all."""

    rank: int = 0  # from 0
    size: int = 1
    local_rank: int = 0  # on this machine
    local_size: int = 1
    # Each holds a part of the model, so that all have to run it equally often.
    shards: bool = field(default=False, kw_only=True)

    @property
    def is_alone(self) -> bool:
        """Say whether there is but one."""
        return self.size == 1

    @property
    def leads(self) -> bool:
        """Say whether this is the one that writes and speaks."""
        return self.rank == 0

    def share(self, rows: Ints) -> Ints:
        """Give what this process computes of a batch; nothing where there are more processes than rows."""
        return rows if self.is_alone else np.array_split(rows, self.size)[self.rank]

    def add_up(self, parameters: Sequence[Tensor], loss: float) -> float:
        """Leave the sum of all processes' gradients with the parameters of each, and give the sum of their losses."""
        if self.is_alone:
            return loss
        if self.shards:  # of what is cut each has its part of the sum already
            parameters = [one for one in parameters if not is_cut(one)]
        told = torch.tensor([loss, *(one.grad is not None for one in parameters)], dtype=torch.float64)
        self._reduce(told)
        # What no process reached stays without gradient, as it would in one.
        reached = [one for one, count in zip(parameters, told[1:].tolist(), strict=True) if count]
        for some in _bundles(reached):
            sent = torch.cat([(torch.zeros_like(one) if one.grad is None else one.grad).reshape(-1) for one in some])
            self._reduce(sent)
            for one, summed in zip(some, torch.split(sent, [one.numel() for one in some]), strict=True):
                one.grad = summed.view_as(one)
        return float(told[0])

    def agree(self, asked: int | None) -> int | None:
        """Give the signal that any of them was told to stop by: all stop after the same step."""
        if self.is_alone:
            return asked
        told = torch.tensor([asked or 0])
        self._reduce(told, dist.ReduceOp.MAX)
        return int(told) or None

    def as_the_first(self, value: float) -> float:
        """Give what the first has measured: where chips round otherwise, all decide by one number."""
        if self.is_alone:
            return value
        told = torch.tensor([value], dtype=torch.float64)
        self._send(told)
        return float(told)

    def learn_alike(self, batches: Sequence[Ints]) -> list[Ints]:
        """Give the first's batches: what is drawn after something was measured may be drawn otherwise elsewhere."""
        if self.is_alone or not len(batches):
            return list(batches)
        flat = self.have_alike(np.concatenate(batches))
        return np.split(flat, np.cumsum([len(rows) for rows in batches])[:-1])

    def have_alike(self, numbers: Ints) -> Ints:
        """Give the first's numbers, of which the others have as many."""
        if self.is_alone:
            return numbers
        told = torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.int64))
        self._send(told)
        return told.numpy()

    def least(self, number: int) -> int:
        """Give the smallest of their numbers."""
        if self.is_alone:
            return number
        told = torch.tensor([number])
        self._reduce(told, dist.ReduceOp.MIN)
        return int(told)

    def sum_up(self, tensor: Tensor) -> Tensor:
        """Give the sum of all processes' tensors, in place of this one's."""
        self._reduce(tensor)
        return tensor

    def let_helpers_go(self) -> None:
        """Raise Dismissed in all but the first: what follows training is no work for several."""
        if not self.leads:
            raise Dismissed

    def start_alike(self, parameters: Sequence[Tensor]) -> None:
        """Give all of them the first's weights; parts were cut out of what all have read and drawn alike."""
        if not self.is_alone:
            for one in parameters:
                if not is_cut(one):
                    self._send(one.data)

    def draw_apart(self, order: str, step: int) -> None:
        """Let dropout draw otherwise in each process and step, and the same again in a fit that goes on."""
        if not self.is_alone:
            torch.manual_seed((int(order[:12], 16) + step) * self.size + self.rank)

    def may_speak(self) -> bool:
        """Say whether this is the first of them to ask: one tells what all have met."""
        try:
            store = dist.distributed_c10d._get_default_store()  # noqa: SLF001 - torchrun's, which outlives them all
            return bool(store.add("trainer.told", 1) == 1)
        except (RuntimeError, ValueError):  # it went with its machine
            return self.leads

    def tell(self, text: str) -> None:
        """Say to the others, who wait for it, that the fit begins, and with what."""
        if not self.is_alone:
            sent = text.encode()
            self._send(torch.tensor([*sent, *bytes(LONGEST - len(sent))], dtype=torch.uint8))

    def hear(self) -> str:
        """Wait for what the first has to say."""
        told = torch.zeros(LONGEST, dtype=torch.uint8)
        self._send(told)
        return bytes(told.tolist()).rstrip(b"\0").decode()

    @contextmanager
    def noticing(self) -> Iterator[None]:
        """Raise LostProcessError where a model of parts finds within the block that another process is gone."""
        try:
            yield
        except RuntimeError as error:
            if self.shards and tells_of_loss(error):
                raise self._lost() from None
            raise

    def _reduce(self, tensor: Tensor, how: dist.ReduceOp.RedOpType = dist.ReduceOp.SUM) -> None:
        with self._all_there():
            dist.all_reduce(tensor, how)

    def _send(self, tensor: Tensor) -> None:
        with self._all_there():
            dist.broadcast(tensor, 0)

    @contextmanager
    def _all_there(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError:  # whatever the library calls a connection that is gone
            raise self._lost() from None

    def _lost(self) -> LostProcessError:
        return LostProcessError(
            f"process {self.rank} of {self.size} lost another one, so all end; the same command goes on from"
            " the last checkpoint"
        )


ALONE = Crew()


@contextmanager
def joined(crew: Crew) -> Iterator[None]:
    """Let the processes know of one another within the block; raise LostProcessError where not all come."""
    chips = torch.cuda.is_available()
    if chips and crew.local_rank < torch.cuda.device_count():  # told where the job wants a chip and there is none
        torch.cuda.set_device(crew.local_rank)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if chips else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise LostProcessError(f"the {crew.size} processes did not find one another: {reason}") from None
    yield
    dist.destroy_process_group()  # where it went wrong it goes with the process, which has told what by then


@contextmanager
def speaking_once(crew: Crew) -> Iterator[None]:
    """Let one of those that lost another say so, and the rest end without a word."""
    try:
        yield
    except LostProcessError as error:
        with unstoppable():  # its launcher stops the rest meanwhile
            if crew.may_speak():
                say(f"trainer: {error}")
        raise SystemExit(1) from None


def _bundles(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Put together what is of one kind, up to a size: many small messages wait longer than they travel."""
    some: list[Tensor] = []
    for one in parameters:
        if some and (sum(other.numel() for other in some) + one.numel() > TOGETHER or one.dtype != some[0].dtype):
            yield some
            some = []
        some.append(one)
    if some:
        yield some
