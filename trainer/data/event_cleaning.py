"""Cleans a log of events rule by rule, out of memory: what is held grows with the catalogue, not with the log."""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trainer.data.batches import Batch
from trainer.data.cleaning_rules import (
    BAD_PRICE,
    BAD_VALUE,
    CANCELLATION,
    DUPLICATE,
    LOW_RATING,
    NO_DATE,
    NO_ITEM,
    NO_TEXT,
    NO_USER,
    NO_VALUE,
    NOT_AN_ITEM,
    NOT_KEPT,
    OUTLIER,
    REVERSED,
    ROBOT,
    SAME_HOUR,
    UNKNOWN_USER,
    Tally,
)
from trainer.data.columns import ids_of, texts_of
from trainer.data.dates import HOUR, NO_TIME
from trainer.data.event_columns import Readers, columns_of
from trainer.data.item_texts import ItemTexts
from trainer.data.name_numbers import number_names
from trainer.data.number_columns import NumberReader
from trainer.data.outliers import LogHistogram
from trainer.data.tables import estimate_rows, read_batches
from trainer.data.user_events import (
    SPILLED,
    UserEvents,
    events_a_day,
    first_of_users,
    read_events,
    spill,
    write_events,
)
from trainer.jobs.data import CleaningJob, InteractionsData

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MANY = 20  # behaviours that are remembered
ROWS_A_PART = 1 << 18  # of a user's share of the log; what one part takes is what the cleaning takes


CLEAN = pa.schema(
    [("user_id", pa.string()), ("item_id", pa.string()), ("time", pa.timestamp("us")), ("value", pa.float64())]
)


@dataclass(frozen=True, slots=True)
class Fences:
    """The largest value and price that still count."""

    value: float
    price: float


def clean_events(job: InteractionsData, texts: ItemTexts, users: frozenset[str] | None, target: Path) -> Tally:
    """Write the clean events of a log as one parquet file and say what was left out; raise DataError."""
    tally = Tally(coarse=job.columns.event is None)
    values, prices = LogHistogram(), LogHistogram()
    parts = 1 + estimate_rows(job.path) // ROWS_A_PART
    with TemporaryDirectory(prefix="trainer-") as scratch:
        files = [Path(scratch, f"{part}.arrow") for part in range(parts)]
        with ExitStack() as stack:
            writers = [stack.enter_context(pa.ipc.new_stream(str(file), SPILLED)) for file in files]
            readers = Readers.of(job)
            for batch in read_batches(job, columns_of(job), notes=tally.notes):
                rows = _judge_rows(batch, job, texts, users, readers, tally)
                sold = ~rows["cancels"].to_numpy(zero_copy_only=False)
                values.add(rows["value"].to_numpy()[sold])
                prices.add(rows["price"].to_numpy()[sold])
                spill(rows, writers)
        limit = job.cleaning.outliers
        # Only now: a fence needs every row, and the rows were on the disk before the last one was read.
        fences = Fences(np.inf, np.inf) if limit is None else Fences(values.fence(limit), prices.fence(limit))
        # Only now, too: an item's text or group may stand in the last row of the log.
        pace, known = LogHistogram(), texts.known()
        banned = texts.matching(job.cleaning.not_groups, job.cleaning.not_texts)
        for file in files:
            part = _judge_users(read_events(file), job.cleaning, banned, known, fences, tally)
            if job.cleaning.robots is not None:
                pace.add(events_a_day(part)[first_of_users(part)] if len(part) else np.empty(0))
            write_events(part, file)
        limit = np.inf if job.cleaning.robots is None else pace.fence(job.cleaning.robots)
        with pq.ParquetWriter(target, CLEAN) as writer:
            for file in files:
                _write_clean(read_events(file), limit, texts, tally, writer)
    return tally


