"""A batch of queries and pictures of what answers them, each the others' negative in both directions, and its loss."""

# Shape suffixes, scoped to this file:
#   B = pairs of the batch, Q = its distinct queries, C = its distinct pictures, S = size of the space

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from trainer.learning.contrastive_loss import Contrast, make_contrast
from trainer.learning.hard_negatives import Known

Ints = npt.NDArray[np.int64]
NONE_MINED = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class PictureContrast:
    """What a step needs of some pairs, every query and picture of theirs once."""

    towards: Contrast  # its texts_C are pictures
    blocked_BQ: Tensor  # queries that the pair's picture answers as well, therefore no negatives


def make_picture_contrast(
    query_B: Ints, picture_B: Ints, known: Known, put: Callable[[Tensor], Tensor]
) -> PictureContrast:
    """Number the queries and pictures of a batch; what is known to answer a query besides is masked, both ways."""
    towards = make_contrast(query_B, picture_B, NONE_MINED, known, put)
    queries_Q = towards.queries_Q
    blocked_BQ = known.are_relevant(np.tile(queries_Q, len(picture_B)), np.repeat(picture_B, len(queries_Q))).reshape(
        len(picture_B), len(queries_Q)
    )
    blocked_BQ[np.arange(len(query_B)), np.searchsorted(queries_Q, query_B)] = False
    return PictureContrast(towards, put(torch.from_numpy(blocked_BQ)))


def picture_loss(query_QS: Tensor, picture_CS: Tensor, contrast: PictureContrast, scale: Tensor) -> Tensor:
    """Give the mean cross-entropy of each pair's picture among pictures and of its query among queries, in nats.

    Both are unit vectors, and their cosines weigh *scale*; symmetric as in CLIP (Radford et al. 2021).
    """
    cosines_QC = query_QS @ picture_CS.T * scale
    query_B, picture_B = contrast.towards.query_B, contrast.towards.positive_B
    among_pictures_BC = cosines_QC.index_select(0, query_B).masked_fill(contrast.towards.blocked_BC, -torch.inf)
    among_queries_BQ = cosines_QC.T.index_select(0, picture_B).masked_fill(contrast.blocked_BQ, -torch.inf)
    return (cross_entropy(among_pictures_BC, picture_B) + cross_entropy(among_queries_BQ, query_B)) / 2
