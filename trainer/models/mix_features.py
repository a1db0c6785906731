"""What the mix is told of a candidate: the user's own rhythm with it, what everybody does, what goes with it."""

# Shape suffixes, scoped to this file:
#   B = trips of a block, E = distinct texts, P = entries of the block's histories, N = candidates, F = features

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainer.data.rhythms import Rhythms
from trainer.models.crowd import Crowd

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]
Features = npt.NDArray[np.float32]

FLOOR = 1e-4  # of links: nobody bought the text together with the history's
FAINT = 0.01  # of decayed counts, in visits
PRIOR_GAPS = 2.0  # intervals of everybody that a user's own few are held against

OWN = (
    "bought",
    "times",
    "share",
    "last_visits",
    "many_visits",
    "most_visits",
    "days",
    "days_ago",
    "visits_ago",
    "gap",
    "due",
    "again",
)
CROWD = ("popular", "popular_lately", "popular_now", "buyers")
LINKED = ("linked_lately", "linked")
TEXT = ("text",)
USER = ("variety", "visits", "basket", "away")
HELD = 0  # the feature that says whether the history holds a candidate
FEATURES = OWN + CROWD + LINKED + TEXT + USER


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known before some trips: their rhythms, the crowd then, and the links and text scores of a block."""

    rhythms: Rhythms
    crowd: Crowd
    links_EE: sparse.csr_array


@dataclass(frozen=True, slots=True)
class Block:
    """Some of the trips, ready to describe any text as a candidate of theirs."""

    place_BE: npt.NDArray[np.int32]  # which entry of the block a text is, -1: the history does not hold it
    own_PF: Features
    crowd_EF: Features
    linked_BE: tuple[Features, Features]
    text_BE: Features
    user_BF: Features

    def describe(self, row_N: Ints, text_N: Ints) -> Features:
        """Give (N, F) features of candidates."""
        place_N = self.place_BE[row_N, text_N]
        own_NF = self.own_PF[place_N]
        own_NF[place_N < 0] = 0.0
        across = [one[row_N, text_N][:, None] for one in (*self.linked_BE, self.text_BE)]
        return np.concatenate([own_NF, self.crowd_EF[text_N], *across, self.user_BF[row_N]], axis=1)


def open_block(asked: Asked, trips: Ints, text_BE: Features) -> Block:
    """Make what describes candidates of some trips; *text_BE* is how the text model scores them."""
    rhythms, crowd, texts = asked.rhythms, asked.crowd, asked.crowd.texts
    row_P, entry_P = rhythms.rows(trips)
    place_BE = np.full((len(trips), texts), -1, dtype=np.int32)
    place_BE[row_P, rhythms.text_P[entry_P]] = np.arange(len(entry_P))
    # Everything of the history alike, and what was bought lately more, damped as the weekly milk says little.
    alike, lately = np.ones_like(rhythms.times_P), np.sqrt(rhythms.by_days[1])
    linked = (_linked(rhythms.weights(trips, values, texts), asked.links_EE) for values in (lately, alike))
    return Block(
        place_BE=place_BE,
        own_PF=_describe_own(rhythms, crowd, trips[row_P], entry_P),
        crowd_EF=_columns(crowd.share_E, crowd.lately_E, crowd.now_E, crowd.buyers_E),
        linked_BE=(next(linked), next(linked)),
        text_BE=text_BE,
        user_BF=_describe_users(rhythms, trips),
    )


def _linked(weight_BE: sparse.csr_array, links_EE: sparse.csr_array) -> Features:
    found_BE = (weight_BE @ links_EE).toarray()
    found_BE += FLOOR
    return np.asarray(np.log(found_BE), dtype=np.float32)


def _describe_own(rhythms: Rhythms, crowd: Crowd, trip_P: Ints, entry_P: Ints) -> Features:
    """Describe what the history holds.

    A purchase is the likelier again the more often and the more lately it was made (Anderson et al. 2014; Benson et
    al. 2016), at some gap that is the text's and the user's own; decays by visit are as in TIFU-KNN (Hu et al. 2020).
    """
    text_P, times_P = rhythms.text_P[entry_P], rhythms.times_P[entry_P]
    days_ago_P = np.log1p(rhythms.days_ago_P[entry_P])
    gaps = rhythms.log_gaps_P[entry_P] + PRIOR_GAPS * crowd.gap_E[text_P]
    gap_P = gaps / (times_P - 1 + PRIOR_GAPS)
    return _columns(
        np.ones(len(entry_P)),
        np.log(times_P),
        np.log((times_P + 0.5) / (rhythms.visits_U[trip_P] + 1)),
        *(np.log(one[entry_P] + FAINT) for one in rhythms.by_visits),
        np.log(rhythms.by_days[0][entry_P] + FAINT),
        days_ago_P,
        np.log(rhythms.visits_ago_P[entry_P]),
        gap_P,
        days_ago_P - gap_P,
        crowd.again_E[text_P],
    )


def _describe_users(rhythms: Rhythms, trips: Ints) -> Features:
    """Describe users: how much of what they buy is new to them, how often they come, how much they take."""
    visits_B, bought_B = rhythms.visits_U[trips], rhythms.bought_U[trips]
    kinds_B = np.diff(rhythms.starts)[trips]
    return _columns(
        np.log((kinds_B + 1) / (bought_B + 2)),
        np.log1p(visits_B),
        np.log1p(bought_B / np.maximum(visits_B, 1)),
        np.log1p(rhythms.days_ago_U[trips]),
    )


def _columns(*columns: Floats) -> Features:
    return np.stack(columns, axis=1).astype(np.float32)
