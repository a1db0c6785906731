"""Reads dates with the clock beside them, each way of writing a pattern of its own; what no calendar has is none."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Times = npt.NDArray[np.int64]  # microseconds since 1970-01-01, NO_TIME where there is none
Mask = npt.NDArray[np.bool_]

NO_TIME = np.iinfo(np.int64).min
SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000

MONTHS = {name: n for n, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}  # noqa: SIM905
MONTH_WORD = r"(?P<n>[A-Za-z]{3})[a-z]*\.?"
HALF = r"(?: ?(?P<p>[AaPp])\.?[Mm]\.?)?"
CLOCK = (
    r"(?:(?:,? +|[Tt])(?P<H>\d{1,2})(?::(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?)?"
    rf"{HALF})? ?(?P<z>Z|z|UTC|GMT|[+-]\d{{2}}:?\d{{2}})?$"
)
WEEKDAY = r"^(?:[A-Z][a-z]{2,8},? )?"
YEAR_FIRST = "years first"
DAYS_FIRST, MONTHS_FIRST = "days first", "months first"
FORMS = {  # a: the first of two numbers that are day and month
    YEAR_FIRST: rf"^(?P<y>\d{{4}})(?:[-/.]|年 ?)(?P<m>\d{{1,2}})(?:[-/.]|月 ?)(?P<d>\d{{1,2}})日?{CLOCK}",
    DAYS_FIRST: rf"^(?P<d>\d{{1,2}})[-/.](?P<m>\d{{1,2}})[-/.](?P<y>\d{{4}}){CLOCK}",
    MONTHS_FIRST: rf"^(?P<m>\d{{1,2}})[-/.](?P<d>\d{{1,2}})[-/.](?P<y>\d{{4}}){CLOCK}",
    "month day, year": rf"^(?P<m>\d{{1,2}}) (?P<d>\d{{1,2}}), ?(?P<y>\d{{4}}){CLOCK}",
    "days and names of months": rf"{WEEKDAY}(?P<d>\d{{1,2}})[ -]{MONTH_WORD}[ -](?P<y>\d{{4}}){CLOCK}",
    "names of months": rf"{WEEKDAY}{MONTH_WORD} (?P<d>\d{{1,2}}),? (?P<y>\d{{4}}){CLOCK}",
    "digits of dates": (
        r"^(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})[Tt](?P<H>\d{2})(?P<M>\d{2})(?P<S>\d{2})"
        r"(?:\.(?P<f>\d{1,9}))?(?P<p>x)?(?P<z>Z)?$"
    ),
}


@dataclass(slots=True)
class DatesRead:
    """What one way of writing makes of a column."""

    form: str
    times: Times
    read: Mask


def read_dates(texts: Any, form: str) -> list[DatesRead]:
    """Read what is written in one way, with a zone and without; dates that no calendar has are not."""
    parts = pc.extract_regex(texts, FORMS[form])
    read = as_mask(parts.is_valid())
    if not read.any():
        return []
    names = [parts.type.field(place).name for place in range(parts.type.num_fields)]
    columns = {name: parts.field(place) for place, name in enumerate(names)}
    number = {name: _whole(columns[name]) for name in "ymdHMS" if name in columns}
    month = number["m"] if "m" in number else _months(columns["n"])
    days, valid = _days(number["y"], month, number["d"])
    half = columns["p"].to_numpy(zero_copy_only=False)
    late, early = np.isin(half, ["p", "P"]), np.isin(half, ["a", "A"])
    hour = np.where((late | early) & (number["H"] == 12), 0, number["H"]) + np.where(late, 12, 0)  # noqa: PLR2004
    valid &= (hour < 24) & (number["M"] < 60) & (number["S"] < 61)  # noqa: PLR2004 - of a clock
    fraction = _whole(pc.utf8_slice_codeunits(pc.utf8_rpad(columns["f"], 6, "0"), 0, 6))
    zone, zoned = _offsets(columns["z"])
    times = days * DAY + hour * HOUR + (number["M"] * 60 + number["S"]) * SECOND + fraction - zone
    ways = ((form, read & valid & ~zoned), (f"{form}, with a zone", read & valid & zoned))
    return [DatesRead(way, np.where(rows, times, NO_TIME).astype(np.int64), rows) for way, rows in ways if rows.any()]


def _whole(column: Any) -> Ints:
    """Give digits as numbers, 0 where there are none."""
    digits = pc.if_else(pc.match_substring_regex(column, r"^\d+$"), column, "0")
    return np.asarray(pc.fill_null(digits.cast(pa.int64()), 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _months(column: Any) -> Ints:
    return np.array([MONTHS.get((name or "").lower(), 0) for name in column.to_pylist()], dtype=np.int64)


def _offsets(column: Any) -> tuple[Ints, Mask]:
    """Give the zone's distance from UTC in microseconds, and where there is a zone at all."""
    words = column.to_pylist()
    known = {word: _offset(word or "") for word in set(words)}
    return np.array([known[word] for word in words], dtype=np.int64), np.array([bool(word) for word in words])


def _offset(word: str) -> int:
    if not word or word[0] not in "+-":
        return 0
    digits = word[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return (-minutes if word[0] == "-" else minutes) * 60 * SECOND


def _days(year: Ints, month: Ints, day: Ints) -> tuple[Ints, Mask]:
    """Give days since 1970, and which dates there are."""
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1) & (year < 10_000)  # noqa: PLR2004
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(valid, day - 1, 0)
    valid &= days.astype("datetime64[M]") == months
    return days.astype(np.int64), valid


def read_digits(values: Floats, digits: int) -> Times:
    """Read 20170425, or that with hours and minutes, or seconds; NO_TIME where the digits are no such date."""
    whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 10**digits)
    number = np.where(whole, values, 0).astype(np.int64)
    clock = number % 10 ** (digits - 8)
    clock = clock * 100 if digits == 12 else clock  # noqa: PLR2004 - minutes have no seconds
    date = number // 10 ** (digits - 8)
    days, valid = _days(date // 10_000, date // 100 % 100, date % 100)
    hour, minute, second = clock // 10_000, clock // 100 % 100, clock % 100
    times = days * DAY + hour * HOUR + (minute * 60 + second) * SECOND
    valid &= whole & (hour < 24) & (minute < 60) & (second < 60)  # noqa: PLR2004
    return np.where(valid, times, NO_TIME)


def as_mask(column: Any) -> Mask:
    """Give a column of yes and no, no where it says nothing."""
    return np.asarray(pc.fill_null(column, fill_value=False).to_numpy(zero_copy_only=False), dtype=np.bool_)
