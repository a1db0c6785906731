"""Ids, numbers, labels and missing words as files have them; joins, behaviours, repeats."""

from decimal import Decimal
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from tests.trainer.logs import EVENTS, JUDGED, events_job, pairs_job, write_table
from trainer.__main__ import main
from trainer.data import cleaning_rules
from trainer.data.batches import Batch
from trainer.data.columns import ids_of, labels_of, texts_of
from trainer.data.histories import read_histories, split_history
from trainer.data.interactions import read_interactions
from trainer.data.number_columns import NumberReader
from trainer.data.numbers import NotANumber, read_numbers
from trainer.data.pairs import read_pairs
from trainer.data.tables import read_batches
from trainer.errors import DataError, JobError
from trainer.jobs.data import HistoriesData
from trainer.jobs.file import load_job
from trainer.jobs.tables import TableFile
from trainer.models.label_scale import choose_scale


def column(tmp_path, *values, **keys) -> Batch:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f'"{value}",x\n' for value in values))
    (batch,) = read_batches(TableFile(path=tmp_path / "t.csv", **keys), ["a"])
    return batch


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (pa.array([UUID(int=7).bytes, None], pa.uuid()), ["00000000-0000-0000-0000-000000000007", None]),
        (pa.array([3.0, None], pa.float16()), ["3", None]),
        (pa.array([Decimal("17850.00"), None]), ["17850", None]),
        (pa.array(["a", None], pa.large_string()).dictionary_encode(), ["a", None]),
        (pa.array([b"a", None], pa.binary(1)), "column 'a' is fixed_size_binary.1., not text"),
        (pa.array([b"a", None], pa.binary_view()), "column 'a' is binary_view, not text"),
        (pa.array([["a"], None], pa.list_view(pa.string())), "column 'a' is list_view.*, not text"),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_a_column_of_any_kind_is_read_or_told(tmp_path, values, read):
    pq.write_table(pa.table({"a": values}), tmp_path / "t.parquet")
    (batch,) = read_batches(tmp_path / "t.parquet", ["a"])
    if isinstance(read, list):
        assert ids_of(batch, "a").to_pylist() == read
        return
    with pytest.raises(DataError, match=read):
        ids_of(batch, "a")


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_an_id_is_the_same_in_every_format(tmp_path, ending):
    users = [17850.0, 13047.0, None] if ending in (".jsonl", ".parquet") else ["17850.0", "13047.00", ""]
    table = {"who": users * 2, **{name: values for name, values in EVENTS.items() if name != "who"}}
    path = tmp_path / f"log{ending}"
    if ending == ".tsv":
        rows = zip(*table.values(), strict=True)
        path.write_text("\t".join(table) + "\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    else:
        write_table(path, table)
    listed = write_table(tmp_path / "users.csv", {"id": [17850, 13047]})
    found = read_interactions(events_job(path, users={"path": listed, "id": "id"}))
    assert found.user_ids == ("13047", "17850")


@pytest.mark.parametrize("word", ["NULL", "null", "nan", "NaN", r"\N", "None", "<NA>", "#N/A", "NA", "undefined", " "])
def test_a_word_for_nothing_is_nobody(tmp_path, word):
    assert ids_of(column(tmp_path, "ann", word), "a").to_pylist() == ["ann", None]
    path = write_table(tmp_path / "log.csv", {**EVENTS, "who": ["ann", word, "ann", "bob", word, "cy"]})
    found = read_interactions(events_job(path))
    assert (found.user_ids, found.card.dropped[cleaning_rules.NO_USER]) == (("ann", "bob", "cy"), 2)


@pytest.mark.parametrize("column", ["who", "what", "when"])
def test_a_number_that_a_spreadsheet_has_rounded_is_no_id_and_no_time(tmp_path, column):
    table = {name: [str(value) for value in values] for name, values in EVENTS.items()}
    path = write_table(tmp_path / "log.csv", table | {column: [*table[column][:3], "8.90123E+12", *table[column][4:]]})
    with pytest.raises(
        DataError, match=rf"row 4: '{column}' is '8\.90123E\+12', not a whole number: a spreadsheet rounded it"
    ):
        read_interactions(events_job(path))


def test_texts_and_labels_keep_what_may_be_a_word(tmp_path):
    values = ("nan", "null", "none", r"\N", "NULL")
    assert texts_of(column(tmp_path, *values), "a").to_pylist() == ["nan", "null", "none", None, None]
    assert labels_of(column(tmp_path, *values), "a").to_pylist() == [None, None, "none", None, None]


def test_a_job_says_which_words_mean_nothing(tmp_path):
    assert ids_of(column(tmp_path, "-1", "NULL", missing=("-1",)), "a").to_pylist() == [None, "NULL"]


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["17850.0", "3"], [17850, 3]),
        (["2,5", "3", "0,25"], [2.5, 3, 0.25]),
        (["1.234,5", "2.000"], [1234.5, 2000]),
        (["1,234.5", "2,000"], [1234.5, 2000]),
        (["1,234", "12.50"], [1234, 12.5]),
        (["1,234,567"], [1234567]),
        (["True", "FALSE", "true"], [1, 0, 1]),
        (["-1e3", ".5", "5."], [-1000, 0.5, 5]),
        (["2,333", "2,5"], [2.333, 2.5]),
    ],
)
def test_numbers_are_read_as_people_write_them(tmp_path, texts, numbers):
    assert list(read_numbers(texts, None).values()) == numbers
    assert NumberReader("a").read(column(tmp_path, *texts)).tolist() == numbers


