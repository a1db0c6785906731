"""The vectors of a batch whose texts are each other's negatives, computed by several processes and known to all."""

# Shape suffixes, scoped to this file:
#   E = texts of a batch, each once, D = width of a vector

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.models.crew import Crew

Ints = npt.NDArray[np.int64]


class SharedVectors:
    """Encodes a process's share of a batch's texts, all in one go, and fetches what the others have encoded.

    The loss is then that of the whole batch in each process, and its gradient goes back through the process's own share
    alone: added up over all of them it is the whole one. So OpenCLIP gathers features where it does not send gradients
    through the gathering (Ilharco et al. 2021); it takes the mean over processes, where this takes the sum.
    """

    def __init__(self, crew: Crew, encode: Callable[[Tensor, int], Tensor]) -> None:
        self.crew, self.encode_own = crew, encode
        self.rows: Ints | None = None
        self.fetched: dict[str, Tensor] = {}

    def begin(self, rows: Ints) -> None:
        """Forget the batch before; one that is tried again, for want of memory, needs nothing of the others twice."""
        if rows is not self.rows:
            self.rows = rows
            self.fetched.clear()

    def encode(self, kind: str, texts_E: Tensor, parts: int) -> Tensor:
        """Give the (E, D) vectors of the batch's texts of a kind, in so many *parts* where memory is short."""
        if self.crew.is_alone:
            return self.encode_own(texts_E, parts)
        own = torch.from_numpy(self.crew.share(np.arange(len(texts_E))))
        # With more processes than texts one encodes a text for nothing: its gradient is nought.
        vectors = self.encode_own(texts_E[own] if len(own) else texts_E[:1], parts)[: len(own)]
        own = own.to(vectors.device)
        if kind not in self.fetched:
            # Shares differ in size by one, which a sum over rows of noughts does not mind.
            rows = torch.zeros(len(texts_E), vectors.shape[1], dtype=vectors.dtype, device=vectors.device)
            self.fetched[kind] = self.crew.sum_up(rows.index_copy(0, own, vectors.detach()))
        return self.fetched[kind].index_copy(0, own, vectors)

    def one_of_all(self, loss: Tensor) -> Tensor:
        """Give a loss that all processes have alike as this one's share of it, with the gradient as it is."""
        return loss if self.crew.is_alone else loss - loss.detach() * (1 - 1 / self.crew.size)
