"""Trips to learn from and to be tested on, and the history that was known before each."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainer.data.snapshot import LEARN, TARGET, Purchases, Uses

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trips:
    """What users bought at certain times; trip n bought items[starts[n] : starts[n + 1]]."""

    user: Ints
    time: Ints  # in the steps of the purchases
    starts: Ints
    items: Ints

    def __len__(self) -> int:
        return len(self.user)

    def bought(self, trip: int) -> Ints:
        """Give the items of one trip."""
        return self.items[self.starts[trip] : self.starts[trip + 1]]

    def take(self, chosen: Ints) -> "Trips":
        """Give some of the trips, in the order they are named."""
        begins = self.starts[chosen]
        counts = self.starts[chosen + 1] - begins
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.repeat(begins - starts[:-1], counts) + np.arange(starts[-1])
        return Trips(self.user[chosen], self.time[chosen], starts, self.items[rows])


@dataclass(frozen=True, slots=True)
class Histories:
    """The heaviest items bought before each of some trips, heaviest first; ties go by text, then by number."""

    starts: Ints
    items: Ints
    weights: Floats  # purchases, each halved every half-life

    def before(self, trip: int, top: int) -> tuple[Ints, Floats]:
        """Give the heaviest *top* items before a trip, and their weights."""
        start, end = self.starts[trip], self.starts[trip + 1]
        part = slice(start, min(end, start + top))
        return self.items[part], self.weights[part]

    def as_weights(self, items: int, top: int, power: float, text_of_item: Ints | None = None) -> sparse.csr_array:
        """Give (trips, items) weights of the *top* items of each, damped by *power*, summing to one a row.

        With *text_of_item* they are of texts, of which there are so many in place of items.
        """
        trips = len(self.starts) - 1
        owner = np.repeat(np.arange(trips), np.diff(self.starts))
        kept = np.arange(len(owner)) - self.starts[owner] < top
        # Damped: what is bought each week tells little about what else is wanted.
        owner, weight = owner[kept], self.weights[kept] ** power
        weight /= np.bincount(owner, weight, trips)[owner]
        column = self.items[kept] if text_of_item is None else text_of_item[self.items[kept]]
        return sparse.csr_array((weight, (owner, column)), shape=(trips, items))


def split_trips(purchases: Purchases, use: Uses, *, min_history_days: float) -> tuple[Trips, Trips]:
    """Give the trips to learn from and those to be tested on.

    A trip to learn from has at least *min_history_days* behind it, and always something.
    """
    trips, begins = _all_trips(purchases)
    first = np.full(len(purchases.user_ids), np.iinfo(np.int64).max)
    np.minimum.at(first, trips.user, trips.time)
    # A first trip has nothing behind it: nothing could be learnt from it but popularity.
    behind = trips.time - first[trips.user]
    old_enough = (behind > 0) & (behind * purchases.step_days >= min_history_days)
    learn, test = np.flatnonzero((use[begins] == LEARN) & old_enough), np.flatnonzero(use[begins] == TARGET)
    return trips.take(learn), trips.take(test)


def collect_histories(
    purchases: Purchases, trips: Trips, *, half_life: float, top: int, by_text: Ints | None = None
) -> Histories:
    """Weigh what each trip's user bought at strictly earlier times and keep the *top* items; half_life in days."""
    trip, row = rows_before(purchases, trips)
    # Strictly earlier: what is bought in the same step belongs to the answer.
    age = (trips.time[trip] - purchases.time[row]) * purchases.step_days
    span = int(purchases.item.max()) + 1 if len(purchases) else 1
    pairs, place = np.unique(trip * span + purchases.item[row], return_inverse=True)
    # Each purchase counts by its own age: a habit outweighs a whim, and an old habit a little less.
    weight = np.bincount(place, np.exp2(-age / half_life), len(pairs)).astype(np.float64)
    owner, item = np.divmod(pairs, span)
    # Rounded, and by text: neither the order of a sum nor how items are numbered decides who is among the heaviest.
    first = item if by_text is None else by_text[item]
    order = np.lexsort((item, first, -np.round(weight, 12), owner))
    owner, item, weight = owner[order], item[order], weight[order]
    firsts = np.searchsorted(owner, np.arange(len(trips)))
    kept = np.arange(len(owner)) - firsts[owner] < top
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner[kept], minlength=len(trips)))])
    return Histories(starts.astype(np.int64), item[kept], weight[kept])


def rows_before(purchases: Purchases, trips: Trips) -> tuple[Ints, Ints]:
    """Give every purchase of each trip's user at strictly earlier times, oldest first: which trip, which row."""
    key = _time_keys(purchases.user, purchases.time)
    begins = np.searchsorted(key, _time_keys(trips.user, np.zeros_like(trips.time)))
    ends = np.searchsorted(key, _time_keys(trips.user, trips.time))  # the first purchase of that time: left out
    counts = ends - begins
    trip = np.repeat(np.arange(len(trips)), counts)
    return trip, np.arange(len(trip)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(begins, counts)


def _all_trips(purchases: Purchases) -> tuple[Trips, Ints]:
    """Give every trip, and the place of its first purchase."""
    key = _time_keys(purchases.user, purchases.time)
    _, begins = np.unique(key, return_index=True)
    starts = np.concatenate([begins, [len(key)]]).astype(np.int64)
    trips = Trips(
        purchases.user[begins].astype(np.int64),
        purchases.time[begins].astype(np.int64),
        starts,
        purchases.item.astype(np.int64),
    )
    return trips, begins


def _time_keys(user: npt.NDArray[np.signedinteger], time: npt.NDArray[np.signedinteger]) -> Ints:
    """Order by user, then time, in one number; seconds since 1970 stay below 2^33 until the year 2242."""
    return (user.astype(np.int64) << 33) + time
