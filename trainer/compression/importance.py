"""Which layers and heads of a tuned model matter, measured on labelled rows."""

# Shape suffixes, scoped to this file:
#   B = texts or pairs, T = tokens of the longest, H = heads of a layer, D = width of the model

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.compression.layer_reader import LayerReader
from trainer.errors import ModelError
from trainer.models.attention_heads import attention_of, count_heads
from trainer.models.backbone import layer_list

Ints = npt.NDArray[np.int64]

LOOKED_AT, AT_A_TIME = 512, 32  # rows


class LabelledRows(Protocol):
    """Rows that a model can be wrong on."""

    def __len__(self) -> int:
        """Give how many there are."""
        ...

    def loss_of(self, reader: LayerReader, rows: Ints) -> Tensor:
        """Give the mean loss of some rows, with gradients where they are wanted."""
        ...


def layers_that_matter(reader: LayerReader, labelled: LabelledRows, share: float, seed: int) -> list[int]:
    """Give the layers that are kept: again and again the one is left out without which the loss is least."""
    found = layer_list(reader.model)
    whole, kept = list(found), list(range(len(found)))
    batches = _batches(labelled, seed)
    while len(kept) > max(1, round(share * len(whole))):
        losses = {}
        for place in kept:
            with _as_layers(found, [whole[one] for one in kept if one != place]):
                losses[place] = _mean_loss(reader, labelled, batches)
        kept.remove(min(kept, key=lambda place: (losses[place], place)))
    return kept


def heads_that_matter(
    reader: LayerReader, labelled: LabelledRows, share: float, seed: int
) -> Mapping[int, Sequence[int]]:
    """Give the heads that are kept of each layer, at least one: those whose mask moves the loss most.

    The mean of the size of a mask's gradient, over the norm of its layer's (Michel et al. 2019).
    """
    layers = list(layer_list(reader.model))
    if share == 1:
        return {}
    if not all(count_heads(layer) for layer in layers):
        raise ModelError(
            f"{reader.source.folder}: the heads of a {reader.source.kind} model are laid out otherwise than BERT's:"
            " compress.heads = 1 leaves them as they are"
        )
    weights = _head_weights(reader, layers, labelled, _batches(labelled, seed))
    # The best of each layer first: a layer without any would be no attention at all.
    order = sorted(
        (
            (head != int(weight_H.argmax()), -float(weight_H[head]), place, head)
            for place, weight_H in enumerate(weights)
            for head in range(len(weight_H))
        )
    )
    wanted = max(len(layers), round(share * len(order)))
    kept: dict[int, list[int]] = {place: [] for place in range(len(layers))}
    for *_, place, head in order[:wanted]:
        kept[place].append(head)
    return {place: sorted(some) for place, some in kept.items()}


def _head_weights(
    reader: LayerReader, layers: Sequence[Any], labelled: LabelledRows, batches: Sequence[Ints]
) -> list[Tensor]:
    totals = [torch.zeros(count_heads(layer)) for layer in layers]
    for rows in batches:
        with _masked(layers) as masks:
            labelled.loss_of(reader, rows).backward()  # type: ignore[no-untyped-call]
        for place, mask_BH in masks:
            assert mask_BH.grad is not None  # the loss hangs on every layer
            # A row by itself: over a batch, gradients of both signs would cancel out.
            totals[place] += mask_BH.grad.abs().sum(0)
    return [torch.nn.functional.normalize(total_H, dim=0) for total_H in totals]


@contextmanager
def _masked(layers: Sequence[Any]) -> Iterator[list[tuple[int, Tensor]]]:
    """Multiply what each head gives by a mask of ones within the block; give the masks, with their layers' places."""
    masks: list[tuple[int, Tensor]] = []

    def hook(place: int, heads: int) -> Any:
        def multiply(module: Any, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:  # noqa: ARG001 - torch's own form
            (state_BTD,) = given
            mask_BH = torch.ones((len(state_BTD), heads), requires_grad=True)
            masks.append((place, mask_BH))
            apart_BTHD = state_BTD.view(*state_BTD.shape[:2], heads, -1)
            return ((apart_BTHD * mask_BH[:, None, :, None]).flatten(-2),)

        return multiply

    hooks = [
        attention_of(layer).output.dense.register_forward_pre_hook(hook(place, count_heads(layer)))  # type: ignore[union-attr]
        for place, layer in enumerate(layers)
    ]
    try:
        yield masks
    finally:
        for one in hooks:
            one.remove()


@contextmanager
def _as_layers(found: torch.nn.ModuleList, layers: Sequence[Any]) -> Iterator[None]:
    before = list(found)
    try:
        del found[:]
        found.extend(layers)
        yield
    finally:
        del found[:]
        found.extend(before)


def _mean_loss(reader: LayerReader, labelled: LabelledRows, batches: Sequence[Ints]) -> float:
    with torch.no_grad():
        return float(np.mean([float(labelled.loss_of(reader, rows)) for rows in batches]))


def _batches(labelled: LabelledRows, seed: int) -> list[Ints]:
    rows = np.random.default_rng(seed).permutation(len(labelled))[:LOOKED_AT]
    return np.array_split(rows, max(1, len(rows) // AT_A_TIME))
