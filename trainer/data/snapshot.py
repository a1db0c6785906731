"""A snapshot: a folder with a catalogue and what was bought when, ready for training."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from trainer.data.card import DataCard, read_card, write_card
from trainer.data.partial_folders import check_alone, check_makeable, filled_folder
from trainer.errors import DataError

ITEMS = "items.parquet"
PURCHASES = "purchases.parquet"
PRODUCTS = "products.parquet"
CARD = "data_card.json"

Ints = npt.NDArray[np.int32]
Times = npt.NDArray[np.int32] | npt.NDArray[np.int64]
Uses = npt.NDArray[np.int8]

# What an entry may be used for.
LEARN = np.int8(0)
ASK = np.int8(1)  # read as the history of a test trip, never learned from
TARGET = np.int8(2)  # of a test trip
UNUSED = np.int8(3)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Items in the order of their ids; the three tuples are of one length."""

    item_ids: tuple[str, ...]
    texts: tuple[str, ...]
    groups: tuple[str, ...]  # departments, categories: what results are shown by

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True, slots=True)
class Purchases:
    """One entry a user, time and item, sorted by user, then time, then item; arrays of one length."""

    user_ids: tuple[str, ...]
    user: Ints  # index into user_ids
    time: Times  # steps since 1970-01-01, local time; what a user did in one step is one trip
    item: Ints  # index into the catalogue
    step_days: float = 1.0  # how long a step is

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a next-item model learns from and is tested on."""

    catalogue: Catalogue
    purchases: Purchases
    use: Uses  # of each purchase
    card: DataCard
    people: tuple[str, ...] | None = None  # of each user, where several users are one person

    def person(self, user: int) -> str:
        """Give who a user is: two users of one person are not independent of one another."""
        return (self.purchases.user_ids if self.people is None else self.people)[user]


def first_trips_from(purchases: Purchases, split: int) -> Uses:
    """Learn from what came before *split* and test on each user's first trip from then on, if one came before."""
    after = purchases.time >= split
    first = np.full(len(purchases.user_ids), np.iinfo(np.int64).max)
    np.minimum.at(first, purchases.user[after], purchases.time[after])
    known = np.zeros(len(first), dtype=np.bool_)
    known[purchases.user[~after]] = True
    target = after & known[purchases.user] & (purchases.time == first[purchases.user])
    return np.where(after, np.where(target, TARGET, UNUSED), LEARN).astype(np.int8)


def _first_test_day(card: DataCard) -> str:
    if card.test_from is None:
        raise DataError(f"{card.source}: the data card names no first day of the test, so this is not a snapshot")
    return card.test_from


