"""BERT's layers on the processor, over texts end to end: nothing is padding, and each way back is written out.

torch copies a bias into every product before it is multiplied, adds up what a product could have been added to, and
pads; beside the multiplications of a small model that is a third of a step.
"""

# Shape suffixes, scoped to this file:
#   P = tokens of all texts end to end, D = width, N = texts of a span, L = tokens of each of them,
#   H = heads, K = width of a head

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear

from trainer.models.device import CPU, FP32, Device

Ints = npt.NDArray[np.int64]

aten: Any = torch.ops.aten
onednn: Any = torch.ops.mkldnn
HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(onednn, "_linear_pointwise")  # type: ignore[no-untyped-call]
ALL = [True, True, True]
WORTH_LAYING_OUT = 8192  # tokens: from here on it gains more than it costs
TOKENS_AT_REST = 2048  # of one product, about


@dataclass(frozen=True, slots=True)
class Span:
    """Texts of one length that follow each other."""

    first: int  # token
    texts: int
    length: int

    @property
    def end(self) -> int:
        """Give the place behind its last token."""
        return self.first + self.texts * self.length


def spans_of(lengths: Ints) -> list[Span]:
    """Give the spans of texts that stand end to end, the shortest first."""
    found, first = [], 0
    for length, texts in zip(*np.unique(lengths, return_counts=True), strict=True):
        found.append(Span(first, int(texts), int(length)))
        first = found[-1].end
    return found


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """The weights of a layer, as they are multiplied."""

    tensors: tuple[Tensor, ...]  # weight and bias of: query, key, value, output, first norm, inner, outer, second norm
    heads: int
    epsilons: tuple[float, float]


class PackedBert:
    """A model's layers, run over texts end to end."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._reads_types = int(model.config.type_vocab_size) > 1
        self._resting: list[LayerWeights] | None = None

    def embed(self, ids_P: Tensor, spans: Sequence[Span], types_P: Tensor | None = None) -> Tensor:
        """Give the (P, D) states below the first layer."""
        places_P = torch.cat([torch.arange(span.length).repeat(span.texts) for span in spans])
        given = {"token_type_ids": types_P[None]} if types_P is not None and self._reads_types else {}
        return self.model.embeddings(input_ids=ids_P[None], position_ids=places_P[None], **given)[0]  # type: ignore[no-any-return]

    def run(self, state_PD: Tensor, spans: Sequence[Span], first: int = 0, end: int | None = None) -> Tensor:
        """Give the (P, D) states of the last of the layers, or of those from *first* to before *end*."""
        if self._resting is not None:
            for resting in self._resting[first:end]:
                state_PD = _run_resting(resting, state_PD, spans)
            return state_PD
        for layer in self.model.encoder.layer[first:end]:
            told = weights_of(layer)
            state_PD = _Layer.apply(state_PD, spans, told.heads, told.epsilons, *told.tensors)  # type: ignore[no-untyped-call]
        return state_PD

    @contextmanager
    def at_rest(self, tokens: int) -> Iterator[None]:
        """Lay the weights out for multiplying within the block, in which none changes, if the *tokens* are many."""
        if HAS_ONEDNN and tokens >= WORTH_LAYING_OUT:
            self._resting = [_lay_out(weights_of(layer)) for layer in self.model.encoder.layer]
        try:
            yield
        finally:
            self._resting = None


def open_packed(model: Any, device: Device) -> PackedBert | None:
    """Give the layers of a model that are those of this file, where it is the faster for them."""
    from transformers import BertModel

    if device.kind != CPU or device.precision != FP32 or device.compiles or not isinstance(model, BertModel):
        return None
    config = model.config
    if config.hidden_act != "gelu" or config.is_decoder or config.add_cross_attention:
        return None
    return None if any(layer.gradient_checkpointing for layer in model.encoder.layer) else PackedBert(model)


def weights_of(layer: Any) -> LayerWeights:
    """Give the weights of one of transformers' layers, as they are now."""
    seen, told = layer.attention.self, layer.attention.output
    parts = (
        *(seen.query, seen.key, seen.value, told.dense, told.LayerNorm),
        *(layer.intermediate.dense, layer.output.dense, layer.output.LayerNorm),
    )
    tensors = tuple(tensor for part in parts for tensor in (part.weight, part.bias))
    return LayerWeights(tensors, seen.num_attention_heads, (told.LayerNorm.eps, layer.output.LayerNorm.eps))


