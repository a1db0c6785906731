"""What a run keeps beside its metrics, as anybody may have written it: read, or named as unread."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from bot.domain.job_protocol import CARD_FILE, TABLE_FILE
from bot.domain.judge.alignment import Alignment
from bot.domain.runs import Run, RunResult, RunStatus, Trouble
from bot.errors import ArtifactsAwayError, RunStoreError
from bot.services.mlflow.artifacts import fetch, fetch_texts
from bot.services.mlflow.example_tables import Columns
from tests.unit.state_samples import NOON

RUN = Run("run1", "run1", RunStatus.FINISHED, NOON, NOON)
WANTED = Columns(frozenset({"ndcg"}), frozenset({"device"}))
DEEP = 10_000


@dataclass(frozen=True)
class Listed:
    path: str
    is_dir: bool
    file_size: int | None


@dataclass
class Folder:
    """Artifacts as files, as a storage of MLflow's lists and copies them."""

    path: Path
    breaks: Exception | None = None  # what a download raises
    sizes: dict[str, int] = field(default_factory=dict)  # as they are listed, where that is not what they are
    downloaded: list[str] = field(default_factory=list)

    def list_artifacts(self) -> list[Listed]:
        files = sorted(self.path.iterdir())
        return [Listed(f.name, f.is_dir(), self.sizes.get(f.name, f.stat().st_size)) for f in files]

    def download(self, path: str, folder: str) -> Path:
        self.downloaded.append(path)
        if self.breaks is not None:
            raise self.breaks
        return Path(shutil.copy(self.path / path, folder))


def is_there() -> None:
    """Say that MLflow has the run."""


@pytest.fixture
def folder(tmp_path) -> Folder:
    path = tmp_path / "artifacts"
    path.mkdir()
    return Folder(path)


def read(folder: Folder, wanted: Columns | None = WANTED, most: int = 256_000_000) -> RunResult:
    return fetch(folder, RUN, wanted, most, is_there)


def card(folder: Folder, content: bytes | str) -> RunResult:
    whole = content.encode() if isinstance(content, str) else content
    (folder.path / CARD_FILE).write_bytes(whole)
    return read(folder)


def table(folder: Folder, **columns) -> RunResult:
    pq.write_table(pa.table(columns), folder.path / TABLE_FILE)
    return read(folder)


def troubles(result: RunResult) -> list[Trouble]:
    return [each.trouble for each in result.unread]


GOOD = {"example_id": ["a", "b", "c"], "ndcg": [0.1, 0.2, 0.3]}


@pytest.mark.parametrize(
    "content",
    [
        '{"rows_in": 3, "hash": "',
        "",
        "[1, 2]",
        "3",
        "null",
        '"text"',
        '{"a": 1} {"b": 2}',
        '{"b": "\xe9"}'.encode("latin-1"),
        b"\x00\x01\x02\xff",
        "<html>log in</html>",
        "[" * DEEP,
        "[" * DEEP + "]" * DEEP,
        '{"a":' * DEEP + "1" + "}" * DEEP,
        '{"a": ' + "[" * 500 + "]" * 500 + "}",
        '{"a": [{"b": ' + '{"c":' * 100 + "1" + "}" * 100 + "}]}",
    ],
    ids=repr,
)
def test_a_card_that_is_no_object_of_facts_is_named_as_broken(folder, content):
    result = card(folder, content)
    assert not result.card
    assert troubles(result) == [Trouble.BROKEN]
    assert 0 < len(result.unread[0].detail) < 300


@pytest.mark.parametrize("number", ["1" * 400, "-" + "9" * 5000, "1e999", "NaN", "-Infinity", "1e300"])
def test_a_fact_beyond_all_measure_is_left_out_and_the_others_are_read(folder, number):
    result = card(folder, f'{{"rows_in": {number}, "users": 12}}')
    assert result.card.numbers == {"users": 12.0}
    assert troubles(result) == [Trouble.IN_PART]
    assert "rows_in" in result.unread[0].detail


