"""Scorers that need no text: what keeps a team honest about a model of text."""

# Shape suffixes, scoped to this file:
#   U = users asked about, I = items of the catalogue, F = factors, N = users learned from

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from threadpoolctl import threadpool_limits

Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]
Integers = npt.NDArray[np.signedinteger]

NEIGHBOURS = 200  # kept of each item: beyond them cosines rest on one or two users
SWEEPS, RIDGE, CONFIDENCE = 10, 10.0, 1.0
PAIRS_AT_A_TIME = 1 << 22  # of items: where baskets are large, nearly every item was once chosen with every other


def count_pairs(
    user: npt.NDArray[np.signedinteger], item: npt.NDArray[np.signedinteger], items: int
) -> sparse.csr_array:
    """Give (N, I) how often a user chose an item, users without a row left out."""
    _, row = np.unique(user, return_inverse=True)
    shape = (int(row.max()) + 1 if len(row) else 0, items)
    return sparse.csr_array((np.ones(len(row), dtype=np.float32), (row, item)), shape=shape)


def item_neighbours(chosen_NI: sparse.csr_array) -> sparse.csr_array:
    """Give (I, I) cosines of items over the users who chose them, the nearest kept, itself left out.

    Item-based collaborative filtering (Sarwar et al. 2001).
    """
    items = chosen_NI.shape[1]
    norm_I = np.sqrt(np.maximum(np.asarray(chosen_NI.power(2).sum(axis=0), dtype=np.float64), 1e-12))
    found = []
    for first, together in items_together(chosen_NI, PAIRS_AT_A_TIME):
        row_P = np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
        # Rounded: what is as near as another is not told apart by how the machine adds up.
        cosine_P = np.round(together.data / (norm_I[row_P + first] * norm_I[together.indices]), 12)
        # An item is its own nearest neighbour, and would recommend what the history already holds.
        cosine_P[row_P + first == together.indices] = 0.0
        found.append(_nearest(sparse.csr_array((cosine_P, together.indices, together.indptr), shape=together.shape)))
    return sparse.csr_array(sparse.vstack(found)) if found else sparse.csr_array((items, items), dtype=np.float32)


def items_together(chosen_NI: sparse.csr_array, pairs: int) -> Iterator[tuple[int, sparse.csr_array]]:
    """Give how often items were chosen by the same people, some rows of all items at a time and the first's number."""
    by_item, items = chosen_NI.T.tocsr(), chosen_NI.shape[1]
    step = max(1, pairs // max(items, 1))
    for first in range(0, items, step):
        yield first, by_item[first : first + step] @ chosen_NI


def _nearest(cosine_II: sparse.csr_array) -> sparse.csr_array:
    """Keep the nearest of each row, and all that are as near as the last of them: none is preferred for its number."""
    starts, value_P = cosine_II.indptr, cosine_II.data
    least_I = np.zeros(cosine_II.shape[0])
    for row in np.flatnonzero(np.diff(starts) > NEIGHBOURS).tolist():
        own = value_P[starts[row] : starts[row + 1]]
        least_I[row] = np.partition(own, len(own) - NEIGHBOURS)[len(own) - NEIGHBOURS]
    value_P[value_P < np.repeat(least_I, np.diff(starts))] = 0.0
    cosine_II.eliminate_zeros()
    return cosine_II.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Factors:
    """Items as vectors; a user is solved for from what it chose and how often, seen in training or not."""

    item_IF: Floats
    gram_FF: Floats

    def score(self, count_UI: sparse.csr_array) -> Scores:
        """Give (U, I) scores to users by how often they chose what: nobody has to have been learned from."""
        user_UF = _solve(count_UI, self.item_IF, self.gram_FF)
        return np.asarray(user_UF @ self.item_IF.T, dtype=np.float32)


def fit_factors(count_NI: sparse.csr_array, factors: int, seed: int = 0) -> Factors:
    """Factorise by alternating least squares on implicit feedback (Hu, Koren and Volinsky 2008)."""
    rng = np.random.default_rng(seed)
    by_item = count_NI.T.tocsr()
    # Small and random: factors that begin at nought, or alike, stay so.
    # Drawn for users and summed over who chose an item: how items are numbered changes nothing.
    chosen_I = np.maximum(count_NI.sign().sum(axis=0), 1.0)
    item_IF = (by_item.sign() @ rng.normal(0, 0.1, (count_NI.shape[0], factors))) / np.sqrt(chosen_I)[:, None]
    with threadpool_limits(1):  # matrices this small take longer on several threads
        for _ in range(SWEEPS):
            user_NF = _solve(count_NI, item_IF, item_IF.T @ item_IF)
            item_IF = _solve(by_item, user_NF, user_NF.T @ user_NF)
    return Factors(item_IF, item_IF.T @ item_IF)


def _solve(count: sparse.csr_array, other: Floats, gram_FF: Floats) -> Floats:
    """Solve each row's ridge regression: what was chosen is 1, with the more confidence the more often."""
    found = np.zeros((count.shape[0], other.shape[1]))
    # All items count as not chosen with confidence 1, which the gram matrix holds for everybody; a row adds its own few
    # (Hu et al. 2008, section 4): the cost grows with what was chosen, not with the catalogue.
    plain_FF = gram_FF + RIDGE * np.eye(other.shape[1])
    # Logarithms: the tenth time of buying milk says less than the second.
    confidence = CONFIDENCE * np.log2(1.0 + count.data)
    for row in range(count.shape[0]):
        chosen = slice(count.indptr[row], count.indptr[row + 1])
        picked, weight = other[count.indices[chosen]], confidence[chosen]
        if len(picked):
            found[row] = np.linalg.solve(plain_FF + (picked.T * weight) @ picked, (1 + weight) @ picked)
    return found
