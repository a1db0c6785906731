import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.trainer.logs import EVENTS, events_job, write_table
from trainer.data.columns import ids_of, texts_of
from trainer.data.interactions import read_interactions
from trainer.data.item_texts import join_columns
from trainer.data.number_columns import NumberReader
from trainer.data.tables import read_batches
from trainer.data.times import TimeReader
from trainer.errors import DataError

ENDINGS = (".csv", ".csv.gz", ".parquet", ".jsonl", ".jsonl.gz", ".parquet.brotli")


@pytest.mark.parametrize("ending", ENDINGS)
def test_one_log_gives_one_hash_whatever_its_format(tmp_path, ending):
    path = write_table(tmp_path / f"log{ending}", EVENTS)
    plain = write_table(tmp_path / "plain.csv", EVENTS)
    assert read_interactions(events_job(path)).card.hash == read_interactions(events_job(plain)).card.hash


def test_a_folder_is_read_as_one_table(tmp_path):
    whole = write_table(tmp_path / "whole.csv", EVENTS)
    write_table(tmp_path / "log/a/part.csv", {name: values[:2] for name, values in EVENTS.items()})
    write_table(tmp_path / "log/b.jsonl", {name: values[2:] for name, values in EVENTS.items()})
    write_table(tmp_path / "log/_tmp/part.csv", EVENTS)
    parts, one = read_interactions(events_job(tmp_path / "log")), read_interactions(events_job(whole))
    assert (parts.card.hash, parts.card.rows_in) == (one.card.hash, 6)


@pytest.mark.parametrize("name", ["part-2.csv.bz2", "more/june.xlsx"])
def test_a_part_of_a_folder_that_cannot_be_read_is_named_instead_of_left_out(tmp_path, name):
    write_table(tmp_path / "log/part-1.csv", EVENTS)
    (tmp_path / "log" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "log" / name).write_bytes(b"BZh9")
    with pytest.raises(DataError, match=f"{name}: not a table this can read, beside some that are"):
        read_interactions(events_job(tmp_path / "log"))


def test_a_part_that_is_a_link_to_nothing_is_named(tmp_path):
    write_table(tmp_path / "log/part-1.csv", EVENTS)
    (tmp_path / "log/part-2.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(DataError, match=r"part-2\.csv: is a link to nothing"):
        read_interactions(events_job(tmp_path / "log"))


def test_ids_keep_their_letters_where_numbers_come_first(tmp_path):
    rows = "".join(f"{number}\n" for number in range(500_000, 500_100)) + "85123A\n"
    (tmp_path / "t.csv").write_text("id\n" + rows)
    (batch,) = read_batches(tmp_path / "t.csv", ["id"])
    assert texts_of(batch, "id").to_pylist()[-2:] == ["500099", "85123A"]


def test_an_id_that_became_a_fraction_is_whole_again(tmp_path):
    (batch,) = read_batches(write_table(tmp_path / "t.parquet", {"id": [17850.0, None, 3.0]}), ["id"])
    assert ids_of(batch, "id").to_pylist() == ["17850", None, "3"]


def test_text_may_hold_commas_quotes_line_ends_and_the_word_null(tmp_path):
    values = ['a "b", c', "two\nlines", "null", "nan", "  padded "]
    (batch,) = read_batches(write_table(tmp_path / "t.csv", {"text": values}), ["text"])
    assert texts_of(batch, "text").to_pylist() == ['a "b", c', "two\nlines", "null", "nan", "padded"]


@pytest.mark.parametrize(
    "value", ["2011-01-18 10:01:00", "2011-01-18T10:01:00Z", 1295344860, 1295344860000, "1295344860"]
)
def test_times_are_read_as_teams_write_them(tmp_path, value):
    (batch,) = read_batches(write_table(tmp_path / "t.jsonl", {"when": [value]}), ["when"])
    assert TimeReader().read(batch, "when").tolist() == [1295344860_000_000]


def test_batches_follow_one_another_without_a_gap(tmp_path):
    path = write_table(tmp_path / "t.csv", {"n": list(range(25))})
    batches = list(read_batches(path, ["n"], rows=10))
    assert [batch.first_row for batch in batches] == [1, 11, 21]
    assert [n for batch in batches for n in NumberReader("n").read(batch)] == list(range(25))


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_a_missing_column_is_named_beside_those_there_are(tmp_path, ending):
    path = write_table(tmp_path / f"log{ending}", EVENTS)
    with pytest.raises(DataError, match=r"log.*: column 'whom' is missing; it has who, what, when, many, name"):
        read_interactions(events_job(path, columns={"user": "whom"}))


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("many", "lots", r"log\.csv: row 3: 'many' is 'lots', not a number"),
        ("when", "yesterday", r"log\.csv: row 3: 'when' is 'yesterday', not a time such as"),
    ],
)
def test_a_value_of_another_kind_is_named_with_its_row(tmp_path, column, value, said):
    values = [str(value) for value in EVENTS[column]]
    values[2] = value
    path = write_table(tmp_path / "log.csv", {**EVENTS, column: values})
    with pytest.raises(DataError, match=said):
        read_interactions(events_job(path))


def test_a_line_that_is_not_json_is_named(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(DataError, match=r"t\.jsonl: line 2 is not JSON"):
        list(read_batches(tmp_path / "t.jsonl", ["a"]))


def test_a_list_is_not_a_value(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n{"a": [1, 2]}\n')
    with pytest.raises(DataError, match=r"line 2: 'a' is not one value but \[1, 2\]"):
        list(read_batches(tmp_path / "t.jsonl", ["a"]))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "the table is empty"),
        ("t.csv", b"a,b\n1,2,3\n", "not a table of text"),
        ("t.csv", b"a\n\xff\xfe\xfa\n", "not a table of"),
        ("t.csv.gz", b"no gzip", "not a table of UTF-8 text"),
        ("t.parquet", b"PAR1 and no more", "not a parquet table"),
        ("t.xlsx", b"PK", "not a table this can read; .csv"),
    ],
)
def test_a_file_that_is_no_table_is_told_in_one_sentence(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        list(read_batches(tmp_path / name, ["a"]))
    assert "\n" not in str(caught.value)


def test_a_column_of_bytes_is_not_text(tmp_path):
    path = write_table(tmp_path / "log.parquet", {**EVENTS, "name": [b"\x00\x01"] * 6})
    with pytest.raises(DataError, match="column 'name' is binary, not text"):
        read_interactions(events_job(path))


def test_a_column_that_a_parquet_table_has_twice_is_no_choice(tmp_path):
    table = pa.table({name: list(values) for name, values in EVENTS.items()})
    pq.write_table(table.append_column("when", table["when"]), tmp_path / "log.parquet")
    with pytest.raises(DataError, match="column 'when' is there 2 times"):
        read_interactions(events_job(tmp_path / "log.parquet"))


def test_joined_columns_skip_what_is_empty_and_keep_every_row():
    columns = [pa.array(["a", None, None, "d"]), pa.array(["x", "y", None, None]), pa.array(["1", "2", None, "4"])]
    assert join_columns(columns).to_pylist() == ["a x 1", "y 2", None, "d 4"]
