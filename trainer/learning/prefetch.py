"""The next batch put together by a thread while the device learns this one."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from trainer.learning.pair_loss import cut_share
from trainer.models.device import Device
from trainer.models.pair_tokens import PaddedRows, TokenBatch

Ints = npt.NDArray[np.int64]
Expect = Callable[[Ints | None, int], None]
Made = TypeVar("Made")


class Prefetch(Generic[Made]):
    """Makes what is learnt of some rows: ahead, of the rows that are expected, or when it is asked for."""

    def __init__(self, make: Callable[[Ints], Made], cut: Callable[[Ints, int], list[Ints]]) -> None:
        self.make, self.cut = make, cut
        self.pool = ThreadPoolExecutor(1, "prefetch", _on_the_same_chip())
        self.now: dict[bytes, Future[Made]] = {}
        self.then: dict[bytes, Future[Made]] = {}

    def expect(self, rows: Ints | None, parts: int) -> None:
        """Begin with the rows of the next step; what was expected before is of the step that begins."""
        coming = [] if rows is None else self.cut(rows, parts)
        # What was not asked for is let go of: the rows were learnt in other parts, for want of memory.
        self.now, self.then = self.then, {some.tobytes(): self.pool.submit(self.make, some) for some in coming}

    def of(self, rows: Ints) -> Made:
        """Give what was made of some rows."""
        made = self.now.pop(rows.tobytes(), None)
        return self.make(rows) if made is None else made.result()


@dataclass(frozen=True, slots=True)
class TokensAhead:
    """Tokens of which the rows that are expected are padded ahead, and put where they are learnt."""

    made: Prefetch[TokenBatch]

    def pad(self, rows: Ints, pad_token: int) -> TokenBatch:  # noqa: ARG002 - it is what they are made with
        """Give some rows."""
        return self.made.of(rows)


def pad_ahead(tokens: PaddedRows, pad_token: int, device: Device) -> tuple[PaddedRows, Expect | None]:
    """Give tokens whose next rows are padded while others are learnt, and whom to tell which; on CUDA alone."""
    if not device.prefetches:
        return tokens, None
    cut = partial(cut_share, crew=device.crew)
    made = Prefetch(lambda rows: tokens.pad(rows, pad_token).where(device.put), cut)
    return TokensAhead(made), made.expect


def _on_the_same_chip() -> Callable[[], None] | None:
    """Give what lets a thread use this one's chip: each thread has its own, at first the machine's first."""
    if not torch.cuda.is_available():
        return None
    chip = torch.cuda.current_device()
    return lambda: torch.cuda.set_device(chip)
