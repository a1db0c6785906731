"""Events on the disk, in parts that hold all of each of some users: what the cleaning takes in memory at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SPILLED = pa.schema(
    [
        ("user", pa.string()),
        ("item", pa.int32()),
        ("time", pa.int64()),
        ("value", pa.float64()),
        ("price", pa.float64()),
        ("event", pa.string()),
        ("cancels", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True)
class UserEvents:
    """The events of some users, all of each: arrays of one length, sorted by user, item and time."""

    user_ids: Any  # pyarrow strings
    user: Ints
    item: Ints
    time: Ints
    value: Floats
    price: Floats
    event: Ints
    cancels: Mask

    def __len__(self) -> int:
        return len(self.user)

    def select(self, kept: Mask) -> "UserEvents":
        """Give the events that are kept."""
        return UserEvents(
            self.user_ids,
            self.user[kept],
            self.item[kept],
            self.time[kept],
            self.value[kept],
            self.price[kept],
            self.event[kept],
            self.cancels[kept],
        )


def spill(rows: pa.Table, writers: Sequence[Any]) -> None:
    """Send every user's rows to one part, told by the id alone."""
    if len(writers) == 1:
        writers[0].write_table(rows)
        return
    coded = rows["user"].combine_chunks().dictionary_encode()
    # By a hash of the id: cancellations, robots and duplicates are told from all rows of a user, wherever they stood.
    home = np.array([crc32(name.encode()) % len(writers) for name in coded.dictionary.to_pylist()] or [0])
    place = home[coded.indices.to_numpy(zero_copy_only=False)]
    for number in np.unique(place).tolist():
        writers[number].write_table(rows.filter(pa.array(place == number)))


def read_events(file: Path) -> UserEvents:
    """Read a part and sort it by user, item and time."""
    with pa.ipc.open_stream(str(file)) as reader:
        rows = reader.read_all().combine_chunks()
    return _part(rows)


def _part(rows: pa.Table) -> UserEvents:
    user_ids, user = _codes(rows["user"])
    _, event = _codes(rows["event"])
    item, time, value, price = (rows[name].to_numpy() for name in ("item", "time", "value", "price"))
    cancels = rows["cancels"].to_numpy(zero_copy_only=False)
    order = np.lexsort((price, value, event, cancels, time, item, user))  # at one moment cancellations come last
    return UserEvents(
        user_ids,
        user[order],
        item[order].astype(np.int64),
        time[order],
        value[order],
        price[order],
        event[order],
        cancels[order],
    )


def _codes(column: Any) -> tuple[Any, Ints]:
    coded = column.dictionary_encode(null_encoding="encode")
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    return coded.dictionary, np.asarray(coded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def first_of_users(part: UserEvents) -> Ints:
    """Give the place of each user's first event."""
    return np.flatnonzero(np.r_[True, np.diff(part.user) != 0])


def events_a_day(part: UserEvents) -> Floats:
    """Give, for each row, how many events its user has on a day with any."""
    day = part.time // 86_400_000_000
    days = np.unique(np.stack([part.user, day]), axis=1)[0]
    size = len(part.user_ids)
    events, active = np.bincount(part.user, minlength=size), np.bincount(days, minlength=size)
    return np.asarray(events[part.user] / active[part.user])


def write_events(part: UserEvents, file: Path) -> None:
    """Write a part over what it was read from; events lose their ids, which no further rule asks for."""
    rows = pa.table(
        [
            part.user_ids.take(pa.array(part.user)),
            pa.array(part.item, pa.int32()),
            pa.array(part.time),
            pa.array(part.value),
            pa.array(part.price),
            pa.nulls(len(part), pa.string()),
            pa.array(part.cancels),
        ],
        schema=SPILLED,
    )
    with pa.ipc.new_stream(str(file), SPILLED) as writer:
        writer.write_table(rows)