def _together(weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Give the weights with those of queries, keys and values as one: three products of a third each are slower."""
    return (torch.cat(tuple(weights[0:6:2])), torch.cat(tuple(weights[1:6:2])), *weights[6:])


def _lay_out(weights: LayerWeights) -> LayerWeights:
    tensors = list(_together([tensor.detach() for tensor in weights.tensors]))
    for place in (0, 2, 6, 8):
        tensors[place] = onednn._reorder_linear_weight(tensors[place], TOKENS_AT_REST)  # noqa: SLF001 - no other name
    return LayerWeights(tuple(tensors), weights.heads, weights.epsilons)


def _run_resting(weights: LayerWeights, state_PD: Tensor, spans: Sequence[Span]) -> Tensor:
    qkv, qkv_bias, output, output_bias, norm, norm_bias, inner, inner_bias, outer, outer_bias, last, last_bias = (
        weights.tensors
    )
    width = [state_PD.shape[1]]
    seen_PD, _ = _attend(_product(state_PD, qkv, qkv_bias), spans, weights.heads)
    state_PD = layer_norm(_product(seen_PD, output, output_bias, state_PD), width, norm, norm_bias, weights.epsilons[0])
    inner_PF = onednn._linear_pointwise(state_PD, inner, inner_bias, "gelu", [], "none")  # noqa: SLF001 - no other name
    return layer_norm(_product(inner_PF, outer, outer_bias, state_PD), width, last, last_bias, weights.epsilons[1])


def pool_packed(state_PD: Tensor, spans: Sequence[Span], pooling: str) -> Tensor:
    """Give one vector a text, as `pool` does of rows."""
    from trainer.models.backbone import FIRST, LAST

    # Split, not cut: the way back of each cut is a whole matrix of noughts.
    parts = torch.split(state_PD, [span.texts * span.length for span in spans])
    found = []
    for part_PD, span in zip(parts, spans, strict=True):
        state_NLD = part_PD.view(span.texts, span.length, -1)
        if pooling in (FIRST, LAST):
            found.append(state_NLD[:, 0 if pooling == FIRST else -1])
        else:
            found.append(state_NLD.sum(1) / span.length)
    return torch.cat(found)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        state_PD: Tensor,
        spans: Sequence[Span],
        heads: int,
        epsilons: tuple[float, float],
        *weights: Tensor,
    ) -> Tensor:
        qkv, qkv_bias, output, output_bias, norm, norm_bias, *others = _together(weights)
        inner, inner_bias, outer, outer_bias, last, last_bias = others
        width = [state_PD.shape[1]]
        qkv_P3D = _product(state_PD, qkv, qkv_bias)
        seen_PD, sums = _attend(qkv_P3D, spans, heads)
        added_PD = _product(seen_PD, output, output_bias, state_PD)
        middle_PD, mean, deviation = aten.native_layer_norm(added_PD, width, norm, norm_bias, epsilons[0])
        before_PF = _product(middle_PD, inner, inner_bias)
        inner_PF = gelu(before_PF)
        outer_PD = _product(inner_PF, outer, outer_bias, middle_PD)
        given_PD: Tensor
        given_PD, last_mean, last_deviation = aten.native_layer_norm(outer_PD, width, last, last_bias, epsilons[1])
        ctx.spans, ctx.heads = spans, heads
        ctx.save_for_backward(
            *(state_PD, qkv_P3D, seen_PD, added_PD, mean, deviation, middle_PD, before_PF, inner_PF),
            *(outer_PD, last_mean, last_deviation, qkv, output, norm, norm_bias, inner, outer, last, last_bias, *sums),
        )
        return given_PD

    @staticmethod
    def backward(ctx: Any, given_PD: Tensor) -> tuple[Tensor | None, ...]:
        kept = ctx.saved_tensors  # once: each look at it unpacks all
        state_PD, qkv_P3D, seen_PD, added_PD, mean, deviation, middle_PD, before_PF, inner_PF = kept[:9]
        outer_PD, last_mean, last_deviation, qkv, output, norm, norm_bias, inner, outer, last, last_bias = kept[9:20]
        sums = kept[20:]
        ones_1P, width = state_PD.new_ones(1, len(state_PD)), [state_PD.shape[1]]
        learns, reaches = any(ctx.needs_input_grad[4:]), ctx.needs_input_grad[0]

        def to_weights(back: Tensor, given: Tensor) -> tuple[Tensor | None, Tensor | None]:
            return (back.t() @ given, (ones_1P @ back)[0]) if learns else (None, None)

        back_PD, *last_norm = aten.native_layer_norm_backward(
            given_PD.contiguous(), outer_PD, width, last_mean, last_deviation, last, last_bias, ALL
        )
        to_outer = to_weights(back_PD, inner_PF)
        back_PF = aten.gelu_backward(back_PD @ outer, before_PF)
        to_inner = to_weights(back_PF, middle_PD)
        back_PD.addmm_(back_PF, inner)  # in place: what went around the inner layer is there already
        back_PD, *first_norm = aten.native_layer_norm_backward(
            back_PD, added_PD, width, mean, deviation, norm, norm_bias, ALL
        )
        to_output = to_weights(back_PD, seen_PD)
        back_P3D = _attend_back(back_PD @ output, qkv_P3D, seen_PD, sums, ctx.spans, ctx.heads)
        to_qkv, to_qkv_bias = to_weights(back_P3D, state_PD)
        if reaches:
            back_PD.addmm_(back_P3D, qkv)
        found = [None] * 6
        if to_qkv is not None and to_qkv_bias is not None:
            found = [one for pair in zip(to_qkv.chunk(3), to_qkv_bias.chunk(3), strict=True) for one in pair]  # type: ignore[misc]
        others = (*to_output, *first_norm, *to_inner, *to_outer, *last_norm)
        return (back_PD if reaches else None, None, None, None, *found, *others)


def _product(given: Tensor, weight: Tensor, bias: Tensor, added: Tensor | None = None) -> Tensor:
    """Multiply, the bias and what is *added* being put on within the product where that can be."""
    if not HAS_ONEDNN:
        found = linear(given, weight, bias)
        return found if added is None else found.add_(added)
    if added is None:
        return onednn._linear_pointwise(given, weight, bias, "none", [], "")  # type: ignore[no-any-return]  # noqa: SLF001
    return onednn._linear_pointwise.binary(given, added, weight, bias, "add")  # type: ignore[no-any-return]  # noqa: SLF001


def _by_head(state_PD: Tensor, span: Span, heads: int) -> Tensor:
    """Give a span as (N, H, L, K), of the same memory."""
    cut, width = state_PD[span.first : span.end], state_PD.shape[1] // heads
    whole, token = cut.stride(0) * span.length, cut.stride(0)  # not by view: the three of a product lie side by side
    return cut.as_strided((span.texts, heads, span.length, width), (whole, width, token, 1))


def _attend(qkv_P3D: Tensor, spans: Sequence[Span], heads: int) -> tuple[Tensor, list[Tensor]]:
    """Let each text's tokens look at each other; no mask, as a span's texts are of one length."""
    query_PD, key_PD, value_PD = qkv_P3D.chunk(3, dim=1)
    seen_PD, sums = query_PD.new_empty(query_PD.shape), []
    for span in spans:
        given = [_by_head(one, span, heads) for one in (query_PD, key_PD, value_PD)]
        found_NHLK, sum_NLH = aten._scaled_dot_product_flash_attention_for_cpu(*given)  # noqa: SLF001 - the way back takes its sums
        _by_head(seen_PD, span, heads).copy_(found_NHLK)
        sums.append(sum_NLH)
    return seen_PD, sums


def _attend_back(
    back_PD: Tensor, qkv_P3D: Tensor, seen_PD: Tensor, sums: Sequence[Tensor], spans: Sequence[Span], heads: int
) -> Tensor:
    back_P3D = torch.empty_like(qkv_P3D)
    given, into = qkv_P3D.chunk(3, dim=1), back_P3D.chunk(3, dim=1)
    for span, sum_NLH in zip(spans, sums, strict=True):
        found = aten._scaled_dot_product_flash_attention_for_cpu_backward(  # noqa: SLF001
            _by_head(back_PD, span, heads),
            *(_by_head(one, span, heads) for one in given),
            _by_head(seen_PD, span, heads),
            *(sum_NLH, 0.0, False),
        )
        for part_PD, found_NHLK in zip(into, found, strict=True):
            _by_head(part_PD, span, heads).copy_(found_NHLK)
    return back_P3D
