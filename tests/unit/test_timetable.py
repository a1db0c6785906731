"""Due times, above all where the clocks change."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config.timetable import Every, Once, first_after, latest_until, read_at, read_cron

BERLIN = ZoneInfo("Europe/Berlin")  # 2026: forward on 29 March at 02:00, back on 25 October at 03:00
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # changes by half an hour: back on 5 April at 02:00
DAY = timedelta(days=1)


def shown(line, zone, first_day, days=3):
    """Return what the clocks and their offset show at each due time."""
    start = datetime.fromisoformat(first_day).replace(tzinfo=zone).astimezone(UTC)
    found = read_cron(line, zone).between(
        start - timedelta(seconds=1), start + timedelta(days=days) - timedelta(hours=2)
    )
    return [f"{moment.astimezone(zone):%d %H:%M%z}" for moment in found]


def test_a_night_whose_hour_is_skipped_has_its_run_as_much_later():
    assert shown("30 2 * * *", BERLIN, "2026-03-28") == ["28 02:30+0100", "29 03:30+0200", "30 02:30+0200"]


def test_a_night_that_shows_the_hour_twice_has_one_run_the_first_time():
    assert shown("30 2 * * *", BERLIN, "2026-10-24") == ["24 02:30+0200", "25 02:30+0200", "26 02:30+0100"]


def test_a_time_after_the_change_is_the_same_on_the_clocks():
    assert shown("0 9 * * *", BERLIN, "2026-03-28") == ["28 09:00+0100", "29 09:00+0200", "30 09:00+0200"]
    assert shown("0 9 * * *", BERLIN, "2026-10-24") == ["24 09:00+0200", "25 09:00+0100", "26 09:00+0100"]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_each_hour_means_each_real_hour(day, hours):
    start = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    end = (start + DAY).astimezone(UTC)
    found = read_cron("0 * * * *", BERLIN).between(start.astimezone(UTC), end)
    assert len(found) == hours
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(hours=1)}


def test_half_an_hour_of_change_is_a_change_too():
    assert shown("45 1 * * *", LORD_HOWE, "2026-04-04") == ["04 01:45+1100", "05 01:45+1100", "06 01:45+1030"]


def test_two_times_that_the_change_makes_one_are_one():
    start = datetime(2026, 3, 29, tzinfo=UTC)
    assert len(read_cron("30 2,3 * * *", BERLIN).between(start, start + timedelta(hours=12))) == 1


@pytest.mark.parametrize(
    ("weekday", "days"),
    [
        ("0", ["Sun"]),
        ("7", ["Sun"]),
        ("1", ["Mon"]),
        ("mon", ["Mon"]),
        ("1-5", ["Mon", "Tue", "Wed", "Thu", "Fri"]),
        ("5-7", ["Fri", "Sat", "Sun"]),
        ("sat-mon", ["Sat", "Sun", "Mon"]),
        ("1-5/2", ["Mon", "Wed", "Fri"]),
        ("*/3", ["Wed", "Sat", "Sun"]),
        ("2,4", ["Tue", "Thu"]),
    ],
)
def test_weekdays_are_numbered_as_cron_numbers_them(weekday, days):
    start = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday
    found = read_cron(f"0 9 * * {weekday}", ZoneInfo("UTC")).between(start, start + timedelta(days=7))
    assert sorted(f"{moment:%a}" for moment in found) == sorted(days)


def test_a_time_of_day_comes_daily_and_a_date_once():
    start = datetime(2026, 6, 1, tzinfo=UTC)
    daily, once = read_at(time(3, 0), BERLIN), read_at(datetime(2026, 6, 3, 3, 0), BERLIN)  # noqa: DTZ001  as a person writes it
    assert [moment.hour for moment in daily.between(start, start + 3 * DAY)] == [1, 1, 1]
    assert once.between(start, start + 9 * DAY) == [datetime(2026, 6, 3, 1, tzinfo=UTC)]
    assert first_after(once, start + 9 * DAY) is None


def test_intervals_do_not_depend_on_when_they_are_asked_about():
    six_hours = Every(timedelta(hours=6))
    start = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    assert first_after(six_hours, start) == datetime(2026, 3, 29, 6, tzinfo=UTC)
    assert first_after(six_hours, start + timedelta(hours=5)) == datetime(2026, 3, 29, 6, tzinfo=UTC)
    assert first_after(six_hours, datetime(2026, 3, 29, 6, tzinfo=UTC)) == datetime(2026, 3, 29, 12, tzinfo=UTC)


def test_the_latest_of_many_missed_times_is_found_however_long_ago_the_first_was():
    start, end = datetime(2020, 2, 29, tzinfo=UTC), datetime(2026, 6, 1, 0, 0, 30, tzinfo=UTC)
    assert latest_until(Every(timedelta(seconds=1)), start, end) == end
    assert latest_until(read_cron("* * * * *", BERLIN), start, end) == end.replace(second=0)
    assert latest_until(read_cron("0 3 29 2 *", ZoneInfo("UTC")), start, end) == datetime(2024, 2, 29, 3, tzinfo=UTC)
    assert latest_until(Once(start), start, end) is None


YEAR = timedelta(days=365)
MOMENTS = st.timedeltas(timedelta(0), YEAR).map(lambda passed: datetime(2026, 1, 1, tzinfo=UTC) + passed)
LINES = st.sampled_from(
    ["30 2 * * *", "*/20 * * * *", "0 */2 * * *", "15 1-3 * * 0", "0 3 1 * *", "0 3 1,9 * 3", "45 1,2 * * *"]
)


ZONES = st.sampled_from([BERLIN, LORD_HOWE, ZoneInfo("America/New_York"), ZoneInfo("UTC")])


@settings(deadline=None, max_examples=25)
@given(LINES, ZONES, st.lists(MOMENTS, min_size=3, max_size=3))
def test_what_is_due_in_a_stretch_of_time_is_what_is_due_in_its_parts(line, zone, moments):
    first, middle, last = sorted(moments)
    last = min(last, first + timedelta(days=20))
    middle = min(middle, last)
    timetable = read_cron(line, zone)
    whole = timetable.between(first, last)
    assert [*timetable.between(first, middle), *timetable.between(middle, last)] == whole
    assert whole == sorted(set(whole))
    walk, moment = [], first
    while (found := first_after(timetable, moment)) is not None and found <= last and len(walk) < 50:
        walk.append(found)
        moment = found
    assert walk == whole[:50]


def test_a_line_that_restricts_the_day_and_the_weekday_is_due_on_either():
    start = datetime(2026, 6, 1, 12, tzinfo=UTC)  # a Monday
    found = read_cron("0 3 1,15 * fri", BERLIN).between(start, start + timedelta(days=30))
    assert [moment.day for moment in found] == [5, 12, 15, 19, 26, 1]


def test_a_step_over_all_days_restricts_nothing_so_that_both_must_agree():
    start = datetime(2026, 6, 1, tzinfo=UTC)
    found = read_cron("0 3 */2 * fri", ZoneInfo("UTC")).between(start, start + timedelta(days=29))
    assert [moment.day for moment in found] == [5, 19]
