"""Which picture each product has, as the rows of a table say: a file's path or its bytes; none is opened here."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.batches import Batch
from trainer.data.columns import decoded, is_bytes, texts_of
from trainer.errors import DataError

Mask = npt.NDArray[np.bool_]
Reading = Callable[[], Iterator[Batch]]  # of a table, once more from its beginning

SEVERAL = "products with several pictures"
WITHIN = ("bytes", "path")  # of a column of records, as datasets write pictures


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Where a picture is, and the row that says so; a table's own bytes stay there until they are asked for."""

    path: str | None  # as the table has it; None where the picture itself is in the row
    folder: Path  # that a path starts from
    table: Path
    row: int  # from 1
    column: str
    number: int  # in the order in which the tables have them
    reading: Reading
    digest: str  # sha256 of a picture that is in the row, or what a path is known by

    def where(self) -> str:
        """Name the row."""
        return f"{self.table}: column '{self.column}': row {self.row}"


@dataclass(slots=True)
class PicturesOfProducts:
    """What the rows say so far: by a product's number its pictures, and how often each came."""

    folder: Path | None  # None: paths start from the folder of their table
    counts: dict[int, Counter[str]] = field(default_factory=dict)
    sources: dict[str, PictureSource] = field(default_factory=dict)  # the first that named a picture

    def note(self, batch: Batch, column: str, products: Sequence[int], reading: Reading) -> None:
        """Note the pictures of some rows, whose products are told by their numbers, -1 where there is none."""
        folder = self.folder or batch.path.parent
        for place, (product, value) in enumerate(zip(products, _values(batch, column), strict=True)):
            if product < 0 or not value:
                continue
            path = None if isinstance(value, bytes) else value
            key = sha256(value).hexdigest() if isinstance(value, bytes) else f"{folder}\0{Path(value)}"
            self.counts.setdefault(product, Counter())[key] += 1
            if key not in self.sources:
                row, number = batch.first_row + place, len(self.sources)
                self.sources[key] = PictureSource(path, folder, batch.path, row, column, number, reading, key)

    def choose(self, products: int) -> tuple[list[PictureSource | None], int]:
        """Give every product its most frequent picture, and say how many products had several.

        Among equals it is the first by name, whatever the order of the rows.
        """
        chosen: list[PictureSource | None] = [None] * products
        for product, counts in self.counts.items():
            chosen[product] = self.sources[min(counts, key=lambda key: (-counts[key], key))]
        return chosen, sum(len(counts) > 1 for counts in self.counts.values())


def read_pictures(sources: Sequence[PictureSource]) -> Iterator[bytes]:
    """Give the pictures that lie in tables, which are read once more; they have to be in the tables' order.

    No more is held than some rows. Raise DataError where a table holds others than before.
    """
    for reading, some in groupby(sources, key=lambda source: source.reading):
        batches, batch = reading(), None
        for source in some:
            while batch is None or not _has(batch, source):
                batch = next(batches, None)
                if batch is None:
                    raise _changed(source)
            place = source.row - batch.first_row
            (value,) = _values(_row(batch, source.column, place), source.column)
            if not isinstance(value, bytes) or sha256(value).hexdigest() != source.digest:
                raise _changed(source)
            yield value


def _has(batch: Batch, source: PictureSource) -> bool:
    return batch.path == source.table and batch.first_row <= source.row < batch.first_row + batch.rows


def _row(batch: Batch, column: str, place: int) -> Batch:
    return Batch(batch.path, batch.first_row + place, {column: batch.columns[column].slice(place, 1)}, 1)


def _changed(source: PictureSource) -> DataError:
    return DataError(f"{source.where()}: holds another picture than when it was read first: start again, and let it be")


def have_pictures(batch: Batch, column: str) -> Mask:
    """Say of some rows whether they name a picture."""
    return np.array([bool(value) for value in _values(batch, column)], dtype=np.bool_)


def _values(batch: Batch, name: str) -> list[str | bytes | None]:
    """Give a column of paths or bytes, or of records with both, as it is."""
    column: Any = decoded(batch.columns[name])
    kind = column.type
    if pa.types.is_struct(kind):
        known = [one for one in kind if one.name in WITHIN]
        parts = {one.name: pc.struct_field(column, one.name).to_pylist() for one in known}
        if not parts or not all(is_bytes(one.type) or _is_text(one.type) for one in known):
            raise DataError(f"{batch.path}: column '{name}' is {kind}: pictures are paths, bytes, or records of these")
        nothing = [None] * batch.rows
        return [content or path for content, path in zip(*(parts.get(one, nothing) for one in WITHIN), strict=True)]
    if is_bytes(kind):
        found: list[str | bytes | None] = column.to_pylist()
        return found
    paths: list[str | bytes | None] = texts_of(batch, name).to_pylist()
    return paths


def _is_text(kind: Any) -> bool:
    of = pa.types
    return bool(of.is_string(kind) or of.is_large_string(kind) or of.is_string_view(kind) or of.is_null(kind))