@pytest.mark.parametrize(
    ("texts", "odd", "right"),
    [
        (["1,234", "5"], "1,234", 'decimal = "," or decimal = "."'),
        (["2,5", "2.5"], "2.5", "decimal comma"),
        (["1", "two"], "two", "a number"),
        (["1", "1e400"], "1e400", "a number"),
        (["1,23,4"], "1,23,4", "in one way only"),
    ],
)
def test_a_number_that_may_be_two_or_none_is_named_with_its_row(tmp_path, texts, odd, right):
    with pytest.raises(NotANumber):
        read_numbers(texts, None)
    with pytest.raises(DataError, match=rf"t\.csv: row {texts.index(odd) + 1}: 'a' is '{odd}', not .*{right}"):
        NumberReader("a").read(column(tmp_path, *texts))


def test_a_job_says_what_parts_numbers(tmp_path):
    assert NumberReader("a").read(column(tmp_path, "1,234", "5", decimal=",")).tolist() == [1.234, 5]
    assert NumberReader("a").read(column(tmp_path, "1,234", "5", decimal=".")).tolist() == [1234, 5]
    assert NumberReader("a").read(column(tmp_path, "1.234", "5", decimal=",")).tolist() == [1234, 5]


def grades(tmp_path, labels, **changes):
    return read_pairs(pairs_job(write_table(tmp_path / "pairs.csv", {**JUDGED, "grade": labels}), **changes))


def test_decimal_commas_are_grades_and_words_of_pandas_are_yes_or_no(tmp_path):
    assert grades(tmp_path, ["2,5", "1", "3", "1,5", "2,5", "1"]).label.tolist() == [2.5, 1, 3, 1.5, 2.5, 1]
    found = grades(tmp_path, ["True", "False", "TRUE", "FALSE", "true", "false"])
    assert (found.classes, found.label.tolist()) == ((), [1, 0, 1, 0, 1, 0])


def test_labels_may_be_words_that_the_job_gives_a_worth(tmp_path):
    words = ["Exact", "Irrelevant", "Exact", "Partial", "Exact", "Irrelevant"]
    worth = {"Exact": 2.0, "Partial": 1.0, "Irrelevant": 0.0}
    assert grades(tmp_path, words, grades=worth).label.tolist() == [2, 0, 2, 1, 2, 0]
    with pytest.raises(DataError, match=r"pairs\.csv: column 'grade': row 4 has 'Partial', and grades says what Exact"):
        grades(tmp_path, words, grades={"Exact": 2.0, "Irrelevant": 0.0})


def test_labels_that_are_missing_are_counted(tmp_path):
    assert grades(tmp_path, ["3", "1", "NULL", "nan", "2", "1"]).card.dropped["no label"] == 2