def test_a_card_that_says_which_version_of_the_format_it_is_was_read_whole(folder):
    result = card(folder, '{"schema": 1, "rows_in": 100, "rows_kept": 99}')
    assert result.unread == ()
    assert set(result.card.numbers) == {"rows_in", "rows_kept", "dropped_share"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_card_may_have_a_byte_order_mark_or_be_utf_16(folder, encoding):
    result = card(folder, '{"rows_in": 4, "rows_kept": 3, "source": "日志"}'.encode(encoding))
    assert result.card.numbers == {"rows_in": 4.0, "rows_kept": 3.0, "dropped_share": 0.25}
    assert result.card.texts == {"source": "日志"}
    assert result.unread == ()


def test_facts_of_other_types_are_no_numbers(folder):
    odd = {"rows_in": "12", "rows_kept": [1, {"a": 2}], "users": None, "trips": True, "dropped": {"bot": 3}, "": 1}
    result = card(folder, json.dumps(odd))
    assert result.card.numbers == {"dropped.bot": 3.0, "": 1.0}
    assert result.card.texts["rows_in"] == "12"
    assert result.unread == ()


def test_what_no_database_takes_is_replaced(folder):
    result = card(folder, '{"a\\u0000b": "x\\ud800y\\u0000"}')
    assert result.card.texts == {"a\ufffdb": "x?y\ufffd"}


def test_no_share_follows_from_a_count_that_vanishes(folder):
    assert card(folder, '{"rows_in": 1e-59, "rows_kept": 1e59}').card.numbers.keys() == {"rows_in", "rows_kept"}


def test_a_huge_card_is_refused_by_the_size_that_is_listed(folder):
    (folder.path / CARD_FILE).write_text("{}")
    folder.sizes[CARD_FILE] = 3_000_000_000
    assert troubles(read(folder)) == [Trouble.TOO_LARGE]
    assert folder.downloaded == []


def test_a_card_that_is_larger_than_listed_is_refused_before_it_is_parsed(folder):
    (folder.path / CARD_FILE).write_text('{"a": "' + "x" * 2_000_000 + '"}')
    folder.sizes[CARD_FILE] = 10
    assert troubles(read(folder)) == [Trouble.TOO_LARGE]


def test_a_table_larger_than_config_allows_is_refused_in_a_sentence_that_names_the_key(folder):
    table(folder, **GOOD)
    size = (folder.path / TABLE_FILE).stat().st_size
    assert read(folder, most=size).unread == ()
    (unread,) = read(folder, most=size - 1).unread
    assert (unread.artifact, unread.trouble) == (TABLE_FILE, Trouble.TOO_LARGE)
    assert unread.detail == f"{size:,} bytes; at most {size - 1:,} are read (mlflow.tables.largest)"
    assert folder.downloaded == [TABLE_FILE] * 2  # when it was made, and where it was allowed
    folder.sizes[TABLE_FILE] = 10  # it says that it is smaller
    assert read(folder, most=size - 1).unread[0].detail == unread.detail


def test_a_card_of_countless_facts_is_refused(folder):
    result = card(folder, json.dumps({f"fact{number}": number for number in range(5000)}))
    assert troubles(result) == [Trouble.TOO_LARGE]


def test_long_texts_of_a_card_are_cut(folder):
    result = card(folder, json.dumps({"note": "x" * 100_000, "n" * 1000: "y", "list": ["z" * 100_000]}))
    assert max(map(len, (*result.card.texts, *result.card.texts.values()))) == 1000


@pytest.mark.parametrize("name", [CARD_FILE, TABLE_FILE])
def test_a_folder_of_that_name_is_no_artifact(folder, name):
    (folder.path / name).mkdir()
    result = read(folder)
    assert troubles(result) == [Trouble.FOLDER]
    assert result.unread[0].artifact == name


REFUSED = requests.HTTPError("404 Client Error: NOT FOUND for url: http://x", response=requests.Response())
REFUSED.response.status_code = 404
BUSY = requests.HTTPError("503 Server Error: SLOW DOWN for url: http://x", response=requests.Response())
BUSY.response.status_code = 503


@pytest.mark.parametrize(
    "error",
    [
        REFUSED,
        ModuleNotFoundError("No module named 'boto3'"),
        FileNotFoundError(2, "No such file or directory"),
        PermissionError(13, "Permission denied"),
        ValueError("Unable to locate credentials"),
        RuntimeError("An error occurred (403) when calling the GetObject operation: Forbidden"),
        RuntimeError(""),
    ],
    ids=repr,
)
def test_what_the_store_never_gives_is_named_and_the_rest_is_read(folder, error):
    (folder.path / CARD_FILE).write_text("{}")
    folder.breaks = error
    result = read(folder)
    assert troubles(result) == [Trouble.NOT_HAD]
    assert result.unread[0].detail


@pytest.mark.parametrize(
    "error",
    [
        BUSY,
        requests.ConnectionError("refused"),
        requests.Timeout("slow"),
        ConnectionResetError(104, "reset"),
        TimeoutError("timed out"),
        RuntimeError('Could not connect to the endpoint URL: "http://minio:9000/b"'),
        RuntimeError("An error occurred (503) when calling the GetObject operation (reached max retries: 4)"),
        RuntimeError("The following failures occurred: {'x': HTTPError('502 Server Error: Bad Gateway for url')}"),
        RuntimeError("the response body was not in a valid JSON format. Response body: '<html>'"),
    ],
    ids=repr,
)
def test_what_is_away_may_come_back(folder, error):
    (folder.path / CARD_FILE).write_text("{}")
    folder.breaks = error
    with pytest.raises(ArtifactsAwayError, match=r"data_card\.json cannot be had just now"):
        read(folder)


def test_artifacts_of_a_run_that_cannot_be_read_itself_are_not_what_is_amiss(folder):
    (folder.path / CARD_FILE).write_text("{}")
    folder.breaks = ModuleNotFoundError("No module named 'boto3'")

    def is_away() -> None:
        raise RunStoreError("MLflow is away")

    with pytest.raises(RunStoreError, match="MLflow is away"):
        fetch(folder, RUN, WANTED, 10**9, is_away)


def test_one_broken_artifact_does_not_hide_the_other(folder):
    (folder.path / CARD_FILE).write_text("{")
    result = table(folder, **GOOD)
    assert troubles(result) == [Trouble.BROKEN]
    assert list(result.examples.example_ids) == ["a", "b", "c"]


@pytest.mark.parametrize("kept", [0, 4, 8, 100, -1, -9])
def test_a_table_that_was_cut_off_is_broken(folder, kept):
    table(folder, **GOOD)
    whole = (folder.path / TABLE_FILE).read_bytes()
    (folder.path / TABLE_FILE).write_bytes(whole[:kept])
    result = read(folder)
    assert result.examples is None
    assert troubles(result) == [Trouble.BROKEN]


def test_a_table_whose_middle_is_damaged_is_broken(folder):
    table(folder, **GOOD)
    whole = bytearray((folder.path / TABLE_FILE).read_bytes())
    whole[4:40] = b"\xff" * 36
    (folder.path / TABLE_FILE).write_bytes(bytes(whole))
    assert troubles(read(folder)) == [Trouble.BROKEN]


DAY = dt.date(2026, 1, 1)
IDS = {
    "string": (pa.array(["a", "b"]), ["a", "b"]),
    "large_string": (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
    "string_view": (pa.array(["a", "b"], pa.string_view()), ["a", "b"]),
    "dictionary": (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
    "binary": (pa.array([b"a", b"\xff"]), ["a", "ff"]),
    "large_binary": (pa.array([b"a", b"b"], pa.large_binary()), ["a", "b"]),
    "fixed_binary": (pa.array([b"ab", b"cd"], pa.binary(2)), ["6162", "6364"]),
    "int": (pa.array([1, 2]), ["1", "2"]),
    "uint64": (pa.array([1, 2**64 - 1], pa.uint64()), ["1", "18446744073709551615"]),
    "float": (pa.array([1.0, 2.5]), ["1", "2.5"]),
    "bool": (pa.array([True, False]), ["true", "false"]),
    "date": (pa.array([DAY, DAY + dt.timedelta(1)]), ["2026-01-01", "2026-01-02"]),
    "timestamp": (pa.array([0, 1], pa.timestamp("s")), ["1970-01-01 00:00:00.000", "1970-01-01 00:00:01.000"]),
    "decimal": (pa.array([Decimal("1.5"), Decimal("2.5")]), ["1.5", "2.5"]),
    "int_dictionary": (pa.array([1, 2]).dictionary_encode(), ["1", "2"]),
    "extension": (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"a" * 16, b"b" * 16], pa.binary(16))), None),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_any_plain_type_tell_examples_apart(folder, kind):
    column, expected = IDS[kind]
    result = table(folder, example_id=column, ndcg=[0.1, 0.2])
    ids = list(result.examples.example_ids)
    assert ids == (expected or [(letter * 16).encode().hex() for letter in "ab"])
    assert result.unread == ()


@pytest.mark.parametrize(
    "column",
    [
        pa.nulls(2),
        pa.array([None, None], pa.string()),
        pa.array([float("nan"), None]),
        pa.array([["a"], ["b"]]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int32())),
    ],
    ids=lambda column: str(column.type),
)
def test_ids_that_tell_nothing_apart_break_the_table(folder, column):
    result = table(folder, example_id=column, ndcg=[0.1, 0.2])
    assert result.examples is None
    assert troubles(result) == [Trouble.BROKEN]
    assert "example_id" in result.unread[0].detail


