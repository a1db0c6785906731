"""Times as teams write them; what may mean two things, or is none, is refused with its row."""

import json
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.trainer.logs import events_job, pairs_job, write_table
from trainer.data.dates import NO_TIME
from trainer.data.interactions import read_interactions
from trainer.data.pairs import read_pairs
from trainer.data.tables import read_batches
from trainer.data.times import TimeReader
from trainer.errors import DataError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(path, *values, form=None, rows=100):
    """Read values from a CSV and from JSON lines, which have to agree."""
    (path / "t.csv").write_text("when|z\n" + "".join(f"{'' if v is None else v}|1\n" for v in values))
    (path / "t.jsonl").write_text("".join(json.dumps({"when": v, "z": 1}) + "\n" for v in values))
    found = []
    for name in ("t.csv", "t.jsonl"):
        reader = TimeReader(form, lambda name=name: read_batches(path / name, ["when"], rows=rows))
        batches = read_batches(path / name, ["when"], rows=rows)
        found.append([time for batch in batches for time in reader.read(batch, "when").tolist()])
    assert found[0] == found[1]
    return [None if time == NO_TIME else (EPOCH + timedelta(microseconds=time)).isoformat()[:19] for time in found[0]]


@pytest.mark.parametrize(
    ("value", "is_"),
    [
        ("20170425", "2017-04-25T00:00:00"),
        (20170425, "2017-04-25T00:00:00"),
        (20170425103000, "2017-04-25T10:30:00"),
        ("20170425T103000Z", "2017-04-25T10:30:00"),
        (1295344860, "2011-01-18T10:01:00"),
        (1295344860.0, "2011-01-18T10:01:00"),
        (1295344860123, "2011-01-18T10:01:00"),
        (1295344860123456, "2011-01-18T10:01:00"),
        (1295344860123456789, "2011-01-18T10:01:00"),
        ("2019-10-01 00:00:00 UTC", "2019-10-01T00:00:00"),
        ("2019-10-01T08:00:00+0800", "2019-10-01T00:00:00"),
        ("2017/04/25", "2017-04-25T00:00:00"),
        ("2017/4/5 1:02", "2017-04-05T01:02:00"),
        ("01-01-2020 00:00", "2020-01-01T00:00:00"),
        ("31-01-2020 00:00", "2020-01-31T00:00:00"),
        ("12/13/2010 8:26", "2010-12-13T08:26:00"),
        ("12/13/2010 8:26 PM", "2010-12-13T20:26:00"),
        ("5.4.2017", "2017-04-05T00:00:00"),
        ("02 28, 2014", "2014-02-28T00:00:00"),
        ("Feb 28, 2014", "2014-02-28T00:00:00"),
        ("28 February 2014", "2014-02-28T00:00:00"),
        ("2014-12-06 02", "2014-12-06T02:00:00"),
        ("2017年4月25日", "2017-04-25T00:00:00"),
    ],
)
def test_a_time_is_read_as_it_is_written(tmp_path, value, is_):
    assert read(tmp_path, value, None, "NULL" if isinstance(value, str) else None) == [is_, None, None]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((42850.5,), r"row 1: 'when' is '?42850\.5'?, not a time between 1990 and .*time_format = \"excel\""),
        ((1, 2), r"row 1: 'when' is '?1'?, not a time between 1990 and .* visit it may be: time_format = \"steps\""),
        ((536365, 536366), "row 1: 'when' is '?536365'?, not a time between 1990"),
        ((-5,), "row 1: 'when' is '?-5'?, not a time"),
        ((20171301,), "row 1: 'when' is '?20171301'?, not a time"),
        ((1295344860, 1295344861, 1295344862000), "row 3: .*, not in seconds as others are, but in milliseconds"),
        ((1295344860000, 1295344861), "row 2: .*, not in milliseconds as others are, but in seconds"),
        (("1700-01-01",), "row 1: 'when' is '1700-01-01', not a time between 1990"),
        (("9999-12-31",), "row 1: 'when' is '9999-12-31', not a time between 1990"),
        (("2019-02-28", "2019-02-30"), "row 2: 'when' is '2019-02-30', not a time such as"),
        (("13-02-2020", "02-13-2020", "14-02-2020"), "row 2: .* not written like the other rows: days first"),
        (("2019-10-01 00:00:00 UTC", "2019-10-01 01:00:00"), "row 2: .* not written like .* with a zone"),
        (("2019-10-01", "2019-10-02", "20191003"), "row 3: 'when' is '20191003', not written like .* years first"),
        (("1" + "0" * 400,), "row 1: 'when' is '10+', not a time between 1990"),
        (("01-02-2020 00:00",), r"row 1: .* time_format = \"%d-%m-%Y %H:%M\" or \"%m-%d-%Y %H:%M\""),
    ],
)
def test_what_is_no_time_or_another_kind_of_it_is_named_with_its_row(tmp_path, values, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path, *values)


@pytest.mark.parametrize("form", ["seconds", "%Y-%m-%d"])
def test_batches_have_to_agree(tmp_path, form):
    values = (1295344860, 1295344861, 1295344862000) if form == "seconds" else ("2019-10-01", "2/13/2019", "2/14/2019")
    with pytest.raises(DataError, match=r"row [23]: "):
        read(tmp_path, *values, rows=1)


def test_the_odd_row_of_a_later_batch_is_named(tmp_path):
    rows = ("13-01-2020", "14-01-2020", "15-01-2020", "03-04-2020", "02-13-2020", "05-06-2020")
    with pytest.raises(DataError, match="row 5: 'when' is '02-13-2020', not written like the other rows: days first"):
        read(tmp_path, *rows, rows=3)


