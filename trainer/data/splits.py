"""Says which rows are learned from, tuned on and tested on: by time, by unseen query or user, or by a given column."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from trainer.errors import DataError
from trainer.jobs.data import SplitJob

Ints = npt.NDArray[np.int64]
Parts = npt.NDArray[np.int8]


class Part(Enum):
    """What a row is for."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


PART_NUMBER = {part: np.int8(number) for number, part in enumerate(Part)}
SPOKEN = {"training": Part.TRAIN, "validation": Part.VALID, "val": Part.VALID, "dev": Part.VALID}
NAMED = {part.value: part for part in Part} | SPOKEN
SECONDS_TO_TIME = 1_000_000


def split_by_name(names: Sequence[str], job: SplitJob) -> Parts:
    """Put each row where its name falls: all rows of one name together, and the same with any other rows around.

    A name's place is a hash of the seed and the name, so a data set that grows moves nobody to another side.
    """
    distinct = {name: _place(name, job) for name in set(names)}
    return np.array([distinct[name] for name in names], dtype=np.int8)


def _place(name: str, job: SplitJob) -> np.int8:
    # Not Python's own hash: it is another in every process. The seed is in it, so that a second split is independent.
    digest = blake2b(f"{job.seed}\x1f{name}".encode(), digest_size=8).digest()
    share = int.from_bytes(digest) / 2**64
    if share < job.test:
        return PART_NUMBER[Part.TEST]
    return PART_NUMBER[Part.VALID if share < job.test + job.valid else Part.TRAIN]


def split_by_time(times: Ints, job: SplitJob) -> Parts:
    """Give the latest rows to the test and those before them to validation; rows of one time stay together.

    A boundary is a time that occurs, or a given day; a row at the boundary belongs to the later side.
    """
    if not len(times):
        return np.empty(0, dtype=np.int8)
    # Boundaries are times, not places in the table: rows of one moment would else stand on both sides and tell.
    ordered = np.sort(times)
    test_from = find_boundary(ordered, job.test, job.test_from)
    valid_from = min(find_boundary(ordered, job.test + job.valid, job.valid_from), test_from)
    return np.asarray((times >= valid_from).astype(np.int8) + (times >= test_from).astype(np.int8))


def find_boundary(ordered: Ints, share: float, day: date | None) -> int:
    """Give the time from which the latest *share* of the rows lies, or where *day* begins."""
    if day is not None:
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * SECONDS_TO_TIME
    place = round(len(ordered) * (1 - share))
    return int(ordered[place]) if place < len(ordered) else int(ordered[-1]) + 1


def split_by_column(where: Callable[[int], str], names: Sequence[str | None]) -> Parts:
    """Read the parts from a column; raise DataError for a name that is none, *where* naming its row."""
    parts = np.empty(len(names), dtype=np.int8)
    for row, name in enumerate(names):
        part = NAMED.get((name or "").lower())
        if part is None:
            raise DataError(f"{where(row)} has {name!r}; train, valid or test is right")
        parts[row] = PART_NUMBER[part]
    return parts


def count_parts(parts: Parts) -> dict[str, int]:
    """Give how many rows each part has."""
    return {part.value: int(np.count_nonzero(parts == number)) for part, number in PART_NUMBER.items()}


def check_parts(where: str, parts: Parts, needed: Sequence[Part]) -> None:
    """Raise DataError for a part that is needed and empty."""
    counts = count_parts(parts)
    for part in needed:
        if not counts[part.value]:
            shown = ", ".join(f"{count} {name}" for name, count in counts.items())
            raise DataError(f"{where}: the {part.value} split is empty: of {len(parts)} rows there are {shown}")


def describe_split(job: SplitJob) -> str:
    """Say in words how the parts were told apart."""
    match job.by:
        case "column":
            return "by a column of the source"
        case "time":
            since = f"from {job.test_from}" if job.test_from else f"the latest {job.test:.0%} of the rows"
            return f"by time, ties together: the test is {since}"
        case by:
            whose = {"query": "queries", "user": "users"}[by]
            return (
                f"by unseen {by}, seed {job.seed}: {job.test:.0%} of the {whose} for the test, {job.valid:.0%} to tune"
            )
