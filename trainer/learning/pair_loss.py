"""What is learnt from judged pairs: cross-entropy, of classes or of a chance."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.learning.gradients import InParts
from trainer.models.crew import ALONE, Crew

Ints = npt.NDArray[np.int64]


def pair_loss(output_BC: Tensor, wanted_B: Tensor, weight_B: Tensor) -> Tensor:
    """Give the weighted mean cross-entropy in nats of (B, C) outputs.

    Whole numbers wanted are classes; others are chances, a grade being one between 0 and 1.
    """
    if wanted_B.dtype == torch.int64:
        losses = torch.nn.functional.cross_entropy(output_BC, wanted_B, reduction="none")
    else:  # with logits: the logarithm of a chance that has been rounded to 0 or 1 is lost
        losses = torch.nn.functional.binary_cross_entropy_with_logits(output_BC[:, 0], wanted_B, reduction="none")
    # Over the weights, not over the pairs: a batch of rare classes would else step farther than one of common ones.
    return (losses * weight_B).sum() / weight_B.sum()


def balanced_weights(label_N: npt.NDArray[np.float64], *, balances: bool) -> Tensor:
    """Let each class weigh the same where that *balances*; else all pairs weigh as they come."""
    weights = np.ones(len(label_N))
    if balances:
        _, place, counts = np.unique(label_N, return_inverse=True, return_counts=True)
        weights = len(label_N) / (len(counts) * counts[place])
    return torch.from_numpy(weights.astype(np.float32))


def cut_share(rows: Ints, parts: int, crew: Crew = ALONE) -> list[Ints]:
    """Give what a process computes of a batch, one after the other; nothing where there are more of them than rows."""
    return [part for part in np.array_split(crew.share(rows), parts) if len(part)]


def weighted_parts(loss_of: Callable[[Ints], Tensor], weight_N: Tensor, crew: Crew = ALONE) -> InParts:
    """Give what computes the weighted mean of a batch some rows at a time, of several processes each its share."""

    def in_parts(rows: Ints, parts: int) -> Iterator[Tensor]:
        whole = weight_N[torch.from_numpy(rows)].sum()
        own = cut_share(rows, parts, crew)
        for part in own:
            yield loss_of(part) * float(weight_N[torch.from_numpy(part)].sum() / whole)
        for _ in range(parts - len(own) if crew.shards else 0):  # the others wait for this one's weights
            yield loss_of(rows[:1]) * 0.0

    return in_parts
