"""What users chose, read from whatever a job says: for a fit, or to ask what a user may want next."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, assert_never

import numpy as np
import numpy.typing as npt

from trainer.data.baskets import gather_baskets, take_baskets
from trainer.data.columns import without_point
from trainer.data.histories import gather_histories, read_histories
from trainer.data.interactions import read_interactions
from trainer.data.snapshot import Snapshot, read_snapshot
from trainer.errors import DataError
from trainer.jobs.data import HistoriesData, InteractionsData
from trainer.jobs.schema import DataJob

Ints = npt.NDArray[np.int64]
Data = TypeVar("Data", InteractionsData, HistoriesData)
NextItemData = DataJob | InteractionsData | HistoriesData
ReadSnapshot = Callable[[NextItemData], Snapshot]


def source_of(data: NextItemData) -> Path:
    """Give where the data are, for whoever is told of them."""
    return data.snapshot if isinstance(data, DataJob) else data.path


def read_data(data: NextItemData) -> Snapshot:
    """Read what a fit learns from and is tested on, looked through for leaks; raise DataError."""
    match data:
        case DataJob():
            return read_snapshot(data.snapshot)
        case InteractionsData():
            return take_baskets(data, read_interactions(data))
        case HistoriesData():
            return read_histories(data)
        case _:
            assert_never(data)


def read_to_the_end(data: NextItemData) -> Snapshot:
    """Read all that is known of everybody, the rows of the test too; raise DataError.

    Nothing is measured on it: a split that leaves nobody to test, or a leak, is no reason to refuse it.
    """
    match data:
        case DataJob():
            return read_snapshot(data.snapshot)
        case InteractionsData():
            return gather_baskets(_with_test(data), read_interactions(data))
        case HistoriesData():
            return gather_histories(_with_test(data))
        case _:
            assert_never(data)


def _with_test(data: Data) -> Data:
    return data.model_copy(update={"holdout": data.holdout.model_copy(update={"score_on": "test"})})


def find_user(snapshot: Snapshot, source: Path, asked: str) -> int:
    """Give the number of a user, of several rows of one person the longest; raise DataError."""
    names = snapshot.purchases.user_ids if snapshot.people is None else snapshot.people
    name = next((name for name in (asked, without_point(asked.strip())) if name in names), None)
    if name is None:
        raise DataError(f"{source}: knows no user {asked!r}, or nothing is left of them after cleaning")
    chosen = np.bincount(snapshot.purchases.user, minlength=len(names))
    rows = [(int(chosen[number]), number) for number, other in enumerate(names) if other == name]
    items, number = max(rows)
    if not items:
        raise DataError(f"{source}: user {asked!r} has no history among the items of the catalogue")
    return number
