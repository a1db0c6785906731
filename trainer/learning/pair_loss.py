"""What is learnt from judged pairs: cross-entropy, of classes or of a chance."""

import torch
from torch import Tensor


def pair_loss(output_BC: Tensor, wanted_B: Tensor, weight_B: Tensor) -> Tensor:
    """Give the weighted mean cross-entropy in nats; a grade is a chance between 0 and 1."""
    if wanted_B.dtype == torch.int64:
        losses = torch.nn.functional.cross_entropy(output_BC, wanted_B, reduction="none")
    else:
        losses = torch.nn.functional.binary_cross_entropy_with_logits(output_BC[:, 0], wanted_B, reduction="none")
    return (losses * weight_B).sum() / weight_B.sum()