def test_two_columns_of_weights_break_the_table(folder):
    columns = [pa.array(["a", "b"]), pa.array([1.0, 1.0]), pa.array([2.0, 2.0]), pa.array([0.9, 0.1])]
    twice = pa.Table.from_arrays(columns, ["example_id", "weight", "weight", "ndcg"])
    pq.write_table(twice, folder.path / TABLE_FILE)
    result = read(folder)
    assert result.examples is None
    assert "more than one column 'weight'" in result.unread[0].detail


def test_a_dot_in_the_name_of_a_column_makes_no_difference(folder):
    schema = pa.schema([("example_id", pa.string()), ("ndcg", pa.float64()), ("dev.ice", pa.string())])
    packed = {"use_dictionary": False, "column_encoding": dict.fromkeys(["example_id", "dev.ice"], "DELTA_BYTE_ARRAY")}
    rows = pa.table({"example_id": ["a", "b"], "ndcg": [0.1, 0.2], "dev.ice": ["x", "xy"]}, schema=schema)
    pq.write_table(rows, folder.path / TABLE_FILE, **packed)
    result = read(folder, Columns(frozenset({"ndcg"}), frozenset({"dev.ice"})))
    assert list(result.examples.slices["dev.ice"]) == ["x", "xy"]


def test_a_table_of_many_row_groups_takes_seconds(folder):
    schema = pa.schema([("example_id", pa.string()), ("ndcg", pa.float64())])
    with pq.ParquetWriter(folder.path / TABLE_FILE, schema) as writer:
        for number in range(12_000):
            writer.write_table(pa.table({"example_id": [str(number)], "ndcg": [0.5]}))
    began = time.process_time()
    assert read(folder).examples is not None
    assert time.process_time() - began < 7  # a second when idle; ten where each group looks at all before it


