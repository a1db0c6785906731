"""BERT's layers on the processor, over texts end to end: nothing is padding, and each way back is written out.

torch copies a bias into every product before it is multiplied, adds up what a product could have been added to, and
pads; beside the multiplications of a small model that is a third of a step.
"""

# Shape suffixes, scoped to this file:
#   P = tokens of all texts end to end, Q = those of them whose states are asked for, D = width, N = texts of a span,
#   L = tokens of each of them

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear

from trainer.models.adapted_weights import adds_up, bare_model, effective_weight
from trainer.models.backbone import FIRST
from trainer.models.device import CPU, FP32, Device
from trainer.models.packed_attention import Attended, attend, attend_back
from trainer.models.packed_texts import Span, firsts_of, pool_packed

aten: Any = torch.ops.aten
onednn: Any = torch.ops.mkldnn
HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(onednn, "_linear_pointwise")  # type: ignore[no-untyped-call]
ALL = [True, True, True]
KEPT = 16  # tensors that the way back of `_feed` takes
WORTH_LAYING_OUT = 8192  # tokens: from here on it gains more than it costs
TOKENS_AT_REST = 2048  # of one product, about


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """The weights of a layer, as they are multiplied."""

    tensors: tuple[Tensor, ...]  # weight and bias of: query, key, value, output, first norm, inner, outer, second norm
    heads: int
    epsilons: tuple[float, float]


class PackedBert:
    """A model's layers, run over texts end to end."""

    def __init__(self, model: Any) -> None:
        self.model = bare_model(model)
        self._reads_types = int(self.model.config.type_vocab_size) > 1
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

    def pooled(self, state_PD: Tensor, spans: Sequence[Span], pooling: str, first: int = 0) -> Tensor:
        """Give one (D,) vector a text of the states below the layers from *first* on, in the order of the spans.

        Where it is the first token's state, the last layer computes no other: keys and values are all it takes of them.
        """
        layers = self.model.encoder.layer
        if pooling != FIRST or first >= len(layers):
            return pool_packed(self.run(state_PD, spans, first), spans, pooling)
        below_PD = self.run(state_PD, spans, first, len(layers) - 1)
        if self._resting is not None:
            return _run_resting(self._resting[-1], below_PD, spans, alone=True)
        told = weights_of(layers[-1])
        return _FirstTokens.apply(below_PD, spans, told.heads, told.epsilons, *told.tensors)  # type: ignore[no-any-return,no-untyped-call]

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

    bare = bare_model(model)
    if device.kind != CPU or device.precision != FP32 or device.compiles or not isinstance(bare, BertModel):
        return None
    if device.crew.shards:  # weights are there while a layer is called alone
        return None
    config = bare.config
    if config.hidden_act != "gelu" or config.is_decoder or config.add_cross_attention:
        return None
    layers = bare.encoder.layer
    if any(layer.gradient_checkpointing for layer in layers) or not all(map(adds_up, layers)):
        return None
    return PackedBert(model)


def weights_of(layer: Any) -> LayerWeights:
    """Give the weights of one of transformers' layers, as they are now."""
    seen, told = layer.attention.self, layer.attention.output
    parts = (
        *(seen.query, seen.key, seen.value, told.dense, told.LayerNorm),
        *(layer.intermediate.dense, layer.output.dense, layer.output.LayerNorm),
    )
    tensors = tuple(tensor for part in parts for tensor in (effective_weight(part), part.bias))
    return LayerWeights(tensors, seen.num_attention_heads, (told.LayerNorm.eps, layer.output.LayerNorm.eps))


