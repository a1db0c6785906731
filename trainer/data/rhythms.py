"""How a user has bought each text before a trip: how often, how lately, at what intervals, on which of its visits."""

# Shape suffixes, scoped to this file:
#   U = trips asked about, P = pairs of a trip and a text that its history holds, N = purchases before the trips

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainer.data.snapshot import Purchases
from trainer.data.trips import Trips, rows_before

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

VISITS = (2.0, 15.0, 50.0)  # half-lives of a purchase, in visits: what was on the last ones, and what on most
DAYS = (28.0, 90.0)  # and in days


@dataclass(frozen=True, slots=True)
class Rhythms:
    """One entry a trip and text of its history, sorted by both; and of each trip what its user is like."""

    starts: Ints  # entries of trip n are starts[n] : starts[n + 1]
    text_P: Ints
    times_P: Floats  # visits on which it was bought
    days_ago_P: Floats
    visits_ago_P: Floats  # 1: on the last visit
    log_gaps_P: Floats  # sum over its intervals of log(days + 1); there are times - 1 of them
    by_visits: tuple[Floats, ...]  # of each half-life in VISITS, the visits that had it, halved as they are older
    by_days: tuple[Floats, ...]  # of each half-life in DAYS, likewise
    visits_U: Floats
    bought_U: Floats  # texts over all visits
    days_ago_U: Floats  # since the last visit

    def __len__(self) -> int:
        return len(self.starts) - 1

    def rows(self, trips: Ints) -> tuple[Ints, Ints]:
        """Give the entries of some trips: which of *trips*, and which entry."""
        counts = self.starts[trips + 1] - self.starts[trips]
        row = np.repeat(np.arange(len(trips)), counts)
        first = np.repeat(self.starts[trips] - (np.cumsum(counts) - counts), counts)
        return row, np.arange(len(row)) + first

    def weights(self, trips: Ints, values_P: Floats, texts: int) -> sparse.csr_array:
        """Give (trips, texts) of one value an entry, a row summing to 1."""
        row, entry = self.rows(trips)
        value = values_P[entry]
        value = value / np.bincount(row, value, len(trips))[row]
        return sparse.csr_array((value, (row, self.text_P[entry])), shape=(len(trips), texts))


def collect_rhythms(purchases: Purchases, trips: Trips, text_of_item: Ints, texts: int) -> Rhythms:
    """Read each trip's history by text: items that have one text are one thing, whatever their ids."""
    trip_N, row_N = rows_before(purchases, trips)
    time_N = purchases.time[row_N].astype(np.int64)
    days_N = (trips.time[trip_N] - time_N) * purchases.step_days
    begins_N = np.diff(trip_N, prepend=-1).astype(np.bool_) | np.diff(time_N, prepend=-1).astype(np.bool_)
    visits_U = np.bincount(trip_N[begins_N], minlength=len(trips)).astype(np.float64)
    number_N = np.cumsum(begins_N)
    back_N = np.cumsum(visits_U)[trip_N] - number_N + 1  # 1 on the last visit before the trip
    key_N = trip_N * texts + text_of_item[purchases.item[row_N]]
    # Latest first; two items of one text on one visit were bought once.
    order = np.lexsort((back_N, key_N))
    key_N, back_N, days_N = key_N[order], back_N[order], days_N[order]
    once = np.diff(key_N, prepend=-1).astype(np.bool_) | np.diff(back_N, prepend=-1.0).astype(np.bool_)
    key_N, back_N, days_N = key_N[once], back_N[once], days_N[once]
    pairs, first, place_N, times = np.unique(key_N, return_index=True, return_inverse=True, return_counts=True)
    owner, text = np.divmod(pairs, texts)
    gap_N = np.where(np.diff(place_N, prepend=-1) == 0, np.log1p(np.diff(days_N, prepend=0.0).clip(0)), 0.0)
    days_ago_U = np.zeros(len(trips))
    days_ago_U[owner] = np.inf
    np.minimum.at(days_ago_U, owner, days_N[first])
    return Rhythms(
        starts=np.searchsorted(owner, np.arange(len(trips) + 1)),
        text_P=text,
        times_P=times.astype(np.float64),
        days_ago_P=days_N[first].astype(np.float64),
        visits_ago_P=back_N[first],
        log_gaps_P=_add_up(place_N, gap_N, len(pairs)),
        by_visits=tuple(_add_up(place_N, np.exp2((1 - back_N) / half), len(pairs)) for half in VISITS),
        by_days=tuple(_add_up(place_N, np.exp2(-days_N / half), len(pairs)) for half in DAYS),
        visits_U=visits_U,
        bought_U=_add_up(owner, times.astype(np.float64), len(trips)),
        days_ago_U=days_ago_U,
    )


def _add_up(place_N: Ints, value_N: Floats, length: int) -> Floats:
    return np.bincount(place_N, value_N, length).astype(np.float64)