def test_rows_without_an_id_are_left_out(folder):
    result = table(folder, example_id=["a", None, "", "b"], ndcg=[0.1, 0.2, 0.3, 0.4], device=["x", "y", "z", None])
    assert list(result.examples.example_ids) == ["a", "b"]
    assert list(result.examples.metrics["ndcg"]) == [0.1, 0.4]
    assert list(result.examples.slices["device"]) == ["x", ""]
    assert "2 rows" in result.unread[0].detail


def test_the_same_id_in_several_rows_is_one_example(folder):
    result = table(folder, example_id=["a", "b", "a"], ndcg=[0.0, 0.5, 1.0], weight=[1, 1, 3])
    alignment = Alignment(result.examples)
    shared = alignment.cut("ndcg", {"before": result.examples}, ())
    assert (list(alignment.names), list(shared.now)) == (["a", "b"], [0.75, 0.5])


def test_texts_of_a_few_examples_are_read_beside_what_is_judged(folder):
    table(folder, example_id=["a", "b"], ndcg=[0.1, 0.2], query=["x" * 10_000, "short"])
    read = fetch_texts(folder, RUN, ["query", "gone"], {"b"}, 10**9, is_there)
    assert dict(read.of) == {"b": ("short", "")}
    assert [(each.trouble, each.detail) for each in read.unread] == [(Trouble.IN_PART, "gone is not there")]
    (folder.path / TABLE_FILE).unlink()
    assert dict(fetch_texts(folder, RUN, ["query"], {"b"}, 10**9, is_there).of) == {}


