"""A static student: a vector a token, made of the tuned model, then taught to point where the model points."""

# Shape suffixes, scoped to this file:
#   V = tokens of the vocabulary, E = texts of the lessons, B = texts of a step, P = tokens end to end, D = width

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.models.backbone import pool
from trainer.models.static_encoder import mean_vectors, read_tokens
from trainer.models.text_encoder import TextEncoder

TOKENS_AT_A_TIME = 512
RARE = 1e-3  # a of a / (a + p): how fast a word's weight falls with its share (Arora et al. 2017)
SAMPLE = "a"  # any text: what stands around its tokens is what the tokenizer puts around every text's


@dataclass(frozen=True, slots=True)
class Lessons:
    """How long and how fast a student learns."""

    epochs: int
    lr: float
    batch: int = 256  # texts a step
    seed: int = 0


def distil_vocabulary(teacher: TextEncoder, texts: Sequence[str], dimensions: int | None) -> tuple[Tensor, Tensor]:
    """Give (V, D') vectors of all tokens, and the (D, D') axes they are in; of all axes where no number is told.

    Each token is read by the model alone, then weighed by how rare it is in the texts: the recipe of model2vec.
    """
    read_VD = _read_vocabulary(teacher)
    basis_DD = _axes(read_VD, dimensions)
    return (read_VD @ basis_DD) * _rarity(teacher, texts, len(read_VD))[:, None], basis_DD


def _axes(read_VD: Tensor, dimensions: int | None) -> Tensor:
    width = read_VD.shape[1]
    if dimensions is None or dimensions >= width:
        return torch.eye(width)
    # Not centred: a product of two vectors has to stay what it was, but for the axes that are left out.
    axes_DD: Tensor = torch.linalg.eigh(read_VD.T @ read_VD).eigenvectors
    return axes_DD[:, -dimensions:].flip(1).contiguous()


def _rarity(teacher: TextEncoder, texts: Sequence[str], vocabulary: int) -> Tensor:
    ids_P, _ = read_tokens(teacher.tokenizer, texts)
    counts_V = torch.bincount(ids_P, minlength=vocabulary).to(torch.float32)
    # One more of each: a token that no text has is as rare as one that a single text has.
    return RARE / (RARE + (counts_V + 1) / (counts_V.sum() + 1))


def _read_vocabulary(teacher: TextEncoder) -> Tensor:
    """Give the model's (V, D) vectors of every token as a text of its own, between what stands around every text."""
    around = teacher.tokenizer.encode(SAMPLE)
    inner = [place for place, special in enumerate(around.special_tokens_mask) if not special]
    before = around.ids[: inner[0]] if inner else []
    after = around.ids[inner[-1] + 1 :] if inner else []
    parts = []
    with torch.inference_mode():
        for token_B in torch.split(torch.arange(teacher.stack.vocabulary), TOKENS_AT_A_TIME):
            ids_BT = torch.tensor([[*before, token, *after] for token in token_B.tolist()])
            mask_BT = torch.ones_like(ids_BT, dtype=torch.bool)
            state_BTD = teacher.stack.above(teacher.stack.below(ids_BT, mask_BT, 0), mask_BT, 0)
            parts.append(torch.nn.functional.normalize(pool(state_BTD, mask_BT, teacher.pooling), dim=1))
    return torch.cat(parts).clone()


def teach(start_VD: Tensor, tokenizer: object, texts: Sequence[str], target_ED: Tensor, lessons: Lessons) -> Tensor:
    """Let the mean of token vectors point where the teacher's vectors of the texts point; give the new vectors."""
    vectors_VD = torch.nn.Parameter(start_VD.clone())
    wanted_ED = torch.nn.functional.normalize(target_ED, dim=1)
    ids_P, starts_E = read_tokens(tokenizer, texts)
    ends_E = torch.cat([starts_E[1:], torch.tensor([len(ids_P)])])
    known = torch.nonzero(ends_E > starts_E)[:, 0]  # of a text without a token nothing is learnt
    rng = np.random.default_rng(lessons.seed)
    steps = lessons.epochs * -(-len(known) // lessons.batch)
    # Sparse: a step moves the tokens of its texts alone, a hundredth of the vocabulary.
    optimizer = torch.optim.SparseAdam([vectors_VD], lr=lessons.lr)
    pace = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / max(1, steps)))
    for _ in range(lessons.epochs):
        for rows in torch.split(known[torch.from_numpy(rng.permutation(len(known)))], lessons.batch):
            length_B = ends_E[rows] - starts_E[rows]
            place_P = torch.arange(int(length_B.sum())) - torch.repeat_interleave(
                length_B.cumsum(0) - length_B, length_B
            )
            some_P = ids_P[torch.repeat_interleave(starts_E[rows], length_B) + place_P]
            said_BD = torch.nn.functional.embedding_bag(
                some_P, vectors_VD, length_B.cumsum(0) - length_B, mode="mean", sparse=True
            )
            loss = 1 - torch.nn.functional.cosine_similarity(said_BD, wanted_ED[rows]).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()  # type: ignore[no-untyped-call]
            pace.step()
    return vectors_VD.detach()


def agreement(vectors_VD: Tensor, tokenizer: object, texts: Sequence[str], target_ED: Tensor) -> float:
    """Give the mean cosine between what a student says of some texts and what its teacher does."""
    said_ED = mean_vectors(vectors_VD, *read_tokens(tokenizer, texts))
    return float(torch.nn.functional.cosine_similarity(said_ED, target_ED).mean())
