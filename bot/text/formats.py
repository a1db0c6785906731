"""Numbers, dates and durations as people read them."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.text.locales import Locale, conventions

MINUS = "\N{MINUS SIGN}"
_NO_BREAK = "\N{NO-BREAK SPACE}"
_FINEST = 8  # decimals; what needs more is written with an exponent
_WHOLE = 1000  # facts this large need no decimals
_LONGEST = 1e15  # what is as large is written with an exponent
_NUMBER = re.compile(r"-?(?:inf|\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)")
_LARGEST_SHARE = 100  # of 1; what is larger has no room for its digits as a percentage
INFINITY = "∞"


def _decimals(scale: float) -> int:
    """Choose how many decimals show a value of this size with about four digits."""
    for bound, decimals in ((1000, 0), (100, 1), (10, 2), (1, 3)):
        if abs(scale) >= bound:
            return decimals
    return 4


def number(value: float, unit: str = "", *, scale: float | None = None, signed: bool = False) -> str:
    """Write a value with as many decimals as suit *scale*, which defaults to the value itself."""
    text = _written(value, _decimals(value if scale is None else scale), signed=signed)
    return _with_unit(text, unit)


def beside_limit(value: float, limit: float, unit: str = "", *, scale: float | None = None) -> tuple[str, str]:
    """Write a value and the limit it is held against, which as written differ where they do; the limit as config may.

    `119.98` and `120` rather than twice `120.0`.
    """
    written, held = number(value, scale=scale), number(limit)
    if value != limit and written == number(limit, scale=scale):
        written, held = fine(value, value - limit), fine(limit, value - limit)
    if "." in held:
        held = held.rstrip("0").rstrip(".")
    return _with_unit(written, unit), _with_unit(held, unit)


def _with_unit(text: str, unit: str) -> str:
    return f"{text}{_NO_BREAK}{unit}" if unit else text


def fine(value: float, step: float, *, signed: bool = False) -> str:
    """Write a value with as many decimals as show *step* with two digits; for metrics of unknown size."""
    known = step and math.isfinite(step)
    decimals = 1 - math.floor(math.log10(abs(step))) if known else _decimals(value)
    if decimals > _FINEST:
        return _in_powers(value, signed=signed)
    return _written(value, max(decimals, 0), signed=signed)


def percent(share: float, locale: Locale, *, signed: bool = False) -> str:
    """Write a share of 1 as a percentage."""
    text = _in_powers(100 * share, signed=signed, digits=2) if is_long(share) else _percentage(share, signed=signed)
    return as_percent(text, locale)


def as_percent(text: str, locale: Locale) -> str:
    """Write the sign of a percentage beside its number."""
    return conventions(locale).percent.format(number=text)


def percent_in(text: str) -> float:
    """Read the share of 1 that a percentage says, whichever language wrote it; 0 where it says none."""
    found = _NUMBER.search(text.replace(MINUS, "-").replace(INFINITY, "inf"))
    return float(found[0].replace(",", "")) / 100 if found else 0.0


def is_long(share: float) -> bool:
    """Say whether a share of 1 is so large that its percentage is written with an exponent."""
    return abs(share) > _LARGEST_SHARE


def is_nothing(text: str) -> bool:
    """Say whether a number as it is written has come to nothing: `0.000`, `0.0 %`."""
    return not text.strip("+-−0., %\N{NO-BREAK SPACE}")


def is_infinite(value: float) -> bool:
    """Say whether a number is infinite, or what databases keep of an infinity: the largest number there is."""
    return abs(value) >= sys.float_info.max


def _percentage(share: float, *, signed: bool) -> str:
    return _written(100 * share, 0 if abs(share) >= 1 else 1, signed=signed)


def _written(value: float, decimals: int, *, signed: bool) -> str:
    """Write with a sign where one is wanted, but none before a change that rounds to nothing."""
    if not abs(value) < _LONGEST:
        return _in_powers(value, signed=signed)
    text = f"{value:z,.{decimals}f}"
    plus = "+" if signed and value > 0 and text.strip("0.") else ""
    return f"{plus}{text}".replace("-", MINUS)


def _in_powers(value: float, *, signed: bool, digits: int = 4) -> str:
    """Write what has no room for all its digits, or has none."""
    if math.isnan(value):
        return "nan"
    if is_infinite(value):
        sign = MINUS if value < 0 else "+" if signed else ""
        return f"{sign}{INFINITY}"
    return f"{value:{'+' if signed else ''}.{digits}g}".replace("-", MINUS)


def between(low: str, high: str, locale: Locale) -> str:
    return conventions(locale).between.format(low=low, high=high)


def beside(text: str, aside: str, locale: Locale) -> str:
    """Write what says the same otherwise in brackets after a text."""
    return conventions(locale).aside.format(text=text, aside=aside)


def moment(when: datetime, zone: ZoneInfo, locale: Locale) -> str:
    return _dated(conventions(locale).moment, when.astimezone(zone), locale)


def day(when: datetime, zone: ZoneInfo, locale: Locale) -> str:
    return _dated(conventions(locale).day, when.astimezone(zone), locale)


def days(moments: Sequence[datetime], zone: ZoneInfo, locale: Locale) -> tuple[str, ...]:
    """Write the days of some moments; where all are of one day, what tells them apart: hours and minutes."""
    local = [when.astimezone(zone) for when in moments]
    if len(local) > 1 and len({when.date() for when in local}) == 1:
        return tuple(f"{when:%H:%M}" for when in local)
    return tuple(day(when, zone, locale) for when in moments)


def date(when: datetime, zone: ZoneInfo, locale: Locale) -> str:
    return _dated(conventions(locale).date, when.astimezone(zone), locale)


def coming(when: datetime, zone: ZoneInfo, locale: Locale) -> str:
    """Write a moment of the next days, with its day of the week."""
    return _dated(conventions(locale).coming, when.astimezone(zone), locale)


def _dated(pattern: str, local: datetime, locale: Locale) -> str:
    names = conventions(locale)
    month, weekday = names.months[local.month - 1], names.weekdays[local.weekday()]
    return pattern.format(year=local.year, month=month, day=local.day, weekday=weekday, time=f"{local:%H:%M}")


def duration(length: timedelta, locale: Locale) -> str:
    """Write a length of time in its largest unit and the one below."""
    seconds = max(int(length.total_seconds()), 0)
    names = conventions(locale)
    sizes = (86400, 3600, 60, 1)
    first = next((place for place, size in enumerate(sizes) if seconds >= size), len(sizes) - 1)
    parts: list[str] = []
    for size, unit in zip(sizes[first : first + 2], names.units[first : first + 2], strict=True):
        count, seconds = divmod(seconds, size)
        if count or not parts:
            parts.append(names.duration.format(count=count, unit=unit))
    return " ".join(parts)


def fact(value: float) -> str:
    """Write a count or a share of the data card."""
    if not abs(value) < _LONGEST:
        return _in_powers(value, signed=False)
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= _WHOLE else f"{value:,.4g}"