def test_a_grade_that_only_the_test_has_belongs_to_the_scale(tmp_path):
    found = grades(tmp_path, ["1", "2", "1", "2", "4", "0"])
    assert (found.card.mended or {})["rows with a label that no train row has"] == 2
    scale = choose_scale(found.label[:2], found.label, (), "auto", None, tmp_path)
    assert (scale.kind, scale.low, scale.high, scale.relevant) == ("grades", 0, 4, 1.5)
    words = choose_scale(found.label[:2], found.label, (), "classes", None, tmp_path)
    assert words.classes == ("0", "1", "2", "4")


def test_a_row_of_a_folder_is_named_by_its_own_file(tmp_path):
    for name, split in (("a.csv", "train"), ("b.csv", "hold-out")):
        rows = {column: [values[0]] * 2 for column, values in JUDGED.items()} | {"split": ["train", split]}
        write_table(tmp_path / "pairs" / name, rows)
    with pytest.raises(DataError, match=r"b\.csv: column 'split': row 2 has 'hold-out'"):
        read_pairs(pairs_job(tmp_path / "pairs"))


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a, b", None),
        ("a,b", None),
        ("a b", None),
        ("a|b", None),
        ("['a', 'b']", None),
        ('["a","b"]', None),
        ("{a,b}", None),
        ("('a', 'b')", None),
        ("a, b", ","),
        (" a  b ", " "),
        ("a ; b;", ";"),
    ],
)
def test_a_history_keeps_all_of_its_items(text, separator):
    assert split_history(text, separator) == ["a", "b"]


@pytest.mark.parametrize(("text", "ids"), [("cup(1) tea(2)", ["cup(1)", "tea(2)"]), ("[1] [2]", ["[1]", "[2]"])])
def test_brackets_of_an_id_are_its_own(text, ids):
    assert split_history(text, None) == ids


@pytest.mark.parametrize("ending", [".jsonl", ".parquet", ".csv"])
def test_a_history_may_be_a_list_of_the_format(tmp_path, ending):
    histories = [["x", "y"], ["y"], ["x", "z"]]
    if ending == ".csv":
        histories = ["x, y", "y", "x, z"]
    table = {"who": ["a", "b", "c"], "before": histories, "next": ["z", "x", "y"], "part": ["train", "train", "test"]}
    items = write_table(tmp_path / "items.csv", {"id": ["x", "y", "z"], "text": ["tea", "cup", "pot"]})
    job = HistoriesData.model_validate(
        {
            "kind": "histories",
            "path": write_table(tmp_path / f"rows{ending}", table),
            "columns": {"user": "who", "history": "before", "target": "next", "part": "part"},
            "items": {"path": items, "id": "id", "text": "text"},
        }
    )
    assert read_histories(job).card.trips == 8


def test_numbers_of_a_history_are_ids():
    assert split_history("17.0, 18", None) == ["17", "18"]


SHOP = {"user": ["a", "a", "a", "b"], "item": ["x", "x", "y", "x"], "when": ["2014-12-06 02", "2014-12-06 02"] * 2}


def shop_job(tmp_path, **changes):
    columns = {"user": "user", "item": "item", "time": "when", "value": None, "text": []} | changes.pop("columns", {})
    return events_job(write_table(tmp_path / "log.csv", SHOP), columns=columns, **changes)


def test_repeats_within_an_hour_are_no_duplicates_unless_told(tmp_path):
    card = read_interactions(shop_job(tmp_path)).card
    assert (card.rows_kept, card.dropped.get(cleaning_rules.DUPLICATE)) == (4, None)
    assert (card.mended or {})[cleaning_rules.SAME_HOUR] == 1
    told = read_interactions(shop_job(tmp_path, cleaning={"duplicates": True})).card
    assert told.dropped[cleaning_rules.DUPLICATE] == 1


