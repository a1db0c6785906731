"""Tells hidden tokens from the states that stand in their place, by the model's own word embeddings."""

# Shape suffixes, scoped to this file:
#   M = hidden tokens, D = width of a state, E = width of a word embedding, V = tokens of the vocabulary

import torch
from torch import Tensor, nn


class GapHead(nn.Module):
    """A layer, then the nearness to each token's embedding (tied: Press and Wolf 2017), as BERT's own head has them.

    It begins as near to nothing as can be: the layer passes states on, the shift says how frequent each token is.
    """

    def __init__(self, width: int, embeddings_VE: Tensor, frequency_V: Tensor) -> None:
        super().__init__()
        self.embeddings_VE = embeddings_VE.detach()  # never learn, as in every other training here
        self.dense = nn.Linear(width, embeddings_VE.shape[1])
        self.norm = nn.LayerNorm(embeddings_VE.shape[1])
        self.bias = nn.Parameter(torch.log(frequency_V))
        nn.init.eye_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def forward(self, state_MD: Tensor) -> Tensor:
        """Give the (M, V) outputs."""
        near_ME = self.norm(nn.functional.gelu(self.dense(state_MD)))
        return nn.functional.linear(near_ME, self.embeddings_VE, self.bias)


def frequencies(tokens: Tensor, vocabulary: int) -> Tensor:
    """Give the (V) shares of tokens, one more of each: what no text has is unlikely, not impossible."""
    counts_V = torch.bincount(tokens, minlength=vocabulary) + 1.0
    return counts_V / counts_V.sum()
