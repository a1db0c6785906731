"""The rules by which events are left out, what each means, and how many rows each took."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trainer.data.batches import Notes
from trainer.jobs.data import CleaningJob

Mask = npt.NDArray[np.bool_]

NO_USER, NO_ITEM, NO_DATE, NO_VALUE = "no user", "no item", "no time", "no value"
UNKNOWN_USER = "user not in the table of users"
NOT_KEPT = "behaviour not to be kept"
LOW_RATING = "rating too low"
NOT_AN_ITEM = "not an item for sale"
NO_TEXT = "item without a text"
BAD_PRICE = "price of zero or less"
BAD_VALUE = "value of zero or less"
DUPLICATE = "the same row again"
SAME_HOUR = "equal rows that are kept, since times are told by the hour or the day"
CANCELLATION = "a cancellation"
REVERSED = "cancelled later"
OUTLIER = "outlier in value or price"
ROBOT = "user like a robot"


@dataclass(slots=True)
class Tally:
    """How many rows came in and which rule took how many, the first that applies counting; and what was kept."""

    rows_in: int = 0
    rows_kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    users: int = 0
    first: int = np.iinfo(np.int64).max  # microseconds since 1970
    last: int = np.iinfo(np.int64).min
    items: set[int] = field(default_factory=set)
    notes: Notes = field(default_factory=Notes)
    coarse: bool = True  # every time is a whole hour, and no event's id says what is one: two equal rows may be two
    behaviours: Counter[str] = field(default_factory=Counter)  # that were not kept
    digest: int = 0  # the sum of the users' digests: the order of users in the source does not matter

    def take(self, kept: Mask, reason: str, rows: Mask) -> None:
        """Take rows out of *kept* in place."""
        self.dropped[reason] = self.dropped.get(reason, 0) + int(np.count_nonzero(kept & rows))
        kept &= ~rows


def explain(rules: CleaningJob) -> dict[str, str]:
    """Say in words what each rule took out."""
    cancel = "negative values" if rules.cancelled is None else f"events whose id matches {rules.cancelled}"
    return {
        NO_USER: "the column of users is empty, NULL, nan or the like",
        UNKNOWN_USER: "the user is not listed in the table of users",
        NO_ITEM: "the column of items is empty, NULL, nan or the like",
        NO_DATE: "the column of times is empty",
        NO_VALUE: "the column of values is empty",
        NOT_KEPT: f"the behaviour is none of {', '.join(rules.behaviours)}",
        LOW_RATING: f"the rating is empty or below {rules.lowest_rating}",
        NOT_AN_ITEM: "postage, fees, samples and the like: id, group or text matches "
        + " or ".join((*rules.not_items, *rules.not_groups, *rules.not_texts)),
        BAD_VALUE: "the value is zero or negative and no cancellation",
        BAD_PRICE: "the price is zero, negative or empty",
        NO_TEXT: "no row and no table gives the item a text",
        DUPLICATE: "every column equals that of another row, which is kept",
        CANCELLATION: f"{cancel} take something back and are no purchase",
        REVERSED: "the latest earlier event of the same user, item and amount as a cancellation",
        OUTLIER: f"value or price lies {rules.outliers} robust deviations of the logarithm above the median",
        ROBOT: f"the user's events a day lie {rules.robots} robust deviations of the logarithm above the median",
    }