@pytest.mark.parametrize("times", [["2014-12-06 02:10"] * 4, ["2014-12-06 02:00:01"] * 4])
def test_equal_rows_of_finer_times_are_the_same_row(tmp_path, times):
    path = write_table(tmp_path / "log.csv", SHOP | {"when": times})
    columns = {"user": "user", "item": "item", "time": "when", "value": None, "text": []}
    assert read_interactions(events_job(path, columns=columns)).card.dropped[cleaning_rules.DUPLICATE] == 1


def test_pairs_of_one_hour_are_no_duplicates_either(tmp_path):
    table = {name: [*values, values[-1]] for name, values in JUDGED.items()}
    for minute, dropped in (("00", 0), ("07", 1)):
        path = write_table(tmp_path / "pairs.csv", table | {"when": [f"2024-01-02 03:{minute}"] * 7})
        assert read_pairs(pairs_job(path, columns={"time": "when"})).card.dropped["the same row again"] == dropped


def test_behaviours_and_ratings_are_chosen_and_counted(tmp_path):
    log = {**EVENTS, "did": ["buy", "pv", "cart", "buy", "NULL", "buy"], "stars": ["5", "4", "3", "2,5", "1", ""]}
    path = write_table(tmp_path / "log.csv", log)
    job = events_job(path, columns={"behaviour": "did"}, cleaning={"behaviours": ["buy", "cart"]})
    assert read_interactions(job).card.dropped[cleaning_rules.NOT_KEPT] == 2
    job = events_job(path, columns={"rating": "stars"}, cleaning={"lowest_rating": 2.5})
    assert read_interactions(job).card.dropped[cleaning_rules.LOW_RATING] == 2
    job = events_job(path, columns={"behaviour": "did"}, cleaning={"behaviours": "purchase"})
    with pytest.raises(DataError, match="most are dropped as 'behaviour not to be kept'; there is buy, cart, pv"):
        read_interactions(job)


def test_behaviours_may_be_numbers():
    job = events_job("log.csv", columns={"behaviour": "did"}, cleaning={"behaviours": [4]})
    assert job.cleaning.behaviours == ("4",)


def joined(tmp_path, orders, **keys):
    write_table(tmp_path / "orders.csv", orders)
    log = {"order": [1.0, 2.0, 2.0, 9.0], "item": ["x", "x", "y", "x"]}
    path = write_table(tmp_path / "log.parquet", log)
    columns = {"user": "user", "item": "item", "time": "when", "value": None, "text": []}
    join = [{"path": tmp_path / "orders.csv", "on": "order", **keys}]
    return read_interactions(events_job(path, columns=columns, join=join))


def test_a_log_of_ids_takes_user_and_time_from_another_table(tmp_path):
    found = joined(tmp_path, {"order": [2, 1], "user": ["b", "a"], "when": ["2024-01-02 10:01", "2024-01-01 10:01"]})
    assert found.user_ids == ("a", "b")
    assert (found.card.rows_kept, found.card.dropped[cleaning_rules.NO_USER]) == (3, 1)
    assert (found.card.mended or {})["rows that orders.csv does not know"] == 1


def test_keys_may_have_other_names_and_be_words(tmp_path):
    orders = {"id": ["2", "1", "x"], "user": ["b", "a", "c"], "when": ["2024-01-02 10:01"] * 3}
    assert joined(tmp_path, orders, key="id").user_ids == ("a", "b")


@pytest.mark.parametrize(
    ("orders", "said"),
    [
        ({"order": [1, 1], "user": ["a", "b"], "when": ["2024-01-01"] * 2}, "rows 1 and 2 have one order and differ"),
        ({"order": [7], "user": ["a"], "when": ["2024-01-01"]}, "no row's order is in .*orders.csv"),
        ({"id": [1], "user": ["a"], "when": ["2024-01-01"]}, "orders.csv: column 'order' is missing"),
        ({"order": [1], "user": ["a"]}, "log.parquet: column 'when' is missing"),
    ],
)
def test_a_join_that_cannot_be_right_is_refused(tmp_path, orders, said):
    with pytest.raises(DataError, match=said):
        joined(tmp_path, orders)


