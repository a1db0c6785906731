"""Explains a score that a next-item model gives an item: which past purchases carried it."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from trainer.errors import DataError
from trainer.explaining.deletion import first_that_holds, leave_one_out, leave_out_in_turn
from trainer.explaining.explanation import Deletion, Explanation, Method, Side, WeighedPart
from trainer.results.asked_user import AskedUser

Floats = npt.NDArray[np.float64]

LATEST = 40  # purchases that are weighed, the latest: each asks for the whole catalogue once

ALONE = "there is no other purchase to hold it against"
FAILED = "no purchases are found without which the score changes more than without others"


def find_item(asked: AskedUser, item: str) -> int:
    """Give an item's place in the catalogue, by its id or its text; raise DataError."""
    names = asked.catalogue.item_ids
    for column in (names, asked.catalogue.texts):
        if item in column:
            return column.index(item)
    raise DataError(f"--product {item!r} is neither an id nor a text of the catalogue's {len(names)} items")


def explain_item(asked: AskedUser, user: str, item: int, example_id: str = "") -> Explanation:
    """Say which purchases carried an item's score; where they do not hold, that they do not."""
    bought = asked.items[:LATEST].tolist()
    score_I = asked.score()
    whole = float(score_I[item])

    def score_without(sets: Sequence[Sequence[int]]) -> Floats:
        return np.array([asked.score([bought[place] for place in places])[item] for places in sets], dtype=np.float64)

    asked_of = (whole, len(bought), score_without)
    methods = [
        (Method.LEFT_OUT, partial(leave_one_out, *asked_of)),
        (Method.IN_TURN, partial(leave_out_in_turn, *asked_of)),
    ]
    found = first_that_holds(methods if len(bought) > 1 else [], whole, score_without)
    place = int((score_I > whole).sum()) + 1
    told = (user, asked.catalogue.texts[item], f"place {place:,} of {len(score_I):,} items", whole, "score")
    if found is None or isinstance(found, Deletion):
        return Explanation(*told, None, (), found, ALONE if found is None else FAILED, example_id)
    method, weights, named, deletion = found
    parts = tuple(
        WeighedPart(asked.catalogue.texts[bought[at]], Side.PURCHASE, weight, at in named)
        for at, weight in enumerate(weights)
    )
    return Explanation(*told, method, parts, deletion, "", example_id)
