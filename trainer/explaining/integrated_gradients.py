"""What each token of a pair carried of a judgement, by integrated gradients (Sundararajan, Taly and Yan 2017)."""

# Shape suffixes, scoped to this file:
#   T = tokens of the pair, S = points of the path, D = width, C = outputs

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.models.backbone import pool, run_backbone
from trainer.models.cross_encoder import CrossEncoder
from trainer.models.pair_tokens import Tokens

Floats = npt.NDArray[np.float64]

POINTS = (32, 128)  # of the path; more where the sum is not complete
ROUNDING = 1e-4  # of single precision
COMPLETE = 0.02  # of what tokens carried, either way, that may be missing


@dataclass(frozen=True, slots=True)
class Attribution:
    """What tokens carried; together what the answer is above the baseline's, but for the path's coarseness."""

    weight_T: Floats
    answer: float
    baseline: float

    @property
    def missing(self) -> float:
        """Give what the weights do not add up to."""
        return self.answer - self.baseline - float(self.weight_T.sum())

    @property
    def is_complete(self) -> bool:
        """Say whether the weights add up, as the method promises."""
        return abs(self.missing) <= COMPLETE * float(np.abs(self.weight_T).sum()) + ROUNDING


def attribute(
    model: CrossEncoder, tokens: Tokens, is_word_T: npt.NDArray[np.bool_], answer: Callable[[Tensor], Tensor]
) -> Attribution:
    """Follow the straight path of embeddings from the pair without its words to the pair.

    Words are blanked by the token of padding, which no fit teaches anything: with [MASK], which a model was taught to
    read as some word, what is named holds on a quarter of the pairs (docs/explain.md). *answer* makes one number of
    (S, C) outputs.
    """
    ids_T = torch.from_numpy(tokens.ids_P)
    blank_T = torch.where(torch.from_numpy(is_word_T), torch.tensor(model.pad_token), ids_T)
    embed = model.model.get_input_embeddings()
    with torch.no_grad():
        end_TD, start_TD = (embed(model.device.put(one)).float() for one in (ids_T, blank_T))
    found = _follow(model, tokens, start_TD, end_TD, answer, POINTS[0])
    for points in POINTS[1:]:
        if found.is_complete:
            break
        found = _follow(model, tokens, start_TD, end_TD, answer, points)
    return found


def _follow(
    model: CrossEncoder,
    tokens: Tokens,
    start_TD: Tensor,
    end_TD: Tensor,
    answer: Callable[[Tensor], Tensor],
    points: int,
) -> Attribution:
    # Gauss-Legendre: far fewer points than equal steps for the same sum. The ends are asked beside.
    place_S, share_S = np.polynomial.legendre.leggauss(points)
    along_S = np.concatenate([(place_S + 1) / 2, [0.0, 1.0]]).astype(np.float32)
    put = model.device.put
    path_STD = start_TD + put(torch.from_numpy(along_S))[:, None, None] * (end_TD - start_TD)
    path_STD.requires_grad_()
    # Two more rows than there are points: every row is the same pair, read at another place of the path.
    batch = tokens.pad(np.zeros(len(along_S), dtype=np.int64), model.pad_token)
    ids_ST, types_ST, mask_ST = put(batch.ids_BT), put(batch.types_BT), put(batch.mask_BT)
    with torch.enable_grad(), _embedded(model.model.get_input_embeddings(), path_STD):
        with model.device.autocast():
            state_STD = run_backbone(model.model, ids_ST, mask_ST, types_ST)
        answer_S = answer(model.head(pool(state_STD.float(), mask_ST, model.pooling)))
        (slope_STD,) = torch.autograd.grad(answer_S.sum(), path_STD)
    mean_TD = torch.einsum("s,std->td", put(torch.from_numpy(share_S / 2).float()), slope_STD[:points])
    weight_T = ((end_TD - start_TD) * mean_TD).sum(1)
    told = answer_S.detach().double().cpu()
    return Attribution(weight_T.double().cpu().numpy(), float(told[points + 1]), float(told[points]))


@contextmanager
def _embedded(embed: Any, path_STD: Tensor) -> Iterator[None]:
    """Let a model read these in place of what it looks up."""
    held = embed.register_forward_hook(lambda *_: path_STD)
    try:
        yield
    finally:
        held.remove()
