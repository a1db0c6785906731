"""Trips to learn from and to be tested on, and the history that was known before each."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.data.snapshot import Purchases

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trips:
    """What users bought on certain days; trip n bought items[starts[n] : starts[n + 1]]."""

    user: Ints
    day: Ints
    starts: Ints
    items: Ints

    def __len__(self) -> int:
        return len(self.user)

    def bought(self, trip: int) -> Ints:
        return self.items[self.starts[trip] : self.starts[trip + 1]]

    def take(self, chosen: Ints) -> "Trips":
        begins = self.starts[chosen]
        counts = self.starts[chosen + 1] - begins
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.repeat(begins - starts[:-1], counts) + np.arange(starts[-1])
        return Trips(self.user[chosen], self.day[chosen], starts, self.items[rows])


@dataclass(frozen=True, slots=True)
class Histories:
    """The heaviest items bought before each of some trips, heaviest first; ties go to the smaller item number."""

    starts: Ints
    items: Ints
    weights: Floats  # purchases, each halved every half-life

    def before(self, trip: int, top: int) -> tuple[Ints, Floats]:
        start, end = self.starts[trip], self.starts[trip + 1]
        part = slice(start, min(end, start + top))
        return self.items[part], self.weights[part]


def split_trips(purchases: Purchases, split: int, *, min_history_days: int) -> tuple[Trips, Trips]:
    """Give the trips to learn from, all before *split*, and each user's first trip from then on.

    A trip to learn from has at least *min_history_days* behind it, a test trip at least one trip before the split.
    """
    trips = _all_trips(purchases)
    first_day = np.full(len(purchases.user_ids), np.iinfo(np.int64).max)
    np.minimum.at(first_day, trips.user, trips.day)
    learn = np.flatnonzero((trips.day < split) & (trips.day >= first_day[trips.user] + min_history_days))
    later = np.flatnonzero((trips.day >= split) & (first_day[trips.user] < split))
    _, firsts = np.unique(trips.user[later], return_index=True)  # trips are in the order of days
    return trips.take(learn), trips.take(later[firsts])


def collect_histories(purchases: Purchases, trips: Trips, *, half_life: float, top: int) -> Histories:
    """Weigh what each trip's user bought on strictly earlier days and keep the *top* items; half_life in days."""
    key = _day_keys(purchases.user, purchases.day)
    begins = np.searchsorted(key, _day_keys(trips.user, np.zeros_like(trips.day)))
    ends = np.searchsorted(key, _day_keys(trips.user, trips.day))  # the first purchase of that day: left out
    counts = ends - begins
    trip = np.repeat(np.arange(len(trips)), counts)
    row = np.arange(len(trip)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(begins, counts)
    age = trips.day[trip] - purchases.day[row]
    span = int(purchases.item.max()) + 1 if len(purchases) else 1
    pairs, place = np.unique(trip * span + purchases.item[row], return_inverse=True)
    weight = np.bincount(place, np.exp2(-age / half_life), len(pairs)).astype(np.float64)
    owner, item = np.divmod(pairs, span)
    order = np.lexsort((item, -weight, owner))
    owner, item, weight = owner[order], item[order], weight[order]
    firsts = np.searchsorted(owner, np.arange(len(trips)))
    kept = np.arange(len(owner)) - firsts[owner] < top
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner[kept], minlength=len(trips)))])
    return Histories(starts.astype(np.int64), item[kept], weight[kept])


def _all_trips(purchases: Purchases) -> Trips:
    key = _day_keys(purchases.user, purchases.day)
    _, begins = np.unique(key, return_index=True)
    starts = np.concatenate([begins, [len(key)]]).astype(np.int64)
    return Trips(
        purchases.user[begins].astype(np.int64),
        purchases.day[begins].astype(np.int64),
        starts,
        purchases.item.astype(np.int64),
    )


def _day_keys(user: npt.NDArray[np.signedinteger], day: npt.NDArray[np.signedinteger]) -> Ints:
    """Order by user, then day, in one number; days since 1970 stay below 2^20 until the year 4840."""
    return (user.astype(np.int64) << 20) + day
