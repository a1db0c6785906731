"""Texts that stand end to end, from the shortest to the longest: where each is, and one vector of each."""

# Shape suffixes, scoped to this file:
#   P = tokens of all texts end to end, D = width, N = texts of a span, L = tokens of each of them

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.models.backbone import FIRST, LAST

Ints = npt.NDArray[np.int64]


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


def firsts_of(spans: Sequence[Span]) -> tuple[Tensor, list[Span]]:
    """Give the place of each text's first token, and the spans of texts that are those alone."""
    places = [torch.arange(span.first, span.end, span.length) for span in spans]
    alone, first = [], 0
    for span in spans:
        alone.append(Span(first, span.texts, 1))
        first = alone[-1].end
    return torch.cat(places), alone


def pool_packed(state_PD: Tensor, spans: Sequence[Span], pooling: str) -> Tensor:
    """Give one vector a text, as `pool` does of rows."""
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
