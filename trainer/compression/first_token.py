"""BERT for whom the state of each row's first token is enough: its last layer computes no other."""

# Shape suffixes, scoped to this file:
#   B = rows, T = tokens of the longest, D = width, H = heads, K = width of a head

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from trainer.models.backbone import FIRST


def needs_first_alone(model: Any, pooling: str) -> bool:
    """Say whether `first_states` does for a model and how its states are pooled."""
    from transformers import BertModel

    return (
        pooling == FIRST
        and isinstance(model, BertModel)
        and not (model.config.is_decoder or model.config.add_cross_attention)
    )


def first_states(model: Any, ids_BT: Tensor, mask_BT: Tensor, types_BT: Tensor | None) -> Tensor:
    """Give the (B, D) last states of the first tokens: as the whole model gives them, for less."""
    given = {} if types_BT is None else {"token_type_ids": types_BT}
    state_BTD = model.embeddings(input_ids=ids_BT, **given)
    bias_B11T = torch.where(mask_BT[:, None, None, :], 0.0, torch.finfo(state_BTD.dtype).min)
    for layer in model.encoder.layer[:-1]:
        state_BTD = layer(state_BTD, bias_B11T)
    return _last_of_first(model.encoder.layer[-1], state_BTD, bias_B11T)


def _last_of_first(layer: Any, state_BTD: Tensor, bias_B11T: Tensor) -> Tensor:
    looking, first_B1D = layer.attention.self, state_BTD[:, :1]

    def by_head(states: Tensor) -> Tensor:
        return states.view(*states.shape[:2], -1, looking.attention_head_size).transpose(1, 2)

    query_BH1K = by_head(looking.query(first_B1D))
    key_BHTK, value_BHTK = by_head(looking.key(state_BTD)), by_head(looking.value(state_BTD))
    seen_BH1K = scaled_dot_product_attention(query_BH1K, key_BHTK, value_BHTK, attn_mask=bias_B11T)
    around_B1D = layer.attention.output(seen_BH1K.transpose(1, 2).flatten(2), first_B1D)
    return layer.output(layer.intermediate(around_B1D), around_B1D)[:, 0]  # type: ignore[no-any-return]