def test_a_table_without_ids_or_with_two_columns_of_them_is_broken(folder):
    assert troubles(table(folder, ndcg=[0.1])) == [Trouble.BROKEN]
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["example_id", "example_id"])
    pq.write_table(twice, folder.path / TABLE_FILE)
    assert troubles(read(folder)) == [Trouble.BROKEN]


@pytest.mark.parametrize(
    "weights",
    [["1", "2"], [1.0, None], [1.0, float("nan")], [1.0, float("inf")], [1.0, -1.0], [1e300, 1.0], [[1.0], [2.0]]],
    ids=repr,
)
def test_weights_that_are_none_break_the_table(folder, weights):
    result = table(folder, example_id=["a", "b"], ndcg=[0.1, 0.2], weight=weights)
    assert result.examples is None
    assert troubles(result) == [Trouble.BROKEN]
    assert "weight" in result.unread[0].detail


@pytest.mark.parametrize(
    "weight", [pa.array([1, 2]), pa.array([Decimal("0.5"), Decimal("1.5")]), pa.array([True, True])]
)
def test_weights_may_be_numbers_of_any_type(folder, weight):
    result = table(folder, example_id=["a", "b"], ndcg=[0.1, 0.2], weight=weight)
    assert result.unread == ()


@pytest.mark.parametrize(
    "column",
    [pa.array(["0.1", "0.2"]), pa.array([[0.1], [0.2]]), pa.array([DAY, DAY]), pa.array([b"a", b"b"]), pa.nulls(2)],
    ids=lambda column: str(column.type),
)
def test_a_metric_that_holds_no_numbers_is_left_out(folder, column):
    result = table(folder, example_id=["a", "b"], ndcg=column)
    assert result.examples.metrics == {}
    assert troubles(result) == [Trouble.IN_PART]
    assert result.unread[0].detail.startswith("ndcg holds ")


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, None]),
        pa.array([2**63, 2**64 - 1], pa.uint64()),
        pa.array([Decimal("0.1"), Decimal("12345678901234567890.5")]),
        pa.array([0.5, 0.25], pa.float16()),
        pa.array([True, False]),
        pa.array([0.5, 0.25]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_metrics_may_be_numbers_of_any_type(folder, column):
    result = table(folder, example_id=["a", "b"], ndcg=column)
    assert result.examples.metrics["ndcg"].dtype == np.float64
    assert result.unread == ()


def test_absurd_values_are_named(folder):
    result = table(folder, example_id=list("abcd"), ndcg=[0.1, float("inf"), 1e200, float("nan")])
    assert result.unread[0].detail == "ndcg: 2 values that are infinite or beyond all measure"


def test_a_slice_that_is_no_text_is_left_out(folder):
    result = table(folder, **GOOD, device=[1, 2, 3])
    assert result.examples.slices == {}
    assert result.unread[0].detail == "device holds int64, not text"


def test_text_that_is_no_text_is_left_out(folder):
    bad = pa.array([b"\xff\xfe", b"a", b"b"]).view(pa.string())
    result = table(folder, **GOOD, device=bad)
    assert result.examples.slices == {}
    assert troubles(result) == [Trouble.IN_PART]


def test_a_slice_of_countless_values_is_left_out(folder):
    ids = [str(number) for number in range(2000)]
    result = table(folder, example_id=ids, ndcg=[0.5] * 2000, device=ids)
    assert result.examples.slices == {}
    assert "device" in result.unread[0].detail


def test_columns_that_nobody_asked_for_are_not_read(folder):
    result = table(folder, **GOOD, notes=["x" * 100_000] * 3, nested=[[1], [2], [3]], other=[1, 2, 3])
    assert (set(result.examples.metrics), set(result.examples.slices)) == ({"ndcg"}, set())
    assert result.unread == ()


def test_without_a_choice_all_columns_of_numbers_and_text_are_read(folder):
    table(folder, **GOOD, other=[1, 2, 3], device=["x", "y", "z"], nested=[[1], [2], [3]])
    result = read(folder, wanted=None)
    assert (set(result.examples.metrics), set(result.examples.slices)) == ({"ndcg", "other"}, {"device"})
    assert result.unread == ()


def test_a_table_without_rows_says_so(folder):
    result = table(folder, example_id=pa.array([], pa.string()), ndcg=pa.array([], pa.float64()))
    assert (troubles(result), result.unread[0].detail) == ([Trouble.BROKEN], "it holds no rows")


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"])
def test_texts_may_be_written_in_any_way(folder, encoding):
    made = pa.table({**GOOD, "device": ["x", "y", "x"]})
    ways = {"use_dictionary": False, "column_encoding": {"example_id": encoding, "device": encoding, "ndcg": "PLAIN"}}
    pq.write_table(made, folder.path / TABLE_FILE, **ways)
    result = read(folder)
    assert (list(result.examples.example_ids), result.unread) == (["a", "b", "c"], ())


def test_what_is_no_parquet_at_all_is_broken(folder):
    (folder.path / TABLE_FILE).write_bytes(b"PAR1" + b"\xff" * 64 + b"PAR1")
    assert troubles(read(folder)) == [Trouble.BROKEN]
    (folder.path / TABLE_FILE).write_text("example_id,ndcg\na,0.1\n")
    assert troubles(read(folder)) == [Trouble.BROKEN]


# What unpacks to gigabytes: read in a process that may not take so much.

_BOMBS = {
    "five million rows": "rows(5_000_000)",
    "a long text in every row": 'text("example_id", 200_000, 100_000)',
    "a long slice in every row": 'text("device", 200_000, 100_000)',
    "texts that differ by a letter": "chained()",
    "a million rows of long ids": "ids()",
    "countless columns": "columns(20_000)",
}
_MAKE = """
import sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from pathlib import Path
from bot.services.mlflow.example_tables import Columns, read_table
from bot.services.mlflow.unreadable import UnreadableError

path = Path(sys.argv[1])

def rows(n):
    pq.write_table(pa.table({"example_id": pa.nulls(n, pa.string()).fill_null("a"), "ndcg": np.zeros(n)}), path)

def text(name, n, length):
    packed = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array(["x" * length]))
    ids = pa.array([str(i) for i in range(n)])
    pq.write_table(pa.table({"example_id": ids, "ndcg": np.zeros(n), name: packed} | {name: packed}), path)

def chained():
    schema = pa.schema([("example_id", pa.string()), ("ndcg", pa.float64())])
    options = {"use_dictionary": False, "column_encoding": {"example_id": "DELTA_BYTE_ARRAY", "ndcg": "PLAIN"}}
    with pq.ParquetWriter(path, schema, **options) as writer:
        for _ in range(20):
            part = ["y" * 400_000 + str(i) for i in range(100)]
            writer.write_table(pa.table({"example_id": part, "ndcg": np.zeros(100)}, schema=schema))

def ids():
    n = 1_000_000
    pq.write_table(pa.table({"example_id": [f"{i:0150d}" for i in range(n)], "ndcg": np.zeros(n)}), path)

def columns(n):
    pq.write_table(pa.table({"example_id": ["a"]} | {f"c{i}": [0.5] for i in range(n)}), path)
"""
_READ = """
if len(sys.argv) > 2:
    try:
        read_table(path, Columns(frozenset({"ndcg"}), frozenset({"device"})))
        print("read")
    except UnreadableError as error:
        print(error.trouble, error)
    # ru_maxrss would do but for what a child inherits: the peak of the process that forked it.
    print(next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.parametrize("bomb", _BOMBS)
def test_what_unpacks_to_gigabytes_takes_few_megabytes(tmp_path, bomb):
    path = str(tmp_path / "bomb.parquet")
    subprocess.run([sys.executable, "-c", f"{_MAKE}\n{_BOMBS[bomb]}", path], check=True)
    done = subprocess.run(
        [sys.executable, "-c", _MAKE + _READ, path, "read"], check=True, capture_output=True, text=True
    )
    verdict, peak = done.stdout.strip().splitlines()
    assert verdict.startswith(("too_large", "read"))
    assert int(peak) < 500, verdict
