"""What is learnt from trips: a batch of them, and its loss."""

# Shape suffixes, scoped to this file:
#   B = trips, N = targets of all trips, E = distinct texts to encode, C = distinct texts of targets, D = width

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.models.device import PROCESSOR

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Example:
    """One trip in distinct texts: what the household had bought, what it bought then, and which of that is learnt."""

    history: Ints
    weights: Floats  # of the history, summing to one
    bought: Ints
    targets: Ints  # a part of bought


@dataclass(frozen=True, slots=True)
class TripBatch:
    """What a step needs of some trips, every text of theirs once."""

    texts_E: Tensor
    bag_BE: Tensor
    candidate_C: Tensor  # positions in texts_E
    trip_N: Tensor
    positive_N: Tensor  # positions in candidate_C
    blocked_NC: Tensor  # other items of the same trip, no negatives: they were bought too


def make_batch(examples: Sequence[Example], put: Callable[[Tensor], Tensor] = PROCESSOR.put) -> TripBatch:
    """Number the texts of a batch, each of which is encoded once; *put* what the loss needs where that is computed."""
    targets_N = np.concatenate([example.targets for example in examples])
    texts_E = np.unique(np.concatenate([targets_N, *(example.history for example in examples)]))
    # The candidates are the batch's own targets: they come the more often the more popular they are, so that what is
    # learnt is liking beyond popularity. The scorer adds popularity itself; nothing is corrected here (Yi et al. 2019).
    candidates_C = np.unique(targets_N)
    trip_N = np.repeat(np.arange(len(examples)), [len(example.targets) for example in examples])
    bag_BE = np.zeros((len(examples), len(texts_E)), dtype=np.float32)
    bought_BC = np.zeros((len(examples), len(candidates_C)), dtype=np.bool_)
    for row, example in enumerate(examples):
        # Not +=, which counts an index once: two items of a history may share a text.
        np.add.at(bag_BE[row], np.searchsorted(texts_E, example.history), example.weights)
        # All that was bought, not the drawn targets alone: what was not drawn is no negative either.
        bought_BC[row] = np.isin(candidates_C, example.bought)
    positive_N = np.searchsorted(candidates_C, targets_N)
    # Each target is asked alone: the trip's others stand aside, itself stays as the answer.
    blocked_NC = bought_BC[trip_N]
    blocked_NC[np.arange(len(targets_N)), positive_N] = False
    return TripBatch(
        texts_E=torch.from_numpy(texts_E),
        bag_BE=put(torch.from_numpy(bag_BE)),
        candidate_C=put(torch.from_numpy(np.searchsorted(texts_E, candidates_C))),
        trip_N=put(torch.from_numpy(trip_N)),
        positive_N=put(torch.from_numpy(positive_N)),
        blocked_NC=put(torch.from_numpy(blocked_NC)),
    )


def batch_loss(unit_ED: Tensor, batch: TripBatch, temperature: float) -> Tensor:
    """Give the mean cross-entropy of the targets against the batch's other candidates, in nats.

    *unit_ED* are the texts at length 1; a softmax over candidates of the batch (InfoNCE, van den Oord et al. 2018).
    """
    # Of unit length again: a mean of many directions is short, and would count as unsure whatever it points to.
    user_BD = torch.nn.functional.normalize(batch.bag_BE @ unit_ED, dim=1)
    logits_BC = user_BD @ unit_ED.index_select(0, batch.candidate_C).T / temperature
    # Trips first, targets second: a trip's targets share one row of products. Minus infinity takes no share of the
    # softmax and sends no gradient.
    logits_NC = logits_BC.index_select(0, batch.trip_N).masked_fill(batch.blocked_NC, -torch.inf)
    return torch.nn.functional.cross_entropy(logits_NC, batch.positive_N)
