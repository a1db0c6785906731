"""Pairs of a query, or a user's text, and a product, judged: read, cleaned, split."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt
import pyarrow.csv as pa_csv

from trainer.data.card import DataCard
from trainer.data.jobs import PairsData
from trainer.errors import DataError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Parts = npt.NDArray[np.int8]


class Part(Enum):
    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


PART_NUMBER = {part: np.int8(number) for number, part in enumerate(Part)}


@dataclass(frozen=True, slots=True)
class Pairs:
    """N rows in the order of the source, and the texts they point to."""

    query_id: Ints  # of each row, dense from 0, into queries
    product_id: Ints  # dense from 0, into products
    queries: tuple[str, ...]  # normalised texts
    products: tuple[str, ...]  # the whole catalogue, judged or not
    query_keys: tuple[str, ...]  # ids in the source
    product_keys: tuple[str, ...]
    label: Floats  # grade; of classes the place in `classes`
    classes: tuple[str, ...]  # names where labels are words, else none
    part: Parts  # 0 train, 1 valid, 2 test
    slices: Mapping[str, tuple[str, ...]]
    card: DataCard

    def __len__(self) -> int:
        return len(self.query_id)

    def rows(self, part: Part) -> Ints:
        """Give the positions of a part's rows."""
        return np.flatnonzero(self.part == PART_NUMBER[part])


def read_pairs(job: PairsData) -> Pairs:
    """Read, clean and split a table of pairs; raise DataError."""
    columns = job.columns
    table = pa_csv.read_csv(job.path)
    query_texts = [str(value) for value in table[columns.query[0]].to_pylist()]
    product_texts = [str(value) for value in table[columns.product[0]].to_pylist()]
    keys = product_texts if columns.product_id is None else [str(v) for v in table[columns.product_id].to_pylist()]
    queries, query_id = np.unique(np.array(query_texts), return_inverse=True)
    product_keys, first, product_id = np.unique(np.array(keys), return_index=True, return_inverse=True)
    label = np.ones(len(keys)) if columns.label is None else table[columns.label].to_numpy().astype(np.float64)
    if columns.part is None:
        raise DataError(f"{job.path}: columns.part is missing")
    numbers = {part.value: PART_NUMBER[part] for part in Part}
    part = np.array([numbers[value] for value in table[columns.part].to_pylist()], dtype=np.int8)
    test = part == PART_NUMBER[Part.TEST]
    digest = hashlib.sha256("\x1e".join((*query_texts, *product_texts)).encode() + label.tobytes() + part.tobytes())
    card = DataCard(
        source=str(job.path),
        rows_in=len(table),
        rows_kept=len(table),
        dropped={},
        catalogue_size=len(product_keys),
        distinct_texts=len(set(product_texts)),
        test_examples=len(np.unique(query_id[test])),
        hash=digest.hexdigest(),
        queries=len(queries),
    )
    return Pairs(
        query_id=query_id,
        product_id=product_id,
        queries=tuple(str(text) for text in queries),
        products=tuple(product_texts[row] for row in first),
        query_keys=tuple(str(text) for text in queries),
        product_keys=tuple(str(key) for key in product_keys),
        label=label,
        classes=(),
        part=part,
        slices={name: tuple(str(value) for value in table[name].to_pylist()) for name in columns.slices},
        card=card,
    )
