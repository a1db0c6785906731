"""Which rows are learnt together, step by step."""

import numpy as np
import numpy.typing as npt

from trainer.models.token_batches import cut_by_tokens

Ints = npt.NDArray[np.int64]

BATCHES_SORTED_TOGETHER = 50  # many enough that lengths agree, few enough that neighbours change between epochs


def shuffled_batches(rows: int, batch: int, epochs: int, rng: np.random.Generator) -> list[Ints]:
    """Shuffle every epoch anew and cut it into batches as even as can be, none above the wanted size."""
    # Even ones: where the batch's others are the negatives, a short last batch would be an easier question.
    batches = -(-rows // batch)
    return [part for _ in range(epochs) for part in np.array_split(rng.permutation(rows), batches)]


def batches_by_length(lengths: Ints, batch: int, epochs: int, rng: np.random.Generator) -> list[Ints]:
    """Shuffle every epoch anew, in batches of rows of similar length: little of what is computed is padding.

    Only some batches' worth of rows are sorted together, so that batches differ from one epoch to the next.
    """
    batches: list[Ints] = []
    for _ in range(epochs):
        order = rng.permutation(len(lengths))
        together = batch * BATCHES_SORTED_TOGETHER
        parts: list[Ints] = []
        for start in range(0, len(order), together):
            rows = order[start : start + together]
            rows = rows[np.argsort(lengths[rows], kind="stable")]
            parts += np.array_split(rows, max(1, round(len(rows) / batch)))
        # Shuffled once more: else every fifty batches would lead from short texts to long ones.
        batches += [parts[place] for place in rng.permutation(len(parts))]
    return batches


def batches_of_tokens(lengths: Ints, tokens: int, epochs: int, rng: np.random.Generator) -> list[Ints]:
    """Shuffle every epoch anew, in batches of texts of similar length that take so many *tokens* once filled up.

    A text that is longer stands alone. Of N texts row e * N + n is text n in epoch e: whoever draws anew in each epoch
    can tell.
    """
    batches: list[Ints] = []
    together = max(1, round(tokens * BATCHES_SORTED_TOGETHER / max(1.0, float(lengths.mean()))))
    for epoch in range(epochs):
        order = rng.permutation(len(lengths))
        parts: list[Ints] = []
        for start in range(0, len(order), together):
            rows = order[start : start + together]
            rows = rows[np.argsort(lengths[rows], kind="stable")]
            parts += cut_by_tokens(rows, lengths[rows], tokens)
        batches += [epoch * len(lengths) + parts[place] for place in rng.permutation(len(parts))]
    return batches
