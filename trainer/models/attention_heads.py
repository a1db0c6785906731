"""The heads of a layer's attention, laid out as BERT has them: counted, taken out, made room for."""

# Shape suffixes, scoped to this file:
#   H = heads of a layer, D = width of the model

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from trainer.errors import ModelError

SIDES = ("query", "key", "value")


def attention_of(layer: Any) -> Any | None:
    """Give a layer's attention, None where it is laid out otherwise than BERT's."""
    attention = getattr(layer, "attention", None)
    inner, outer = getattr(attention, "self", None), getattr(attention, "output", None)
    parts = [*(getattr(inner, name, None) for name in SIDES), getattr(outer, "dense", None)]
    able = all(isinstance(part, torch.nn.Linear) for part in parts) and hasattr(inner, "attention_head_size")
    return attention if able else None


def count_heads(layer: Any) -> int:
    """Give how many heads a layer has, nought where it is laid out otherwise."""
    attention = attention_of(layer)
    if attention is None:
        return 0
    return int(attention.self.query.out_features) // int(attention.self.attention_head_size)


def shape_heads(layers: Sequence[Any], heads: Sequence[int], where: Path) -> None:
    """Make room for so many heads a layer, whose weights are still to come; none told: leave all as they are."""
    if heads and len(heads) != len(layers):
        raise ModelError(f"{where}: heads are told of {len(heads)} layers, config.json says {len(layers)}")
    for layer, count in zip(layers, heads, strict=False):
        attention = attention_of(layer)
        if attention is None:
            raise ModelError(f"{where}: its layers are not those of a model whose heads can be fewer")
        wide = count * int(attention.self.attention_head_size)
        for name in SIDES:
            before = getattr(attention.self, name)
            setattr(attention.self, name, torch.nn.Linear(before.in_features, wide, bias=before.bias is not None))
        outer = attention.output.dense
        attention.output.dense = torch.nn.Linear(wide, outer.out_features, bias=outer.bias is not None)
        _tell(attention.self, count)


def keep_heads(layer: Any, kept: Sequence[int]) -> None:
    """Take all but some heads out of a layer: its matrices are smaller then."""
    attention = attention_of(layer)
    assert attention is not None  # whoever chose heads has counted them
    size = int(attention.self.attention_head_size)
    rows = torch.cat([torch.arange(head * size, (head + 1) * size) for head in kept])
    for name in SIDES:
        before = getattr(attention.self, name)
        bias = None if before.bias is None else before.bias.data[rows]
        setattr(attention.self, name, _linear(before.weight.data[rows], bias))
    outer = attention.output.dense
    attention.output.dense = _linear(outer.weight.data[:, rows], None if outer.bias is None else outer.bias.data)
    _tell(attention.self, len(kept))


def _linear(weight: torch.Tensor, bias: torch.Tensor | None) -> torch.nn.Linear:
    made = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    made.weight.data = weight.clone()
    if bias is not None:
        made.bias.data = bias.clone()
    return made


def _tell(inner: Any, count: int) -> None:
    inner.num_attention_heads = count
    inner.all_head_size = count * int(inner.attention_head_size)
