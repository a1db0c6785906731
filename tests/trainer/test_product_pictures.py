"""Which picture a product has, as the rows of a table say."""

from pathlib import Path

import pyarrow as pa
import pytest

from trainer.data.batches import Batch
from trainer.data.product_pictures import PicturesOfProducts
from trainer.environment import FreeMemory
from trainer.errors import DataError


def rows(*values: str | bytes) -> Batch:
    return Batch(Path("shop/table.parquet"), 1, {"image": pa.array(values)}, len(values))


def test_two_ways_to_write_a_path_are_one_picture():
    pictures = PicturesOfProducts(None)
    pictures.note(rows("a.png", "./a.png", "b.png"), "image", [0, 0, 0])
    (chosen,), several = pictures.choose(1)
    assert (chosen.content, pictures.counts[0].total(), len(pictures.counts[0]), several) == ("a.png", 3, 2, 1)


def test_pictures_in_a_table_that_memory_does_not_hold_are_refused_where_they_no_longer_fit():
    pictures = PicturesOfProducts(None, free=FreeMemory(25, "here"))
    pictures.note(rows(b"a" * 10, b"a" * 10, b"b" * 10), "image", [0, 1, 2])
    with pytest.raises(DataError, match=r"row 1: the pictures up to here have 30 bytes, more than the 25 .*\(here\)"):
        pictures.note(rows(b"c" * 10), "image", [3])
