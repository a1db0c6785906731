"""What is learnt from texts alone: tokens are hidden, and told from the rest (BERT, Devlin et al. 2019)."""

# Shape suffixes, scoped to this file:
#   N = texts, P = tokens of all texts end to end, U = units that are hidden whole, M = tokens that are asked for,
#   B = texts of a batch, T = tokens of the longest, D = width, V = tokens of the vocabulary

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.learning.pair_loss import cut_share
from trainer.models.adaptation import BareModel, GapScore
from trainer.models.backbone import run_backbone
from trainer.models.bert_layer import open_packed
from trainer.models.gap_head import GapHead
from trainer.models.gap_tokens import GapTexts, GapVocabulary
from trainer.models.packed_texts import spans_of

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

HIDDEN, OTHER = 0.8, 0.9  # up to here a gap, up to here another token, else the token itself: none looks like the rest


@dataclass(frozen=True, slots=True)
class Gaps:
    """Texts with gaps."""

    ids_P: Ints  # as the model reads them
    asked_P: Mask  # true where a token is to be told


def draw_gaps(texts: GapTexts, share: float, vocabulary: GapVocabulary, rng: np.random.Generator) -> Gaps:
    """Ask for a share of each text's units, one at least, and for no other token."""
    drawn_U = rng.random(len(texts.owner_U))
    order = np.lexsort((drawn_U, texts.owner_U))
    count_N = np.bincount(texts.owner_U, minlength=len(texts))
    first_N = np.cumsum(count_N) - count_N
    rank_U = np.empty(len(order), dtype=np.int64)
    rank_U[order] = np.arange(len(order)) - first_N[texts.owner_U[order]]
    chosen_U = rank_U < np.maximum(1, np.rint(share * count_N))[texts.owner_U]
    asked_P = (texts.unit_P >= 0) & chosen_U[texts.unit_P]
    fate_P, other_P = rng.random(len(asked_P)), rng.choice(vocabulary.words, len(asked_P))
    ids_P = np.where(asked_P & (fate_P < HIDDEN), vocabulary.gap, texts.tokens.ids_P)
    ids_P = np.where(asked_P & (fate_P >= HIDDEN) & (fate_P < OTHER), other_P, ids_P)
    return Gaps(ids_P, asked_P)


@dataclass(slots=True)
class GapLesson:
    """Rows of many epochs: of N texts row e * N + n is text n as it is in epoch e, its gaps drawn from the seed."""

    bare: BareModel
    head: GapHead
    texts: GapTexts
    vocabulary: GapVocabulary
    share: float
    seed: Sequence[int]
    drawn: tuple[int, Gaps] | None = field(default=None, init=False)  # of one epoch

    def loss_of(self, rows: Ints) -> Tensor:
        """Give the mean cross-entropy, in nats a token that is asked for."""
        return self._sum(rows) / self._asked(rows)

    def in_parts(self, rows: Ints, parts: int) -> Iterator[Tensor]:
        """Give what adds up to it; of several processes each computes its share."""
        asked = self._asked(rows)
        for part in cut_share(rows, parts, self.bare.device.crew):
            yield self._sum(part) / asked

    @torch.no_grad()
    def measure(self, batches: Sequence[Ints]) -> GapScore:
        """Measure how well the tokens of some rows are told."""
        loss, right, asked = 0.0, 0, 0
        for rows in batches:
            output_MV, token_M = self._answer(rows)
            loss += float(torch.nn.functional.cross_entropy(output_MV, token_M, reduction="sum"))
            right += int((output_MV.argmax(1) == token_M).sum())
            asked += len(token_M)
        return GapScore(loss / asked, right / asked)

    def _sum(self, rows: Ints) -> Tensor:
        return torch.nn.functional.cross_entropy(*self._answer(rows), reduction="sum")

    def _asked(self, rows: Ints) -> int:
        gaps, places_P = self._places(rows)
        return int(gaps.asked_P[places_P].sum())

    def _answer(self, rows: Ints) -> tuple[Tensor, Tensor]:
        """Give the (M, V) outputs for the tokens that are asked for, and these."""
        rows = rows[np.argsort(self.texts.tokens.lengths[rows % len(self.texts)], kind="stable")]
        gaps, places_P = self._places(rows)
        put, (asked,) = self.bare.device.put, np.nonzero(gaps.asked_P[places_P])
        state_PD = self._read(gaps, rows % len(self.texts))
        with self.bare.device.autocast():
            output_MV = self.head(state_PD[put(torch.from_numpy(asked))])
        return output_MV.float(), put(torch.from_numpy(self.texts.tokens.ids_P[places_P[asked]]))

    def _places(self, rows: Ints) -> tuple[Gaps, Ints]:
        return self._gaps(int(rows[0]) // len(self.texts)), self.texts.tokens.places(rows % len(self.texts))

    def _gaps(self, epoch: int) -> Gaps:
        if self.drawn is None or self.drawn[0] != epoch:
            # By the epoch, not one after the other: a fit that goes on draws what it would have drawn.
            rng = np.random.default_rng([*self.seed, epoch])
            self.drawn = epoch, draw_gaps(self.texts, self.share, self.vocabulary, rng)
        return self.drawn[1]

    def _read(self, gaps: Gaps, texts_B: Ints) -> Tensor:
        """Give the (P, D) states of some texts, the shortest first, end to end."""
        bare, tokens = self.bare, replace(self.texts.tokens, ids_P=gaps.ids_P)
        if (packed := open_packed(bare.model, bare.device)) is not None:
            spans = spans_of(tokens.lengths[texts_B])
            return packed.run(packed.embed(torch.from_numpy(tokens.ids_P[tokens.places(texts_B)]), spans), spans)
        batch = tokens.pad(texts_B, bare.pad_token).where(bare.device.put)
        with bare.device.autocast():
            state_BTD = run_backbone(bare.model, batch.ids_BT, batch.mask_BT)
        return state_BTD[batch.mask_BT]


@contextmanager
def learning_alone(model: torch.nn.Module, parameters: Sequence[torch.nn.Parameter]) -> Iterator[None]:
    """Let these learn within the block and nothing else of the model; what learnt before it does so after it."""
    before = [(one, one.requires_grad) for one in model.parameters()]
    model.requires_grad_(requires_grad=False)
    for one in parameters:
        one.requires_grad = True
    try:
        yield
    finally:
        for one, learns in before:
            one.requires_grad = learns
            one.grad = None  # as large as itself
