"""EASE (Steck 2019): links between items that were chosen by the same people, for a scorer that reads texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainer.errors import JobError

KEPT = 200  # links of each item
MOST_ITEMS = 20_000  # the matrix is inverted whole: 20,000 items take 3.2 GB

Ints = npt.NDArray[np.int64]


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


def learn_links(item_ids: Sequence[str], chosen_NI: sparse.csr_array, ridge: float) -> ItemLinks:
    """Regress every item on the others (EASE, Steck 2019) and keep the strongest positive weights."""
    items = len(item_ids)
    if items > MOST_ITEMS:
        raise JobError(f"score.links: the catalogue has {items} items; links are learned for {MOST_ITEMS} at most")
    gram = (chosen_NI.T @ chosen_NI).toarray().astype(np.float64)
    gram[np.diag_indices(items)] += ridge  # without it an item of few users is explained by chance
    inverse = np.linalg.inv(gram)
    # Steck's closed form: the regression of every item on all others, none on itself, from one inverse.
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    top = min(KEPT, items)
    column = np.argpartition(-weights, top - 1, axis=1)[:, :top]
    row = np.repeat(np.arange(items), top)
    value = weights[row, column.ravel()]
    kept = value > 0  # the scorer takes their logarithm; what two items keep apart is no link
    content = (value[kept].astype(np.float32), (row[kept], column.ravel()[kept]))
    return ItemLinks(tuple(item_ids), sparse.csr_array(content, shape=(items, items)))


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
