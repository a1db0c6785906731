"""Which picture each product has, as the rows of a table say: a file's path or its bytes; none is opened here."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.batches import Batch
from trainer.data.columns import decoded, texts_of
from trainer.environment import FreeMemory, free_memory
from trainer.errors import DataError

Mask = npt.NDArray[np.bool_]

SEVERAL = "products with several pictures"
WITHIN = ("bytes", "path")  # of a column of records, as datasets write pictures


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Where a picture is, and the row that says so."""

    content: str | bytes  # a path as the table has it, or the picture itself
    folder: Path  # that a path starts from
    table: Path
    row: int  # from 1
    column: str

    def where(self) -> str:
        """Name the row."""
        return f"{self.table}: column '{self.column}': row {self.row}"


@dataclass(slots=True)
class PicturesOfProducts:
    """What the rows say so far: by a product's number its pictures, and how often each came."""

    folder: Path | None  # None: paths start from the folder of their table
    counts: dict[int, Counter[str]] = field(default_factory=dict)
    sources: dict[str, PictureSource] = field(default_factory=dict)  # the first that named a picture
    free: FreeMemory | None = field(default_factory=free_memory)  # before the first of them
    held: int = 0  # bytes of pictures in tables

    def note(self, batch: Batch, column: str, products: Sequence[int]) -> None:
        """Note the pictures of some rows, whose products are told by their numbers, -1 where there is none."""
        folder = self.folder or batch.path.parent
        for place, (product, value) in enumerate(zip(products, _values(batch, column), strict=True)):
            if product < 0 or not value:
                continue
            key = sha256(value).hexdigest() if isinstance(value, bytes) else f"{folder}\0{Path(value)}"
            self.counts.setdefault(product, Counter())[key] += 1
            if key not in self.sources:
                source = self.sources[key] = PictureSource(value, folder, batch.path, batch.first_row + place, column)
                if isinstance(value, bytes):
                    self._count(len(value), source)

    def _count(self, size: int, source: PictureSource) -> None:
        """Count what a table's pictures take: they stay until the tower has seen them, which those in files do not."""
        self.held += size
        if self.free is not None and self.held > self.free.size:
            raise DataError(
                f"{source.where()}: the pictures up to here have {self.held:,} bytes, more than the {self.free.size:,}"
                f" of memory that were free ({self.free.limit}): a column of paths to files is right for so many"
            )

    def choose(self, products: int) -> tuple[list[PictureSource | None], int]:
        """Give every product its most frequent picture, and say how many products had several.

        Among equals it is the first by name, whatever the order of the rows.
        """
        chosen: list[PictureSource | None] = [None] * products
        for product, counts in self.counts.items():
            chosen[product] = self.sources[min(counts, key=lambda key: (-counts[key], key))]
        return chosen, sum(len(counts) > 1 for counts in self.counts.values())


def have_pictures(batch: Batch, column: str) -> Mask:
    """Say of some rows whether they name a picture."""
    return np.array([bool(value) for value in _values(batch, column)], dtype=np.bool_)


def _values(batch: Batch, name: str) -> list[str | bytes | None]:
    """Give a column of paths or bytes, or of records with both, as it is."""
    column: Any = decoded(batch.columns[name])
    kind = column.type
    if pa.types.is_struct(kind):
        parts = {one.name: pc.struct_field(column, one.name).to_pylist() for one in kind if one.name in WITHIN}
        if not parts:
            raise DataError(f"{batch.path}: column '{name}' is {kind}: pictures are paths, bytes, or records of these")
        nothing = [None] * batch.rows
        return [content or path for content, path in zip(*(parts.get(one, nothing) for one in WITHIN), strict=True)]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        found: list[str | bytes | None] = column.to_pylist()
        return found
    paths: list[str | bytes | None] = texts_of(batch, name).to_pylist()
    return paths
