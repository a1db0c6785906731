"""A batch of relevant pairs, each the others' negative, and its loss."""

# Shape suffixes, scoped to this file:
#   B = pairs of the batch, Q = its distinct queries, C = its distinct product texts, D = width of a vector

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.learning.hard_negatives import NOTHING, Known
from trainer.models.device import PROCESSOR

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contrast:
    """What a step needs of some pairs, every query and text of theirs once."""

    queries_Q: Ints
    texts_C: Ints
    query_B: Tensor  # places in queries_Q
    positive_B: Tensor  # places in texts_C
    blocked_BC: Tensor  # relevant as well, therefore no negatives


def make_contrast(
    query_B: Ints, text_B: Ints, negatives: Ints, known: Known, put: Callable[[Tensor], Tensor] = PROCESSOR.put
) -> Contrast:
    """Number the texts of a batch, each of which is encoded once; *put* what the loss needs where that is computed."""
    # A query has several relevant products and often meets itself in a batch; the encoder is what costs.
    queries_Q = np.unique(query_B)
    texts_C = np.unique(np.concatenate([text_B, negatives[negatives != NOTHING]]))
    positive_B = np.searchsorted(texts_C, text_B)
    blocked_BC = known.are_relevant(np.repeat(query_B, len(texts_C)), np.tile(texts_C, len(query_B))).reshape(
        len(query_B), len(texts_C)
    )
    # Among what is known to be relevant is the pair's own text, which is what is asked for.
    blocked_BC[np.arange(len(query_B)), positive_B] = False
    return Contrast(
        queries_Q,
        texts_C,
        put(torch.from_numpy(np.searchsorted(queries_Q, query_B))),
        put(torch.from_numpy(positive_B)),
        put(torch.from_numpy(blocked_BC)),
    )


def contrast_loss(query_QD: Tensor, text_CD: Tensor, contrast: Contrast, temperature: float) -> Tensor:
    """Give the mean cross-entropy of each relevant text against the batch's others, in nats.

    InfoNCE (van den Oord et al. 2018) with cosines over *temperature*: the smaller it is, the more the nearest of the
    wrong texts decide.
    """
    # Cosines: the length of a mean of tokens says how much they agree, not what they mean.
    unit_QD = torch.nn.functional.normalize(query_QD, dim=1)
    unit_CD = torch.nn.functional.normalize(text_CD, dim=1)
    logits_BC = unit_QD.index_select(0, contrast.query_B) @ unit_CD.T / temperature
    return torch.nn.functional.cross_entropy(
        logits_BC.masked_fill(contrast.blocked_BC, -torch.inf), contrast.positive_B
    )
