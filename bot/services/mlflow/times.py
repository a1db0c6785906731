"""Reads times as programs write them into MLflow: in milliseconds, as they should, or in another unit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)
_FIRST = 365 * 24 * 3600  # the seconds up to it, since 1970
MILLISECONDS = Fraction(1000)  # a second
# Seconds, microseconds, nanoseconds. A thousand lies between one unit and the next, and so the years from 1971 to 2969
# of each lie apart from those of the others: a number says by its size which unit it is in.
SECONDS = Fraction(1)
ODD_UNITS = (SECONDS, Fraction(10**6), Fraction(10**9))
_LARGEST = 2**63 - 1  # that a database compares with; as a time it is a program's word for never
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def unit_of(number: object) -> Fraction | None:
    """Return how many of a time's unit make a second; None where it is a time in none of them."""
    if isinstance(number, bool) or not isinstance(number, int) or number == _LARGEST:
        return None
    return next((unit for unit in (MILLISECONDS, *ODD_UNITS) if _FIRST <= number / unit < _FIRST * 1000), None)


def read_moment(number: object) -> datetime | None:
    """Return the moment that a program has written; None where it is none."""
    unit = unit_of(number)
    if unit is None or not isinstance(number, int):
        return None
    return _EPOCH + timedelta(microseconds=int(number * 10**6 / unit))


def span(since: datetime, unit: Fraction) -> tuple[int, int]:
    """Return the first number of a unit that is not before a moment, and the first that is of another unit."""
    seconds = max(since.timestamp(), _FIRST)
    return int(seconds * unit), min(int(_FIRST * 1000 * unit), _LARGEST)
