import json
from shutil import copytree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainer.data.snapshot import read_snapshot
from trainer.errors import DataError


@pytest.fixture
def copy(snapshot_folder, tmp_path):
    return copytree(snapshot_folder, tmp_path / "copy")


def refusal(folder) -> str:
    with pytest.raises(DataError) as caught:
        read_snapshot(folder)
    return str(caught.value)


def rewrite(path, change) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def test_the_order_of_rows_in_the_file_does_not_matter(copy, snapshot_folder):
    rewrite(copy / "purchases.parquet", lambda table: table.take(list(range(len(table)))[::-1]))
    assert read_snapshot(copy).card.hash == read_snapshot(snapshot_folder).card.hash


def test_plain_string_columns_read_like_dictionaries(copy):
    plain = pa.schema([("user_id", pa.string()), ("day", pa.date32()), ("item_id", pa.string())])
    rewrite(copy / "purchases.parquet", lambda table: table.cast(plain))
    read_snapshot(copy)


def test_a_changed_table_is_noticed(copy):
    rewrite(copy / "purchases.parquet", lambda table: table.slice(1))
    assert "have changed since their data card was written" in refusal(copy)


def test_a_missing_column_is_named(copy):
    rewrite(copy / "items.parquet", lambda table: table.drop_columns(["text"]))
    assert "items.parquet: column 'text' is missing; it has item_id, department" in refusal(copy)


def test_an_item_outside_the_catalogue_is_named(copy):
    rewrite(copy / "items.parquet", lambda table: table.slice(1))
    assert "is not in items.parquet" in refusal(copy)


def test_what_is_no_snapshot_is_told(copy, tmp_path):
    assert "there is no such snapshot" in refusal(tmp_path / "nowhere")
    (copy / "purchases.parquet").write_text("no table")
    assert "not a parquet table" in refusal(copy)
    (copy / "purchases.parquet").unlink()
    assert "there is no such table" in refusal(copy)


def test_a_card_of_another_kind_is_refused(copy):
    card = copy / "data_card.json"
    facts = json.loads(card.read_text())
    card.write_text(json.dumps(facts | {"schema": 2}))
    assert "not a data card of schema 1" in refusal(copy)
    del facts["hash"]
    card.write_text(json.dumps(facts))
    assert "not a complete data card" in refusal(copy)
    card.write_text("{")
    assert "not valid JSON" in refusal(copy)
    card.unlink()
    assert "this is not a snapshot" in refusal(copy)