JOB = """task = "next_item"
output = "out"
[data]
kind = "interactions"
path = "log.csv"
columns = {{ user = "user", item = "item", time = "when" }}
{more}
[model]
folder = "model"
[tracking]
uri = "sqlite:///mlflow.db"
experiment = "x"
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('encoding = "gbkk"', "key 'data.encoding' is 'gbkk': not an encoding this knows: utf-8, gb18030"),
        ('encoding = "rot13"', "key 'data.encoding' is 'rot13': not an encoding"),
        ('delimiter = ""', "key 'data.delimiter' is ''"),
        ('time_format = "days"', """key 'data.time_format' is 'days': not a way to write times: "seconds","""),
        ('time_format = "%H:%M"', "key 'data.time_format' is '%H:%M': not a way to write times"),
        ('quotes = "both"', "key 'data.quotes' is 'both': input should be 'none' or 'multiline'"),
        ('decimal = ";"', "key 'data.decimal' is ';'"),
        ('delimeter = ","', "unknown key 'data.delimeter': did you mean 'delimiter'?"),
        ('cleaning = { behaviours = ["buy"] }', "columns.behaviour and cleaning.behaviours"),
        ("cleaning = { lowest_rating = 4.0 }", "columns.rating and cleaning.lowest_rating"),
        ('join = [{ path = "a.csv" }]', "key 'data.join.0.on' is missing"),
        ('join = [{ path = "a.csv", on = ["a", "b"], key = "c" }]', "key names 1 columns and on 2"),
    ],
)
def test_a_key_of_reading_that_is_wrong_is_told_with_its_value(tmp_path, more, said):
    path = tmp_path / "job.toml"
    path.write_text(JOB.format(more=more))
    with pytest.raises(JobError) as caught:
        load_job(path)
    assert said in str(caught.value)


def test_a_job_file_with_a_mark_is_read(tmp_path):
    path = tmp_path / "job.toml"
    path.write_bytes(b"\xef\xbb\xbf" + JOB.format(more="").encode())
    assert load_job(path).task == "next_item"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("job.toml", JOB.format(more="seed = 1" + "0" * 5000)),
        ("job.toml", "a = " + "[" * 100_000),
        ("job.toml", JOB.format(more="").replace("[data]", "threads = 99999999999999999999\n[data]")),
        ("log.csv", "user,item,when\n"),
        ("log.csv", "user,item,when\na,b,99999999999999999999\n"),
        ("log.csv", "\n\n"),
    ],
)
def test_bad_input_ends_with_2_and_one_sentence(tmp_path, capsys, name, content):
    (tmp_path / "job.toml").write_text(JOB.format(more=""))
    (tmp_path / name).write_text(content)
    assert main(["clean", str(tmp_path / "job.toml"), str(tmp_path / "clean")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("trainer: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    ['{"user": "a", "item": "b", "when": ' + "9" * 400 + "}", '{"user": "a", "item": "b", "when": 1e999}', "", "[]"],
)
def test_odd_lines_of_json_end_with_2(tmp_path, capsys, line):
    (tmp_path / "log.jsonl").write_text(line + "\n")
    (tmp_path / "job.toml").write_text(JOB.format(more="").replace("log.csv", "log.jsonl"))
    assert main(["clean", str(tmp_path / "job.toml"), str(tmp_path / "clean")]) == 2
    assert capsys.readouterr().err.startswith("trainer: ")


def test_a_worth_needs_labels():
    with pytest.raises(ValidationError, match="grades says what labels are worth"):
        pairs_job("pairs.csv", columns={"label": None}, grades={"a": 1.0})


def test_items_of_a_table_are_those_of_the_log(tmp_path):
    items = write_table(tmp_path / "items.csv", {"id": ["85048.0", "7"], "text": ["lamp", "desk"]})
    log = {"who": ["a", "b"], "what": [85048, 7], "when": ["2024-01-01 10:01"] * 2, "many": [1, 1]}
    job = events_job(
        write_table(tmp_path / "log.csv", log),
        columns={"text": []},
        items={"path": items, "id": "id", "text": "text"},
    )
    assert dict(zip(*(getattr(read_interactions(job).catalogue, n) for n in ("item_ids", "texts")), strict=True)) == {
        "7": "desk",
        "85048": "lamp",
    }
