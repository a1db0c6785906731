"""Numbers, dates and durations as people read them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.text import formats

NBSP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.16213, "0.1621"),
        (-0.0252, "−0.0252"),
        (1.23456, "1.235"),
        (12.3456, "12.35"),
        (123.456, "123.5"),
        (1234.5678, "1,235"),
        (0.0, "0.0000"),
    ],
)
def test_a_number_shows_about_four_digits(value, text):
    assert formats.number(value) == text


def test_a_change_has_the_decimals_of_what_it_changed_and_a_sign():
    assert formats.number(-0.5, scale=120.0, signed=True) == "−0.5"
    assert formats.number(0.5, scale=0.2, signed=True) == "+0.5000"


@pytest.mark.parametrize("change", [-0.00003, 0.0, 0.00003])
def test_a_change_that_rounds_to_nothing_has_no_sign(change):
    assert formats.number(change, scale=0.5, signed=True) == "0.0000"
    assert formats.percent(change, "zh", signed=True) == "0.0%"
    assert formats.fine(change, 0.01, signed=True) == "0.000"


def test_a_unit_stays_on_the_line_of_its_number():
    assert formats.number(12.0, "ms") == f"12.00{NBSP}ms"


@pytest.mark.parametrize(
    ("share", "en", "zh"),
    [(-0.148, f"−14.8{NBSP}%", "−14.8%"), (0.021, f"+2.1{NBSP}%", "+2.1%"), (1.5, f"+150{NBSP}%", "+150%")],
)
def test_a_percentage_is_written_as_its_language_does(share, en, zh):
    assert formats.percent(share, "en", signed=True) == en
    assert formats.percent(share, "zh", signed=True) == zh


@pytest.mark.parametrize("share", [-0.148, 0.021, 0.76, 1.5, 12.5, 250.0, 0.0])
@pytest.mark.parametrize("locale", ["en", "zh"])
def test_a_percentage_is_read_as_it_was_written(share, locale):
    assert formats.percent_in(formats.percent(share, locale)) == pytest.approx(share, abs=0.01)


def test_no_percentage_is_no_share():
    assert formats.percent_in("") == 0


def test_a_moment_is_told_in_the_zone_of_the_pipeline():
    noon = datetime(2026, 11, 4, 12, 5, tzinfo=UTC)
    assert formats.moment(noon, ZoneInfo("Europe/Berlin"), "en") == "4 Nov 2026, 13:05"
    assert formats.moment(noon, ZoneInfo("Asia/Shanghai"), "zh") == "2026年11月4日 20:05"


@pytest.mark.parametrize(
    ("length", "en", "zh"),
    [
        (timedelta(0), f"0{NBSP}s", "0 秒"),
        (timedelta(seconds=59.9), f"59{NBSP}s", "59 秒"),
        (timedelta(minutes=3, seconds=4), f"3{NBSP}min 4{NBSP}s", "3 分钟 4 秒"),
        (timedelta(days=2, hours=3, minutes=4), f"2{NBSP}d 3{NBSP}h", "2 天 3 小时"),
        (timedelta(days=2, seconds=4), f"2{NBSP}d", "2 天"),
        (timedelta(seconds=-5), f"0{NBSP}s", "0 秒"),
    ],
)
def test_a_length_of_time_is_told_in_its_largest_unit_and_the_one_below(length, en, zh):
    assert formats.duration(length, "en") == en
    assert formats.duration(length, "zh") == zh


@pytest.mark.parametrize(
    ("value", "text"), [(4213.0, "4,213"), (0.01734, "0.01734"), (1234567.5, "1,234,568"), (float("nan"), "nan")]
)
def test_a_fact_of_the_data_card_is_a_count_or_a_share(value, text):
    assert formats.fact(value) == text


@given(st.floats())
def test_no_number_breaks_the_formats(value):
    assert formats.number(value)
    assert formats.number(value, scale=value, signed=True)
    assert formats.percent(value, "en")
    assert formats.fact(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e200, "1e+200"),
        (-1.7976931348623157e308, "−∞"),  # what databases keep of an infinity
        (-1.7e308, "−1.7e+308"),
        (float("inf"), "∞"),
        (float("-inf"), "−∞"),
        (float("nan"), "nan"),
        (123456789012345.0, "123,456,789,012,345"),
        (-0.0, "0.0000"),
        (5e-324, "0.0000"),
    ],
)
def test_a_number_of_any_size_fits_in_a_cell(value, text):
    assert formats.number(value) == text
    assert formats.fact(value).replace("-", "−") in (text, "0", "−0", "4.941e−324")


@given(st.floats(), st.floats(), st.booleans())
def test_every_number_can_be_written(value, step, signed):
    for text in (
        formats.number(value, "ms", scale=step, signed=signed),
        formats.fine(value, step, signed=signed),
        formats.percent(value, "en", signed=signed),
        formats.percent(value, "zh", signed=signed),
        formats.fact(value),
    ):
        assert 0 < len(text) < 60


@pytest.mark.parametrize(
    ("share", "text"),
    [(99.0, "+9,900"), (101.0, "+1e+04"), (-1.8e61, "−1.8e+63"), (3e60, "+3e+62")],
)
def test_a_percentage_without_end_is_written_with_an_exponent(share, text):
    assert formats.percent(share, "en", signed=True) == f"{text}{NBSP}%"
    assert formats.percent(share, "zh", signed=True) == f"{text}%"


@pytest.mark.parametrize(
    ("text", "is_nothing"), [("0.000", True), ("0.0\u00a0%", True), ("−0.0%", True), ("0.0001", False), ("1e-9", False)]
)
def test_a_number_that_rounds_to_nothing_is_known_as_such(text, is_nothing):
    assert formats.is_nothing(text) is is_nothing


def test_moments_of_one_day_are_told_apart_by_their_hours():
    noon = datetime(2026, 11, 29, 12, tzinfo=UTC)
    later = noon + timedelta(minutes=90)
    assert formats.days([noon, later], ZoneInfo("UTC"), "en") == ("12:00", "13:30")
    assert formats.days([noon, noon + timedelta(days=1)], ZoneInfo("UTC"), "en") == ("29 Nov", "30 Nov")
    assert formats.days([noon], ZoneInfo("UTC"), "en") == ("29 Nov",)