def _judge_rows(
    batch: Batch,
    job: InteractionsData,
    texts: ItemTexts,
    users: frozenset[str] | None,
    readers: Readers,
    tally: Tally,
) -> pa.Table:
    """Apply the rules that need one row alone, and note the texts of the items that are left."""
    columns, rules = job.columns, job.cleaning
    user, item = ids_of(batch, columns.user), ids_of(batch, columns.item)
    time = readers.time.read(batch, columns.time)
    value = np.ones(batch.rows) if readers.value is None else readers.value.read(batch)
    price = np.ones(batch.rows) if readers.price is None else readers.price.read(batch)
    event = pa.nulls(batch.rows, pa.string()) if columns.event is None else ids_of(batch, columns.event)
    cancels = _cancels(event, value, rules)
    kept = np.ones(batch.rows, dtype=np.bool_)
    tally.rows_in += batch.rows
    tally.take(kept, NO_USER, _nulls(user))
    if users is not None:
        tally.take(kept, UNKNOWN_USER, ~_mask(pc.is_in(user, pa.array(sorted(users), pa.string()))))
    tally.take(kept, NO_ITEM, _nulls(item))
    tally.take(kept, NO_DATE, time == NO_TIME)
    _judge_behaviour(batch, job, readers.rating, kept, tally)
    if rules.not_items:
        tally.take(kept, NOT_AN_ITEM, _matches(item, rules.not_items))
    if columns.value is not None:
        tally.take(kept, NO_VALUE, np.isnan(value))
        tally.take(kept, BAD_VALUE, (value <= 0) & ~cancels)
    if columns.price is not None:
        tally.take(kept, BAD_PRICE, ~(price > 0))
    tally.coarse = tally.coarse and not np.any(time[kept] % HOUR)
    chosen = pa.array(kept)
    item = item.filter(chosen)
    wordings = [texts_of(batch, name).filter(chosen) for name in columns.text]
    codes = texts.note(item, wordings)
    return pa.table(
        [
            user.filter(chosen),
            pa.array(codes, pa.int32()),
            pa.array(time[kept]),
            pa.array(value[kept]),
            pa.array(price[kept]),
            event.filter(chosen),
            pa.array(cancels[kept]),
        ],
        schema=SPILLED,
    )


def _judge_behaviour(
    batch: Batch, job: InteractionsData, rating: NumberReader | None, kept: Mask, tally: Tally
) -> None:
    """Take out what was done or liked otherwise than the job wants."""
    columns, rules = job.columns, job.cleaning
    if columns.behaviour is not None:
        done = ids_of(batch, columns.behaviour)
        other = ~_mask(pc.is_in(done, pa.array(rules.behaviours, pa.string())))
        if len(tally.behaviours) < MANY:
            tally.behaviours.update(name for name in done.filter(pa.array(other)).to_pylist() if name is not None)
        tally.take(kept, NOT_KEPT, other)
    if rating is not None and rules.lowest_rating is not None:
        tally.take(kept, LOW_RATING, ~(rating.read(batch) >= rules.lowest_rating))


def _cancels(event: Any, value: Floats, rules: CleaningJob) -> Mask:
    if rules.cancelled is None:
        return np.asarray(value < 0)
    return _mask(pc.match_substring_regex(event, rules.cancelled))


def _nulls(column: Any) -> Mask:
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)