def day_number(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()


def content_hash(catalogue: Catalogue, purchases: Purchases, test_from: str) -> str:
    """Hash what is in the tables, not the bytes of the files: another writer of parquet gives the same."""
    digest = hashlib.sha256(test_from.encode())
    for column in (catalogue.item_ids, catalogue.texts, catalogue.groups, purchases.user_ids):
        digest.update("\x1e".join(column).encode() + b"\x1d")
    for numbers in (purchases.user, purchases.time, purchases.item):
        digest.update(np.ascontiguousarray(numbers, dtype="<i4").tobytes())
    return digest.hexdigest()


def check_unused(target: Path) -> None:
    """Raise DataError where something would be written over, or nothing can be: said before the work, not after it."""
    if os.path.lexists(target):  # a link that leads nowhere is no place for a folder either
        raise DataError(f"{target}: exists already; name a new folder or remove it first")
    check_makeable(target)


@contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """Give a folder beside *target* to fill and rename to it in the end; what was not renamed goes away."""
    check_unused(target)
    with filled_folder(target) as partial:
        check_alone(target, partial)
        yield partial


def write_snapshot(snapshot: Snapshot, products: pa.Table, folder: Path) -> None:
    """Write all or nothing; *products* records which product is which item, for later snapshots to reuse."""
    catalogue, purchases = snapshot.catalogue, snapshot.purchases
    items = pa.table(
        {
            "item_id": pa.array(catalogue.item_ids, pa.string()),
            "text": pa.array(catalogue.texts, pa.string()),
            "department": pa.array(catalogue.groups, pa.string()),
        }
    )
    bought = pa.table(
        {
            "user_id": pa.DictionaryArray.from_arrays(purchases.user, pa.array(purchases.user_ids, pa.string())),
            "day": pa.array(purchases.time, pa.date32()),
            "item_id": pa.DictionaryArray.from_arrays(purchases.item, pa.array(catalogue.item_ids, pa.string())),
        }
    )
    with partial_folder(folder) as partial:
        pq.write_table(items, partial / ITEMS)
        pq.write_table(bought, partial / PURCHASES)
        pq.write_table(products, partial / PRODUCTS)
        write_card(snapshot.card, partial / CARD)
        partial.rename(folder)


def read_snapshot(folder: Path) -> Snapshot:
    """Read a snapshot and hold it against its card; raise DataError."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such snapshot")
    card = read_card(folder / CARD)
    items = read_columns(folder / ITEMS, ("item_id", "text", "department"))
    bought = read_columns(folder / PURCHASES, ("user_id", "day", "item_id"), dictionaries=("user_id", "item_id"))
    columns = (tuple(items[name].cast(pa.string()).to_pylist()) for name in ("item_id", "text", "department"))
    catalogue = Catalogue(*columns)
    users, user = _decode(bought["user_id"])
    items_bought, item = _decode(bought["item_id"])
    place = {name: position for position, name in enumerate(catalogue.item_ids)}
    try:
        positions = np.array([place[name] for name in items_bought], dtype=np.int32)
    except KeyError as error:
        raise DataError(f"{folder / PURCHASES}: item {error} is not in {ITEMS}") from None
    day = bought["day"].cast(pa.date32()).cast(pa.int32()).to_numpy()
    purchases = _sorted(Purchases(tuple(users), user, day, positions[item] if len(item) else item))
    found = content_hash(catalogue, purchases, _first_test_day(card))
    if found != card.hash:
        raise DataError(f"{folder}: the tables have changed since their data card was written: hash {found[:12]}")
    split = day_number(date.fromisoformat(_first_test_day(card)))
    return Snapshot(catalogue, purchases, first_trips_from(purchases, split), card)


def read_columns(path: Path, names: tuple[str, ...], dictionaries: tuple[str, ...] = ()) -> pa.Table:
    """Read columns of a parquet file; raise DataError naming what is missing."""
    try:
        schema = pq.read_schema(path)
        missing = [name for name in names if name not in schema.names]
        if missing:
            raise DataError(f"{path}: column '{missing[0]}' is missing; it has {', '.join(schema.names)}")
        return pq.read_table(path, columns=list(names), read_dictionary=list(dictionaries))
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such table") from None
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a parquet table: {error}") from None


def _decode(column: Any) -> tuple[list[str], Ints]:
    encoded = column.unify_dictionaries().combine_chunks() if column.num_chunks else pa.array([], pa.string())
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    return [str(name) for name in encoded.dictionary.to_pylist()], encoded.indices.to_numpy().astype(np.int32)


def _sorted(purchases: Purchases) -> Purchases:
    """Sort users by id and rows by user, day and item, whatever order the file has."""
    order = sorted(range(len(purchases.user_ids)), key=purchases.user_ids.__getitem__)
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    user = place[purchases.user]
    keys = (user.astype(np.int64) << 42) | (purchases.time.astype(np.int64) << 22) | purchases.item
    if np.all(keys[:-1] <= keys[1:]):
        return Purchases(
            tuple(purchases.user_ids[position] for position in order), user, purchases.time, purchases.item
        )
    rows = np.argsort(keys, kind="stable")
    names = tuple(purchases.user_ids[position] for position in order)
    return Purchases(names, user[rows], purchases.time[rows], purchases.item[rows])
