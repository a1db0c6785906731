"""What everybody bought up to a day: how popular a text is, how often and when it comes again, what goes with it."""

# Shape suffixes, scoped to this file:
#   N = users, E = distinct texts, R = purchases of a text, each user and time once

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from trainer.data.snapshot import Purchases
from trainer.models.collaborative_filtering import count_pairs
from trainer.models.ease import ItemLinks, read_links_or_learn

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LATELY, NOW = 28.0, 7.0  # days: what the season is, and what the week is
USUAL_GAP, GAPS = np.log(30.0), 5.0  # days between two purchases of a text, and how many such gaps are taken as seen


@dataclass(frozen=True, slots=True)
class Crowd:
    """Of each text, logarithms: its share of purchases, its buyers and how many of them came again, days between."""

    share_E: Floats
    lately_E: Floats  # its share of the last weeks' purchases
    now_E: Floats  # and of the last week's
    buyers_E: Floats
    again_E: Floats
    gap_E: Floats

    @property
    def texts(self) -> int:
        """Give how many texts there are."""
        return len(self.share_E)


def learn_crowd(purchases: Purchases, rows: npt.NDArray[np.bool_], text_of_item: Ints, texts: int) -> Crowd:
    """Count over some rows of the purchases."""
    user, time = purchases.user[rows].astype(np.int64), purchases.time[rows].astype(np.int64)
    text = text_of_item[purchases.item[rows]]
    days_R = ((int(time.max()) if len(time) else 0) - time) * purchases.step_days
    counts_NE = count_pairs(user, text, texts)
    buyers_E = np.asarray(counts_NE.sign().sum(axis=0), dtype=np.float64)
    again_E = np.asarray((counts_NE > 1).sum(axis=0), dtype=np.float64)
    lately_E, now_E = (_log_share(np.bincount(text[days_R < days], minlength=texts)) for days in (LATELY, NOW))
    return Crowd(
        share_E=_log_share(np.bincount(text, minlength=texts)),
        lately_E=lately_E,
        now_E=now_E,
        buyers_E=np.log1p(buyers_E),
        again_E=np.log((again_E + 1) / (buyers_E + 2)),
        gap_E=_gaps(user, time, text, texts, purchases.step_days),
    )


def learn_text_links(
    purchases: Purchases,
    rows: npt.NDArray[np.bool_],
    text_of_item: Ints,
    texts: Sequence[str],
    ridge: float,
    most: int,
    cache: Path | None,
) -> ItemLinks:
    """Learn links between texts of what the same people bought (EASE, Steck 2019), or read them from the cache."""
    chosen_NE = count_pairs(purchases.user[rows], text_of_item[purchases.item[rows]], len(texts)).sign()
    with threadpool_limits(1):  # matrices this small take longer on several threads
        return read_links_or_learn(texts, chosen_NE, ridge, most, cache)


def _log_share(count_E: npt.NDArray[np.integer]) -> Floats:
    return np.asarray(np.log((count_E + 1) / (count_E + 1).sum()), dtype=np.float64)


def _gaps(user: Ints, time: Ints, text: Ints, texts: int, step_days: float) -> Floats:
    """Give the mean of log(days + 1) between two purchases of a text by one user, the usual one where few are known."""
    owner = user * texts + text
    order = np.argsort(owner, kind="stable")  # of one user the purchases come by time
    owner, time = owner[order], time[order]
    again = (np.diff(owner) == 0) & (np.diff(time) > 0)
    gap = np.log1p(np.diff(time)[again] * step_days)
    owner = owner[1:][again] % texts
    total, count = np.bincount(owner, gap, texts), np.bincount(owner, minlength=texts)
    return np.asarray((total + GAPS * USUAL_GAP) / (count + GAPS), dtype=np.float64)