def test_days_that_are_the_same_either_way_decide_nothing(tmp_path):
    with pytest.raises(
        DataError, match="row 5: 'when' is '03-13-2020', not written like the rows before it: days first"
    ):
        read(tmp_path, "01-01-2020", "02-02-2020", "13-02-2020", "14-02-2020", "03-13-2020", rows=2)
    assert read(tmp_path, "01-01-2020", "01-13-2020", rows=1)[1] == "2020-01-13T00:00:00"


def test_one_row_of_evidence_says_which_number_is_the_month(tmp_path):
    assert read(tmp_path, "01-02-2020", "13-02-2020")[0] == "2020-02-01T00:00:00"
    assert read(tmp_path, "01-02-2020", "02-13-2020")[0] == "2020-01-02T00:00:00"


@pytest.mark.parametrize(
    ("telling", "first"), [("13-02-2020 10:00", "2020-02-01T10:00:00"), ("02-13-2020 10:00", "2020-01-02T10:00:00")]
)
@pytest.mark.parametrize("place", [1, 4, 9])
def test_the_row_of_evidence_may_stand_anywhere(tmp_path, telling, first, place):
    rows = ["01-02-2020 10:00", None, "03-03-2020 10:00", *["05-06-2020 10:00"] * 7]
    rows[place] = telling
    found = read(tmp_path, *rows, rows=2)
    assert found[0] == first
    assert len(found) == 10


def test_where_no_row_is_evidence_the_first_that_matters_is_named(tmp_path):
    with pytest.raises(DataError, match=r"row 5: 'when' is '05/06/2020', .* time_format = \"%d/%m/%Y\""):
        read(tmp_path, *["03/03/2020"] * 4, *["05/06/2020"] * 6, rows=2)


def test_evidence_against_what_was_told_by_a_later_row_is_named_too(tmp_path):
    with pytest.raises(DataError, match="row 6: 'when' is '02-13-2020', not written like"):
        read(tmp_path, "01-02-2020", "01-02-2020", "01-02-2020", "13-02-2020", "01-02-2020", "02-13-2020", rows=2)


@pytest.mark.parametrize("kind", ["events", "pairs"])
def test_a_log_of_many_rows_is_told_by_its_last(tmp_path, kind):
    rows = 70_000  # more than are read at a time
    times = ["01/02/2020 10:00"] * rows
    times[-1] = "25/02/2020 10:00"
    if kind == "events":
        log = {"who": [f"u{n % 9}" for n in range(rows)], "what": ["tea"] * rows, "when": times, "many": [1] * rows}
        job = events_job(write_table(tmp_path / "log.csv", log), columns={"text": []})
        assert read_interactions(job).card.first_day == "2020-02-01"
        return
    table = {"query": ["a"] * rows, "title": [f"t{n % 99}" for n in range(rows)], "grade": [n % 2 for n in range(rows)]}
    path = write_table(tmp_path / "pairs.csv", table | {"when": times})
    columns = {"part": None, "time": "when"}
    found = read_pairs(
        pairs_job(
            path,
            columns=columns,
            split={"by": "time", "test": 0.0, "valid": 0.0, "test_from": date(2020, 2, 20)},
            leak_check="warn",
        )
    )
    assert found.card.parts["test"] == 1


@pytest.mark.parametrize(
    ("form", "value", "is_"),
    [
        ("excel", 42850.5, "2017-04-25T12:00:00"),
        ("steps", 3, "1970-01-04T00:00:00"),
        ("milliseconds", 1295344860000, "2011-01-18T10:01:00"),
        ("%d-%m-%Y %H:%M", "01-02-2020 00:00", "2020-02-01T00:00:00"),
        ("%m/%d/%y", "02/28/14", "2014-02-28T00:00:00"),
        ("%Y%m%d", 20170425, "2017-04-25T00:00:00"),
        ("%Y-%m-%d %H:%M:%S %z", "2019-10-01 08:00:00 +0800", "2019-10-01T00:00:00"),
    ],
)
def test_a_time_format_says_how_times_are_written(tmp_path, form, value, is_):
    assert read(tmp_path, value, form=form) == [is_]


@pytest.mark.parametrize(
    ("form", "value", "said"),
    [
        ("%d/%m/%Y", "04/25/2017", 'row 1: .* not a time written as time_format = "%d/%m/%Y" says'),
        ("seconds", "abc", 'row 1: .* not a number, as time_format = "seconds" says'),
        ("milliseconds", 1295344860, "row 1: .* not a time between 1990"),
        ("steps", -1, "row 1: .* not a number of steps"),
    ],
)
def test_what_does_not_fit_a_time_format_is_named(tmp_path, form, value, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path, value, form=form)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1295344860_000_000_001], pa.timestamp("ns")),
        pa.array([1295344860], pa.timestamp("s", tz="Asia/Shanghai")),
        pa.array([1295344860], pa.int32()),
    ],
)
def test_times_of_parquet_are_what_they_say(tmp_path, column):
    pq.write_table(pa.table({"when": column}), tmp_path / "t.parquet")
    (batch,) = read_batches(tmp_path / "t.parquet", ["when"])
    assert TimeReader().read(batch, "when").tolist() == [1295344860_000_000]


def test_dates_of_parquet_that_no_shop_has_seen_are_refused(tmp_path):
    pq.write_table(pa.table({"when": pa.array([0], pa.timestamp("s"))}), tmp_path / "t.parquet")
    (batch,) = read_batches(tmp_path / "t.parquet", ["when"])
    with pytest.raises(DataError, match=r"row 1: 'when' is datetime.*, not a time between 1990"):
        TimeReader().read(batch, "when")
