import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.snapshot import Purchases, first_trips_from
from trainer.data.trips import collect_histories, split_trips

rows = st.sets(st.tuples(st.integers(0, 3), st.integers(100, 130), st.integers(0, 5)), min_size=1, max_size=60)


def purchases_of(entries) -> Purchases:
    ordered = sorted(entries)
    user, day, item = (np.array(column, dtype=np.int32) for column in zip(*ordered, strict=True))
    return Purchases(("a", "b", "c", "d"), user, day, item)


def split_at(purchases, day, min_history_days):
    return split_trips(purchases, first_trips_from(purchases, day), min_history_days=min_history_days)


@settings(deadline=None)
@given(rows, st.integers(1, 6))
def test_a_history_is_what_was_bought_on_strictly_earlier_days(entries, top):
    purchases = purchases_of(entries)
    learn, test = split_at(purchases, 120, min_history_days=1)
    for trips in (learn, test):
        histories = collect_histories(purchases, trips, half_life=10, top=top)
        for n in range(len(trips)):
            expected: dict[int, float] = {}
            for user, day, item in entries:
                if user == trips.user[n] and day < trips.time[n]:
                    expected[item] = expected.get(item, 0) + 0.5 ** ((trips.time[n] - day) / 10)
            heaviest = sorted(expected, key=lambda item: (-round(expected[item], 12), item))[:top]
            items, weights = histories.before(n, top)
            assert items.tolist() == heaviest
            assert weights.tolist() == pytest.approx([expected[item] for item in heaviest])


@settings(deadline=None)
@given(rows)
def test_the_test_is_everybodys_first_trip_from_the_split_on(entries):
    _, test = split_at(purchases_of(entries), 120, min_history_days=1)
    expected = {}
    for user in range(4):
        days = [day for owner, day, _ in entries if owner == user]
        if any(day < 120 for day in days) and any(day >= 120 for day in days):
            first = min(day for day in days if day >= 120)
            expected[user] = (first, sorted(item for owner, day, item in entries if (owner, day) == (user, first)))
    found = {int(test.user[n]): (int(test.time[n]), sorted(test.bought(n).tolist())) for n in range(len(test))}
    assert found == expected


@settings(deadline=None)
@given(rows)
def test_what_is_learnt_lies_before_the_split_and_has_a_history(entries):
    learn, _ = split_at(purchases_of(entries), 120, min_history_days=7)
    first = {user: min(day for owner, day, _ in entries if owner == user) for user, _, _ in entries}
    for n in range(len(learn)):
        assert learn.time[n] < 120
        assert learn.time[n] - first[int(learn.user[n])] >= 7


def test_fewer_items_can_be_asked_for_than_were_collected():
    purchases = purchases_of({(0, 100, 1), (0, 110, 1), (0, 110, 2), (0, 121, 3)})
    _, test = split_at(purchases, 120, min_history_days=1)
    histories = collect_histories(purchases, test, half_life=28, top=2)
    assert histories.before(0, 1)[0].tolist() == [1]
    assert histories.before(0, 9)[0].tolist() == [1, 2]
