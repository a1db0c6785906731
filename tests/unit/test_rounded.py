"""How often and how long, as people plan with it."""

import pytest

from bot.text.rounded import how_often


@pytest.mark.parametrize(
    ("runs", "days", "told"),
    [
        (27, 28, "1 run a day"),
        (28, 28, "1 run a day"),
        (42, 28, "1.5 runs a day"),
        (26, 28, "6.5 runs a week"),
        (4, 28, "1 run a week"),
        (3, 28, "3 runs in four weeks"),
        (1, 28, "1 run in four weeks"),
        (8640 * 28, 28, "8,640 runs a day"),
    ],
)
def test_runs_are_told_by_the_span_in_which_there_is_more_than_one(runs, days, told):
    assert how_often(runs / days) == told
