"""Looks for next-item tests that answer themselves: targets in histories, an order that one step tells."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainer.data.leaks import INSIDE, MARKOV, USER_ITEM
from trainer.data.snapshot import LEARN, Purchases, Snapshot
from trainer.data.trips import Trips, split_trips

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

TOP = 10
TRIPS = 4_000  # looked at: enough to tell, whatever the size of the log
ITEMS = 10  # of a trip
FEWEST = 20  # targets; of fewer nothing can be said
NEARLY_ALL = 0.99
FAR_ABOVE, CERTAIN = 5.0, 0.5  # times popularity; hit rate of a chain that no shop's customers follow
MORE_THAN_LEARNT = 0.25


def find_next_leaks(snapshot: Snapshot, people: Ints | None = None) -> dict[str, int]:
    """Count test targets that a history, the person's other rows, or the item before them alone give away."""
    purchases = snapshot.purchases
    people = np.arange(len(purchases.user_ids)) if people is None else people
    learn, test = split_trips(purchases, snapshot.use, min_history_days=0)
    pairs = _first_times(purchases)
    inside = _bought_before(pairs, test)
    found = {INSIDE: _count_inside(inside, _bought_before(pairs, learn.take(_some(len(learn)))))}
    found[USER_ITEM] = _count_told(snapshot, test, people, inside)
    found[MARKOV] = _count_followed(snapshot, learn, test)
    return found


@dataclass(frozen=True, slots=True)
class _FirstTimes:
    """When each user first took an item, by pairs of both in order."""

    pairs: Ints  # user * items + item
    times: Ints
    items: int


def _first_times(purchases: Purchases) -> _FirstTimes:
    items = int(purchases.item.max()) + 1
    # Of one user the purchases come by time: the first row of a pair is its first time.
    pairs, rows = np.unique(purchases.user.astype(np.int64) * items + purchases.item, return_index=True)
    return _FirstTimes(pairs, purchases.time[rows].astype(np.int64), items)


def _count_inside(tested: npt.NDArray[np.bool_], learnt: npt.NDArray[np.bool_]) -> int:
    """Count targets bought before, if nearly all are, or many more than in what is learned from.

    People do buy again: that share is theirs in training as in the test. A history into which the target was written
    holds it always.
    """
    if len(tested) < FEWEST:
        return 0
    # Too few learnt from to tell what is usual: then nearly all alone counts as odd.
    usual = float(learnt.mean()) if len(learnt) >= FEWEST else 1.0
    share = float(tested.mean())
    return int(tested.sum()) if share >= NEARLY_ALL or share > usual + MORE_THAN_LEARNT else 0


def _bought_before(first: _FirstTimes, trips: Trips) -> npt.NDArray[np.bool_]:
    """Say of each item of the trips whether its user has it at an earlier time."""
    owner = np.repeat(np.arange(len(trips)), np.diff(trips.starts))
    wanted = np.searchsorted(first.pairs, trips.user[owner] * first.items + trips.items)
    return np.asarray(first.times[wanted] < trips.time[owner])


def _count_told(snapshot: Snapshot, test: Trips, people: Ints, inside: npt.NDArray[np.bool_]) -> int:
    """Count test targets that the same person has in what is learned from, but not in the history that is asked."""
    purchases = snapshot.purchases
    items = int(purchases.item.max()) + 1
    learn = snapshot.use == LEARN
    learnt = np.sort(people[purchases.user[learn]] * items + purchases.item[learn])
    asked = people[np.repeat(test.user, np.diff(test.starts))] * items + test.items
    told = np.searchsorted(learnt, asked, side="left") < np.searchsorted(learnt, asked, side="right")
    return int(np.count_nonzero(told & ~inside))


def _count_followed(snapshot: Snapshot, learn: Trips, test: Trips) -> int:
    """Count the targets a first-order Markov chain puts among its ten first, if that is far above popularity."""
    purchases, items = snapshot.purchases, len(snapshot.catalogue)
    popular = np.bincount(purchases.item[snapshot.use == LEARN], minlength=items)
    # The dullest model that reads order: what it alone can tell was told by how rows were made, not by taste.
    steps = _transitions(purchases, learn.take(_some(len(learn))), items)
    chosen = test.take(_some(len(test)))
    before = _previous(purchases, chosen)
    hits, plain, total = 0, 0, 0
    favourites = set(np.argsort(-popular, kind="stable")[:TOP].tolist())
    for trip in range(len(chosen)):
        row = np.asarray(steps[before[trip]].sum(axis=0)).ravel()
        best = set(np.argsort(-row, kind="stable")[:TOP].tolist()) if len(before[trip]) else favourites
        wanted = chosen.bought(trip).tolist()
        # Only what the chain has seen follow counts: of unseen steps all items are equally likely.
        hits += sum(item in best and row[item] > 0 for item in wanted)
        plain += sum(item in favourites for item in wanted)
        total += len(wanted)
    # Both: a chain that beats a dull catalogue is no leak, nor one that hits what everybody buys.
    far = hits > CERTAIN * total and hits > FAR_ABOVE * plain
    return hits if total >= FEWEST and far else 0


def _transitions(purchases: Purchases, trips: Trips, items: int) -> sparse.csr_matrix:
    before = _previous(purchases, trips)
    pairs = [
        (first, second)
        for trip in range(len(trips))
        for first in before[trip].tolist()
        for second in trips.bought(trip)[:ITEMS].tolist()
    ]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(items, items))


def _previous(purchases: Purchases, trips: Trips) -> list[Ints]:
    """Give the items of the trip just before each."""
    key = (purchases.user.astype(np.int64) << 33) + purchases.time
    begins = np.searchsorted(key, (trips.user << 33) + trips.time)
    previous = []
    for begin, user in zip(begins.tolist(), trips.user.tolist(), strict=True):
        if begin and purchases.user[begin - 1] == user:
            start = int(np.searchsorted(key, key[begin - 1]))
            previous.append(purchases.item[start:begin][:ITEMS].astype(np.int64))
        else:
            previous.append(np.empty(0, dtype=np.int64))
    return previous


def _some(trips: int) -> Ints:
    """Choose evenly among trips, which are in the order of users."""
    return np.unique(np.linspace(0, trips - 1, min(trips, TRIPS)).astype(np.int64)) if trips else np.empty(0, np.int64)