def _together(weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Give the weights with those of queries, keys and values as one: three products of a third each are slower."""
    return (torch.cat(tuple(weights[0:6:2])), torch.cat(tuple(weights[1:6:2])), *weights[6:])


def _lay_out(weights: LayerWeights) -> LayerWeights:
    tensors = list(_together([tensor.detach() for tensor in weights.tensors]))
    for place in (0, 2, 6, 8):
        tensors[place] = onednn._reorder_linear_weight(tensors[place], TOKENS_AT_REST)  # noqa: SLF001 - no other name
    return LayerWeights(tuple(tensors), weights.heads, weights.epsilons)


def _run_resting(weights: LayerWeights, state_PD: Tensor, spans: Sequence[Span], *, alone: bool = False) -> Tensor:
    """Run a layer whose weights are laid out; for each text's first token *alone* if that is all that is asked for."""
    qkv, qkv_bias, output, output_bias, norm, norm_bias, inner, inner_bias, outer, outer_bias, last, last_bias = (
        weights.tensors
    )
    width, looking = [state_PD.shape[1]], spans
    query_QD, key_PD, value_PD = _product(state_PD, qkv, qkv_bias).chunk(3, dim=1)
    if alone:
        firsts, looking = firsts_of(spans)
        query_QD, state_PD = query_QD[firsts], state_PD[firsts]
    seen_QD, _ = attend(query_QD, key_PD, value_PD, looking, spans, weights.heads)
    state_QD = layer_norm(_product(seen_QD, output, output_bias, state_PD), width, norm, norm_bias, weights.epsilons[0])
    inner_QF = onednn._linear_pointwise(state_QD, inner, inner_bias, "gelu", [], "none")  # noqa: SLF001 - no other name
    return layer_norm(_product(inner_QF, outer, outer_bias, state_QD), width, last, last_bias, weights.epsilons[1])


class _Layer(torch.autograd.Function):
    """A layer, for all tokens."""

    @staticmethod
    def forward(
        ctx: Any,
        state_PD: Tensor,
        spans: Sequence[Span],
        heads: int,
        epsilons: tuple[float, float],
        *weights: Tensor,
    ) -> Tensor:
        qkv, qkv_bias, *others = _together(weights)
        qkv_P3D = _product(state_PD, qkv, qkv_bias)
        query_PD, key_PD, value_PD = qkv_P3D.chunk(3, dim=1)
        seen_PD, sums = attend(query_PD, key_PD, value_PD, spans, spans, heads)
        given_PD, kept = _feed(seen_PD, state_PD, others, epsilons)
        ctx.spans, ctx.heads = spans, heads
        ctx.save_for_backward(state_PD, qkv_P3D, qkv, seen_PD, *kept, *sums)
        return given_PD

    @staticmethod
    def backward(ctx: Any, given_PD: Tensor) -> tuple[Tensor | None, ...]:
        state_PD, qkv_P3D, qkv, seen_PD, *more = ctx.saved_tensors  # once: each look at it unpacks all
        kept, sums = more[:KEPT], more[KEPT:]
        reaches, learns = ctx.needs_input_grad[0], ctx.needs_input_grad[4:]
        back_seen_PD, back_PD, others = _feed_back(given_PD, seen_PD, kept, learns[6:])
        back_P3D = torch.empty_like(qkv_P3D)
        query_PD, key_PD, value_PD = qkv_P3D.chunk(3, dim=1)
        attended = Attended(query_PD, key_PD, value_PD, seen_PD, sums)
        attend_back(back_seen_PD, attended, back_P3D.chunk(3, dim=1), ctx.spans, ctx.spans, ctx.heads)
        found = _to_joined(back_P3D, state_PD, learns[:6])
        if reaches:
            back_PD.addmm_(back_P3D, qkv)
        return (back_PD if reaches else None, None, None, None, *found, *others)


class _FirstTokens(torch.autograd.Function):
    """A layer, for the first token of each text: what `_Layer` gives of it, the others being looked at alone."""

    @staticmethod
    def forward(
        ctx: Any,
        state_PD: Tensor,
        spans: Sequence[Span],
        heads: int,
        epsilons: tuple[float, float],
        *weights: Tensor,
    ) -> Tensor:
        query, query_bias, key, key_bias, value, value_bias, *others = weights
        both = torch.cat((key, value))
        firsts, looking = firsts_of(spans)
        first_QD = state_PD[firsts]
        query_QD = _product(first_QD, query, query_bias)
        both_P2D = _product(state_PD, both, torch.cat((key_bias, value_bias)))
        key_PD, value_PD = both_P2D.chunk(2, dim=1)
        seen_QD, sums = attend(query_QD, key_PD, value_PD, looking, spans, heads)
        given_QD, kept = _feed(seen_QD, first_QD, others, epsilons)
        ctx.spans, ctx.heads = spans, heads
        ctx.save_for_backward(state_PD, first_QD, query_QD, both_P2D, query, both, seen_QD, *kept, *sums)
        return given_QD

    @staticmethod
    def backward(ctx: Any, given_QD: Tensor) -> tuple[Tensor | None, ...]:
        state_PD, first_QD, query_QD, both_P2D, query, both, seen_QD, *more = ctx.saved_tensors
        kept, sums = more[:KEPT], more[KEPT:]
        firsts, looking = firsts_of(ctx.spans)
        reaches, learns = ctx.needs_input_grad[0], ctx.needs_input_grad[4:]
        back_seen_QD, back_QD, others = _feed_back(given_QD, seen_QD, kept, learns[6:])
        back_query_QD, back_both_P2D = torch.empty_like(query_QD), torch.empty_like(both_P2D)
        key_PD, value_PD = both_P2D.chunk(2, dim=1)
        attended = Attended(query_QD, key_PD, value_PD, seen_QD, sums)
        into = (back_query_QD, *back_both_P2D.chunk(2, dim=1))
        attend_back(back_seen_QD, attended, into, looking, ctx.spans, ctx.heads)
        found = _to_weights(back_query_QD, first_QD, learns[:2]) + _to_joined(back_both_P2D, state_PD, learns[2:6])
        back_PD = None
        if reaches:
            back_PD = back_both_P2D @ both
            back_PD.index_add_(0, firsts, back_QD.addmm_(back_query_QD, query))
        return (back_PD, None, None, None, *found, *others)


def _feed(
    seen_QD: Tensor, state_QD: Tensor, weights: Sequence[Tensor], epsilons: tuple[float, float]
) -> tuple[Tensor, list[Tensor]]:
    """Give what a layer makes of what its tokens have seen, and what the way back takes."""
    output, output_bias, norm, norm_bias, inner, inner_bias, outer, outer_bias, last, last_bias = weights
    width = [state_QD.shape[1]]
    added_QD = _product(seen_QD, output, output_bias, state_QD)
    middle_QD, mean, deviation = aten.native_layer_norm(added_QD, width, norm, norm_bias, epsilons[0])
    before_QF = _product(middle_QD, inner, inner_bias)
    inner_QF = gelu(before_QF)
    outer_QD = _product(inner_QF, outer, outer_bias, middle_QD)
    given_QD, last_mean, last_deviation = aten.native_layer_norm(outer_QD, width, last, last_bias, epsilons[1])
    states = [added_QD, mean, deviation, middle_QD, before_QF, inner_QF, outer_QD, last_mean, last_deviation]
    return given_QD, [*states, output, norm, norm_bias, inner, outer, last, last_bias]


def _feed_back(
    given_QD: Tensor, seen_QD: Tensor, kept: Sequence[Tensor], learns: Sequence[bool]
) -> tuple[Tensor, Tensor, list[Tensor | None]]:
    """Give the gradients of what was seen and of what went around it, and those of the weights that learn."""
    added_QD, mean, deviation, middle_QD, before_QF, inner_QF, outer_QD, last_mean, last_deviation = kept[:9]
    output, norm, norm_bias, inner, outer, last, last_bias = kept[9:]
    width = [given_QD.shape[1]]  # heads may be fewer: what was seen is not as wide then
    back_QD, *last_norm = aten.native_layer_norm_backward(
        given_QD.contiguous(), outer_QD, width, last_mean, last_deviation, last, last_bias, ALL
    )
    to_outer = _to_weights(back_QD, inner_QF, learns[6:8])
    back_QF = aten.gelu_backward(back_QD @ outer, before_QF)
    to_inner = _to_weights(back_QF, middle_QD, learns[4:6])
    back_QD.addmm_(back_QF, inner)  # in place: what went around the inner layer is there already
    back_QD, *first_norm = aten.native_layer_norm_backward(
        back_QD, added_QD, width, mean, deviation, norm, norm_bias, ALL
    )
    to_output = _to_weights(back_QD, seen_QD, learns[:2])
    return back_QD @ output, back_QD, [*to_output, *first_norm, *to_inner, *to_outer, *last_norm]


def _to_weights(back_PD: Tensor, given_PD: Tensor, learns: Sequence[bool]) -> list[Tensor | None]:
    """Give the gradients of a product's weight and bias, of each that *learns*."""
    weight = back_PD.t() @ given_PD if learns[0] else None
    return [weight, (back_PD.new_ones(1, len(back_PD)) @ back_PD)[0] if learns[1] else None]


def _to_joined(back_PD: Tensor, given_PD: Tensor, learns: Sequence[bool]) -> list[Tensor | None]:
    """Give the gradients of products that were made as one, each with a share of the columns of *back_PD*."""
    count = len(learns) // 2
    if all(learns):  # as one again: it is the faster for it
        pairs = zip(
            *(one.chunk(count) for one in _to_weights(back_PD, given_PD, learns) if one is not None), strict=True
        )
        return [one for pair in pairs for one in pair]
    parts = enumerate(back_PD.chunk(count, dim=1))
    return [one for place, part in parts for one in _to_weights(part, given_PD, learns[2 * place : 2 * place + 2])]


def _product(given: Tensor, weight: Tensor, bias: Tensor, added: Tensor | None = None) -> Tensor:
    """Multiply, the bias and what is *added* being put on within the product where that can be."""
    if not HAS_ONEDNN:
        found = linear(given, weight, bias)
        return found if added is None else found.add_(added)
    if added is None:
        return onednn._linear_pointwise(given, weight, bias, "none", [], "")  # type: ignore[no-any-return]  # noqa: SLF001
    return onednn._linear_pointwise.binary(given, added, weight, bias, "add")  # type: ignore[no-any-return]  # noqa: SLF001
