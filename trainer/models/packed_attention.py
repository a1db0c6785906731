"""Attention on the processor over texts that stand end to end, there and back, a span of one length at a time."""

# Shape suffixes, scoped to this file:
#   P = tokens of all texts end to end, Q = those of them that look, D = width, N = texts of a span, L = tokens of each
#   of them, H = heads, K = width of a head

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.models.packed_texts import Span

aten: Any = torch.ops.aten


def attend(
    query_QD: Tensor, key_PD: Tensor, value_PD: Tensor, looking: Sequence[Span], spans: Sequence[Span], heads: int
) -> tuple[Tensor, list[Tensor]]:
    """Let the *looking* tokens of each text look at all of it; no mask, as a span's texts are of one length.

    Give the (Q, D) states, and the sums that the way back takes, a span each.
    """
    seen_QD, sums = query_QD.new_empty(query_QD.shape), []
    for look, span in zip(looking, spans, strict=True):
        given = _by_head(query_QD, look, heads), _by_head(key_PD, span, heads), _by_head(value_PD, span, heads)
        found_NHLK, sum_NLH = aten._scaled_dot_product_flash_attention_for_cpu(*given)  # noqa: SLF001 - the way back takes its sums
        _by_head(seen_QD, look, heads).copy_(found_NHLK)
        sums.append(sum_NLH)
    return seen_QD, sums


@dataclass(frozen=True, slots=True)
class Attended:
    """What the way back of `attend` takes."""

    query_QD: Tensor
    key_PD: Tensor
    value_PD: Tensor
    seen_QD: Tensor
    sums: Sequence[Tensor]


def attend_back(
    back_QD: Tensor,
    kept: Attended,
    into: Sequence[Tensor],
    looking: Sequence[Span],
    spans: Sequence[Span],
    heads: int,
) -> None:
    """Write the gradients of queries, keys and values *into* three places."""
    for look, span, sum_NLH in zip(looking, spans, kept.sums, strict=True):
        found = aten._scaled_dot_product_flash_attention_for_cpu_backward(  # noqa: SLF001
            _by_head(back_QD, look, heads),
            _by_head(kept.query_QD, look, heads),
            _by_head(kept.key_PD, span, heads),
            _by_head(kept.value_PD, span, heads),
            _by_head(kept.seen_QD, look, heads),
            *(sum_NLH, 0.0, False),
        )
        for part, cut, found_NHLK in zip(into, (look, span, span), found, strict=True):
            _by_head(part, cut, heads).copy_(found_NHLK)


def _by_head(state_PD: Tensor, span: Span, heads: int) -> Tensor:
    """Give a span as (N, H, L, K), of the same memory."""
    cut, width = state_PD[span.first : span.end], state_PD.shape[1] // heads
    whole, token = cut.stride(0) * span.length, cut.stride(0)  # not by view: the three of a product lie side by side
    return cut.as_strided((span.texts, heads, span.length, width), (whole, width, token, 1))
