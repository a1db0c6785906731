"""EASE (Steck 2019): links between items that were chosen by the same people, for a scorer that reads texts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from scipy import sparse

from trainer.models.collaborative_filtering import items_together
from trainer.models.kept_files import keep_file

KEPT = 200  # links of each item
WAY = 1  # of learning them: another number where the same choices give other links, so that no cache holds the old
ROWS_AT_A_TIME = 256
PAIRS_AT_A_TIME = 1 << 22

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ItemLinks:
    """Weights from an item of the history to an item that may come next, by the ids of the catalogue learned from."""

    item_ids: tuple[str, ...]
    weights_II: sparse.csr_array

    def for_catalogue(self, item_ids: Sequence[str]) -> sparse.csr_array:
        """Give the weights in the order of another catalogue; items it does not know have none."""
        if tuple(item_ids) == self.item_ids:
            return self.weights_II
        place = {name: position for position, name in enumerate(item_ids)}
        new = np.array([place.get(name, -1) for name in self.item_ids], dtype=np.int64)
        rows = self.weights_II.tocoo()
        both = (new[rows.row] >= 0) & (new[rows.col] >= 0)
        content = (rows.data[both], (new[rows.row[both]], new[rows.col[both]]))
        return sparse.csr_array(content, shape=(len(item_ids), len(item_ids)))


def read_links_or_learn(
    item_ids: Sequence[str], chosen_NI: sparse.csr_array, ridge: float, most: int, cache: Path | None
) -> ItemLinks:
    """Give what an earlier run learned from the same choices and kept in *cache*, or learn it and keep it there."""
    if cache is None:
        return learn_links(item_ids, chosen_NI, ridge, most)
    kept = cache / f"links-{_cache_key(item_ids, chosen_NI, ridge, most)}.safetensors"
    try:
        return read_links(kept)
    except (OSError, KeyError, ValueError, SafetensorError):  # none yet, or one that a full disk cut short
        links = learn_links(item_ids, chosen_NI, ridge, most)
        keep_file(kept, lambda partial: save_links(links, partial))
        return links


def _cache_key(item_ids: Sequence[str], chosen_NI: sparse.csr_array, ridge: float, most: int) -> str:
    digest = hashlib.sha256("\x1e".join((f"{WAY} {KEPT} {ridge!r} {most} {chosen_NI.shape}", *item_ids)).encode())
    for numbers, kind in ((chosen_NI.indptr, "<i8"), (chosen_NI.indices, "<i8"), (chosen_NI.data, "<f4")):
        digest.update(np.ascontiguousarray(numbers, dtype=kind).tobytes())
    return digest.hexdigest()[:24]


def learn_links(item_ids: Sequence[str], chosen_NI: sparse.csr_array, ridge: float, most: int) -> ItemLinks:
    """Regress every item on the others (EASE, Steck 2019) and keep the strongest positive weights.

    The matrix of all items is inverted whole, 8 bytes a pair: of more items than *most* the most frequent have links.
    """
    linked = most_frequent(chosen_NI, most)
    inverse = _inverse_gram(sparse.csr_array(chosen_NI[:, linked]), ridge)
    # Steck's closed form: the regression of every item on all others, none on itself, from one inverse.
    scale = -1 / np.diag(inverse)
    found = [_strongest(inverse, scale, first) for first in range(0, len(linked), ROWS_AT_A_TIME)]
    value, row, column = (np.concatenate(part) for part in zip(*found, strict=True))
    shape = (len(item_ids), len(item_ids))
    return ItemLinks(tuple(item_ids), sparse.csr_array((value, (linked[row], linked[column])), shape=shape))


def most_frequent(chosen_NI: sparse.csr_array, most: int) -> Ints:
    """Give the places of *most* items that the most people chose, or of fewer: those that tie are in or out together.

    Where all tie, by place.
    """
    people_I = np.asarray(chosen_NI.sign().sum(axis=0), dtype=np.int64)
    if len(people_I) <= most:
        return np.arange(len(people_I))
    order = np.argsort(-people_I, kind="stable")
    above = np.flatnonzero(people_I > people_I[order[most]])
    return above if len(above) else np.sort(order[:most])


def _inverse_gram(chosen_NI: sparse.csr_array, ridge: float) -> Floats:
    """Give the inverse of how often items were chosen together, in the memory of one such matrix."""
    items = chosen_NI.shape[1]
    gram = np.empty((items, items))
    for first, together in items_together(chosen_NI, PAIRS_AT_A_TIME):
        gram[first : first + together.shape[0]] = together.toarray()
    gram[np.diag_indices(items)] += ridge  # without it an item of few users is explained by chance
    return invert_in_place(gram)


def invert_in_place(matrix: Floats) -> Floats:
    """Invert a symmetric positive definite matrix in its own memory, a strip at a time.

    By the sweep operator (Goodnight 1979) over blocks, on the upper half. LAPACK's inverse holds copies of it, and its
    Cholesky in place (potrf and potri of scipy 1.17, two threads) wrote beyond a matrix of 16,000 rows.
    """
    items = len(matrix)
    for begin in range(0, items, ROWS_AT_A_TIME):
        end = min(begin + ROWS_AT_A_TIME, items)
        rows = np.concatenate([matrix[:begin, begin:end].T, matrix[begin:end, begin:]], axis=1)
        inverse = np.linalg.inv(rows[:, begin:end])
        swept = inverse @ rows
        for first in range(0, items, ROWS_AT_A_TIME):
            matrix[first : first + ROWS_AT_A_TIME, first:] -= (
                rows[:, first : first + ROWS_AT_A_TIME].T @ swept[:, first:]
            )
        matrix[begin:end, begin:] = swept[:, begin:]
        matrix[:begin, begin:end] = swept[:, :begin].T
        matrix[begin:end, begin:end] = -inverse
    for first in range(
        0, items, ROWS_AT_A_TIME
    ):  # what was swept is the negative; the lower half is the upper's mirror
        last = first + ROWS_AT_A_TIME
        matrix[first:last, first:] *= -1
        matrix[first:, first:last] = matrix[first:last, first:].T
    return matrix


def _strongest(inverse: Floats, scale: Floats, first: int) -> tuple[npt.NDArray[np.float32], Ints, Ints]:
    """Give the strongest positive weights of some rows, and where they stand."""
    weights = inverse[first : first + ROWS_AT_A_TIME] * scale
    places = np.arange(len(weights))
    weights[places, places + first] = 0.0
    top = min(KEPT, weights.shape[1])
    column = np.argpartition(-weights, top - 1, axis=1)[:, :top].ravel()
    row = np.repeat(places, top)
    value = weights[row, column]
    kept = value > 0  # the scorer takes their logarithm; what two items keep apart is no link
    return value[kept].astype(np.float32), row[kept] + first, column[kept]


def save_links(links: ItemLinks, path: Path) -> None:
    """Write the weights by the ids of their items, so that another catalogue can read them."""
    from safetensors.numpy import save

    weights = links.weights_II
    names = "\x1f".join(links.item_ids).encode()
    tensors = {
        "item_ids": np.frombuffer(names, dtype=np.uint8),
        "indptr": weights.indptr.astype(np.int64),
        "indices": weights.indices.astype(np.int32),
        "data": weights.data.astype(np.float32),
    }
    path.write_bytes(save(tensors))


def read_links(path: Path) -> ItemLinks:
    """Read what save_links wrote; raises OSError, KeyError, ValueError or SafetensorError for anything else."""
    from safetensors.numpy import load_file

    tensors = load_file(path)
    if not np.isfinite(tensors["data"]).all():
        raise ValueError(f"{path.name} holds links that are no numbers")
    item_ids = tuple(tensors["item_ids"].tobytes().decode().split("\x1f"))
    content = (tensors["data"], tensors["indices"], tensors["indptr"])
    return ItemLinks(item_ids, sparse.csr_array(content, shape=(len(item_ids), len(item_ids))))
