"""Interactions: who did what when, cleaned from a log, with the texts of the items."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from trainer.data.card import DataCard, write_card
from trainer.data.cleaning_rules import NOT_KEPT, Tally, explain
from trainer.data.columns import ids_of
from trainer.data.event_cleaning import clean_events
from trainer.data.item_texts import ItemTexts, read_items
from trainer.data.snapshot import CARD, ITEMS, Catalogue, partial_folder
from trainer.data.tables import read_batches
from trainer.errors import DataError
from trainer.jobs.data import InteractionsData

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

EVENTS = "events.parquet"


@dataclass(frozen=True, slots=True)
class Interactions:
    """Events sorted by user, then time, then item; arrays of one length."""

    catalogue: Catalogue
    user_ids: tuple[str, ...]
    user: Ints
    item: Ints
    time: Ints  # microseconds since 1970-01-01, the clock of the source
    value: Floats
    card: DataCard

    def __len__(self) -> int:
        return len(self.user)


def write_interactions(job: InteractionsData, folder: Path) -> DataCard:
    """Clean a log into a folder of events, items and a data card, all or nothing; raise DataError.

    Memory grows with the catalogue, not with the log.
    """
    with partial_folder(folder) as partial:
        texts, tally = _clean(job, partial / EVENTS)
        catalogue, card = _describe(job, texts, tally)
        columns = [catalogue.item_ids, catalogue.texts, catalogue.groups]
        names = ("item_id", "text", "group")
        pq.write_table(pa.table([pa.array(column, pa.string()) for column in columns], names), partial / ITEMS)
        write_card(card, partial / CARD)
        partial.rename(folder)
    return card


def read_interactions(job: InteractionsData) -> Interactions:
    """Clean a log and read what is left; raise DataError."""
    with TemporaryDirectory(prefix="trainer-") as scratch:
        target = Path(scratch, EVENTS)
        texts, tally = _clean(job, target)
        catalogue, card = _describe(job, texts, tally)
        rows = pq.read_table(target, read_dictionary=["user_id", "item_id"])
    user_ids, user = _number(rows["user_id"])
    _, item = _number(rows["item_id"])
    time = rows["time"].cast(pa.int64()).to_numpy()
    order = np.lexsort((item, time, user))
    value = rows["value"].to_numpy()
    return Interactions(catalogue, user_ids, user[order], item[order], time[order], value[order], card)


def _clean(job: InteractionsData, target: Path) -> tuple[ItemTexts, Tally]:
    users = None if job.users is None else _read_users(job)
    texts = ItemTexts(wanted=bool(job.columns.text)) if job.items is None else read_items(job.items)
    tally = clean_events(job, texts, users, target)
    if not tally.rows_in:
        raise DataError(f"{job.path}: the table has no rows")
    if not tally.rows_kept:
        worst = max(tally.dropped, key=lambda reason: tally.dropped[reason])
        seen = f"; there is {', '.join(sorted(tally.behaviours))}" if worst == NOT_KEPT and tally.behaviours else ""
        raise DataError(
            f"{job.path}: cleaning leaves none of {tally.rows_in} rows; most are dropped as '{worst}'{seen}"
        )
    return texts, tally


def _read_users(job: InteractionsData) -> frozenset[str]:
    assert job.users is not None
    listed: set[str] = set()
    for batch in read_batches(job.users, [job.users.id]):
        listed.update(name for name in ids_of(batch, job.users.id).to_pylist() if name is not None)
    return frozenset(listed)


def _describe(job: InteractionsData, texts: ItemTexts, tally: Tally) -> tuple[Catalogue, DataCard]:
    """Give the items that are left, by id, and the card."""
    wordings, mended = texts.choose(f"{job.path if job.items is None else job.items.path}: the text of items")
    used = sorted(tally.items, key=texts.ids.__getitem__)
    ids = tuple(texts.ids[place] for place in used)
    catalogue = Catalogue(
        ids,
        tuple(wordings[place] or name for place, name in zip(used, ids, strict=True)),
        tuple(texts.groups[place] for place in used),
    )
    digest = sha256(tally.digest.to_bytes(32))
    for column in (catalogue.item_ids, catalogue.texts, catalogue.groups):
        digest.update("\x1e".join(column).encode() + b"\x1d")
    rules = explain(job.cleaning)
    card = DataCard(
        source=str(job.path),
        rows_in=tally.rows_in,
        rows_kept=tally.rows_kept,
        dropped=dict(tally.dropped),
        catalogue_size=len(catalogue),
        distinct_texts=len(set(catalogue.texts)),
        test_examples=0,
        hash=digest.hexdigest(),
        users=tally.users,
        first_day=iso_day(tally.first),
        last_day=iso_day(tally.last),
        mended=mended | tally.notes.mended | texts.notes.mended,
        read_as=(tally.notes.read_as | texts.notes.read_as) or None,
        explained={reason: rules[reason] for reason in tally.dropped},
    )
    return catalogue, card


def _number(column: Any) -> tuple[tuple[str, ...], Ints]:
    """Number names in the order of the alphabet, whatever order the file has."""
    coded = column.unify_dictionaries().combine_chunks()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.chunk(0)
    names = coded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    return tuple(names[position] for position in order), place[coded.indices.to_numpy()]


def iso_day(time: int) -> str:
    """Give the day of a time in microseconds since 1970."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).date().isoformat()
