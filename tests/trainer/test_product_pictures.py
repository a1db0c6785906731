"""Which picture a product has, as the rows of a table say, and pictures in a table, read once more when they are asked for."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainer.data.batches import Batch
from trainer.data.product_pictures import PicturesOfProducts, have_pictures, read_pictures
from trainer.data.tables import read_batches
from trainer.errors import DataError


def rows(*values: str | bytes) -> Batch:
    return Batch(Path("shop/table.parquet"), 1, {"image": pa.array(values)}, len(values))


def never() -> Iterator[Batch]:
    raise AssertionError("a path needs no table")


def noted(reading: Callable[[], Iterator[Batch]]) -> PicturesOfProducts:
    """Note each row's picture as that of a product of its own."""
    pictures, before = PicturesOfProducts(None), 0
    for batch in reading():
        pictures.note(batch, "image", range(before, before + batch.rows), reading)
        before += batch.rows
    return pictures


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(1)])
def test_bytes_are_pictures_in_each_way_that_arrow_has(kind):
    there = have_pictures(Batch(Path("t.parquet"), 1, {"image": pa.array([b"1", None], kind)}, 2), "image")
    assert there.tolist() == [True, False]
    pictures = noted(lambda: iter([Batch(Path("t.parquet"), 1, {"image": pa.array([b"1"], kind)}, 1)]))
    assert [one.path for one in pictures.sources.values()] == [None]


@pytest.mark.parametrize("values", [[{"path": 3}], [{"path": ["a"]}], [{"bytes": {"a": 1}}], [{"url": "a"}]])
def test_records_of_something_else_are_no_pictures(values):
    with pytest.raises(DataError, match=r"column 'image' is struct.*: pictures are paths, bytes, or records of these"):
        have_pictures(Batch(Path("t.parquet"), 1, {"image": pa.array(values)}, 1), "image")


def test_two_ways_to_write_a_path_are_one_picture():
    pictures = PicturesOfProducts(None)
    pictures.note(rows("a.png", "./a.png", "b.png"), "image", [0, 0, 0], never)
    (chosen,), several = pictures.choose(1)
    assert (chosen.path, pictures.counts[0].total(), len(pictures.counts[0]), several) == ("a.png", 3, 2, 1)


def test_pictures_of_several_files_and_tables_are_read_once_more_in_their_order(tmp_path):
    for name, values in (("a", [b"1", b"2", b"1"]), ("b", [b"3", None, b"2", b"4"])):
        (tmp_path / "many").mkdir(exist_ok=True)
        pq.write_table(pa.table({"image": pa.array(values, pa.binary())}), tmp_path / "many" / f"{name}.parquet")
    records = pa.array([{"bytes": b"5", "path": "x.png"}, {"bytes": None, "path": "y.png"}])
    pq.write_table(pa.table({"image": records}), tmp_path / "more.parquet")
    many = partial(read_batches, tmp_path / "many", ("image",), rows=2)
    more = partial(read_batches, tmp_path / "more.parquet", ("image",))
    pictures = noted(many)
    for batch in more():
        pictures.note(batch, "image", [7, 8], more)
    chosen, _ = pictures.choose(9)
    inside = sorted((one for one in chosen if one is not None and one.path is None), key=lambda one: one.number)
    assert list(read_pictures(inside)) == [b"1", b"1", b"2", b"2", b"3", b"4", b"5"]
    assert [one.path for one in chosen if one is not None and one.path is not None] == ["y.png"]


@pytest.mark.parametrize("now", [[b"1", b"other"], [b"1"], []])
def test_a_table_that_holds_other_pictures_than_before_is_told(tmp_path, now):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": pa.array([b"1", b"2"], pa.binary())}), path)
    chosen, _ = noted(partial(read_batches, path, ("image",))).choose(2)
    pq.write_table(pa.table({"image": pa.array(now, pa.binary())}), path)
    with pytest.raises(DataError, match=r"t.parquet: column 'image': row .: holds another picture than when"):
        list(read_pictures([one for one in chosen if one is not None]))


def test_pictures_in_a_table_are_in_memory_a_few_at_a_time(tmp_path):
    """Of 64 MiB in one group of rows a batch is about 16 MiB; a page, here of 1 MiB, is always held whole."""
    path, size = tmp_path / "t.parquet", 64 << 10
    values = [bytes([number % 256]) * (size - 2) + number.to_bytes(2) for number in range(1024)]
    pq.write_table(pa.table({"image": pa.array(values, pa.binary())}), path, compression="none", write_batch_size=16)
    batches = [batch.rows for batch in read_batches(path, ("image",))]
    assert sum(batches) == len(values)
    assert max(batches) * size <= 16 << 20
    chosen, _ = noted(partial(read_batches, path, ("image",))).choose(len(values))
    pool = pa.default_memory_pool()
    found, most = 0, 0
    for value in read_pictures([one for one in chosen if one is not None]):
        found, most = found + len(value), max(most, pool.bytes_allocated())
    assert found == len(values) * size
    assert most < 40 << 20