def _mask(column: Any) -> Mask:
    return np.asarray(pc.fill_null(column, fill_value=False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _matches(item: Any, patterns: Sequence[str]) -> Mask:
    """Say which ids a pattern matches whole, each distinct id looked at once."""
    whole = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
    coded = item.dictionary_encode()
    hit = np.array([whole.fullmatch(name) is not None for name in coded.dictionary.to_pylist()] + [False])
    return np.asarray(hit[pc.fill_null(coded.indices, len(hit) - 1).to_numpy(zero_copy_only=False)])


def _judge_users(
    part: UserEvents, rules: CleaningJob, banned: Mask, known: Mask, fences: Fences, tally: Tally
) -> UserEvents:
    """Apply the rules that need the item's texts or the other events of a user."""
    kept = np.ones(len(part), dtype=np.bool_)
    if rules.not_groups or rules.not_texts:
        tally.take(kept, NOT_AN_ITEM, banned[part.item])
    tally.take(kept, NO_TEXT, ~known[part.item])
    if rules.duplicates or (rules.duplicates is None and not tally.coarse):
        tally.take(kept, DUPLICATE, _repeats(part))
    elif rules.duplicates is None and (count := int(np.count_nonzero(_repeats(part) & kept))):
        tally.notes.mended[SAME_HOUR] += count
    # Found while cancellations are still there, taken out after them: each counts under its own reason.
    reversed_rows = _find_reversed(part, kept)
    tally.take(kept, CANCELLATION, part.cancels)
    tally.take(kept, REVERSED, reversed_rows)
    if rules.outliers is not None:
        tally.take(kept, OUTLIER, (part.value > fences.value) | (part.price > fences.price))
    return part.select(kept)


def _repeats(part: UserEvents) -> Mask:
    """Say which rows equal the row before them in every column; equal rows are neighbours."""
    same = np.zeros(len(part), dtype=np.bool_)
    same[1:] = True
    for column in (part.user, part.item, part.time, part.event, part.value, part.price):
        same[1:] &= column[1:] == column[:-1]
    return same


def _find_reversed(part: UserEvents, kept: Mask) -> Mask:
    """Match each cancellation with the latest event of the same user, item and amount before it, each once."""
    found = np.zeros(len(part), dtype=np.bool_)
    cancelling = np.flatnonzero(part.cancels & kept)
    if not len(cancelling):
        return found
    starts = np.flatnonzero(np.r_[True, (np.diff(part.user) != 0) | (np.diff(part.item) != 0)])
    ends = np.r_[starts[1:], len(part)]
    for group in np.unique(np.searchsorted(starts, cancelling, side="right") - 1).tolist():
        open_events: dict[float, list[int]] = {}
        for row in range(starts[group], ends[group]):
            if not kept[row]:
                continue
            amount = abs(float(part.value[row]))
            if not part.cancels[row]:
                open_events.setdefault(amount, []).append(row)
            elif open_events.get(amount):
                found[open_events[amount].pop()] = True
    return found


def _write_clean(part: UserEvents, limit: float, texts: ItemTexts, tally: Tally, writer: pq.ParquetWriter) -> None:
    kept = np.ones(len(part), dtype=np.bool_)
    if np.isfinite(limit):
        tally.take(kept, ROBOT, events_a_day(part) > limit)
    part = part.select(kept)
    if len(part):
        _count_kept(part, texts.ids, tally)
        ids = pa.array(texts.ids, pa.string())
        user, item = part.user_ids.take(pa.array(part.user)), ids.take(pa.array(part.item))
        writer.write_table(pa.table([user, item, pa.array(part.time, CLEAN.field(2).type), part.value], schema=CLEAN))


def _count_kept(part: UserEvents, ids: Sequence[str], tally: Tally) -> None:
    tally.rows_kept += len(part)
    tally.first, tally.last = min(tally.first, int(part.time.min())), max(tally.last, int(part.time.max()))
    tally.items.update(np.unique(part.item).tolist())
    names = np.array([f"{name}\x1e" for name in ids], dtype=object)[part.item]
    rank = number_names(ids)[1][part.item]  # items by name, not by when they were met
    order = np.lexsort((part.value, part.time, rank, part.user))
    numbers = np.stack([part.time[order].view(np.float64), part.value[order]], axis=1)
    starts = first_of_users(part)
    for begin, end in zip(starts, np.r_[starts[1:], len(part)], strict=True):
        digest = sha256(f"{part.user_ids[int(part.user[begin])].as_py()}\x1d".encode())
        digest.update("".join(names[order[begin:end]]).encode())
        digest.update(numbers[begin:end].tobytes())
        # A sum of digests: in whatever order users come, and over however many parts, it is the same.
        tally.digest = (tally.digest + int.from_bytes(digest.digest())) % (1 << 256)
    tally.users += len(starts)
