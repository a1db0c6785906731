"""What is learnt from judged pairs: cross-entropy, of classes or of a chance."""

import torch
from torch import Tensor


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
