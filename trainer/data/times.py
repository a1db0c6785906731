"""Reads times as teams write them: dates in many ways, or numbers since 1970; what may mean two things is refused."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.batches import Batch
from trainer.data.columns import decoded, ids_of, odd_row
from trainer.data.dates import (
    DAY,
    DAYS_FIRST,
    FORMS,
    MONTHS_FIRST,
    NO_TIME,
    SECOND,
    YEAR_FIRST,
    DatesRead,
    Mask,
    Times,
    as_mask,
    read_dates,
    read_digits,
)
from trainer.errors import DataError

Floats = npt.NDArray[np.float64]

EARLIEST = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp())  # seconds; a log of a shop is not older
AHEAD = 366 * 86_400  # seconds: clocks are wrong, and orders are dated ahead, but not by more
EXCEL_DAYS = 25_569  # from Excel's day 0 to 1970
MOST_STEPS = 90_000
FEW_STEPS = 1000  # a number below is neither seconds nor a day, but may be the number of a visit
UNITS = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}  # a second
DATE_DIGITS = {"days such as 20170425": 8, "minutes such as 201704251030": 12, "seconds such as 20170425103000": 14}
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
RIGHT = 'a time such as 2011-01-18 10:01:00; time_format says how others are written, such as "%d.%m.%Y %H:%M"'


class TimeReader:
    """Reads one column batch after batch: all of it is written in one way, told by the rows or by the job."""

    def __init__(self, form: str | None = None, again: Callable[[], Iterable[Batch]] = tuple) -> None:
        self.given = form
        self.again = again  # the table from its beginning, where the rows at hand do not tell
        self.form: str | None = None  # as the batches before were written
        self.latest = int(datetime.now(UTC).timestamp()) + AHEAD

    def read(self, batch: Batch, name: str) -> Times:
        """Give microseconds since 1970 in the clock of the source; raise DataError naming the row that is none."""
        column = decoded(batch.columns[name])
        kind = column.type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            times = column.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False)
            return self._plausible(batch, name, column, _as_times(times))
        if pa.types.is_temporal(kind) or pa.types.is_boolean(kind):
            raise DataError(f"{batch.path}: column '{name}' is {kind}, not a time")
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return self._numbers(batch, name, column, column)
        texts = ids_of(batch, name)
        if texts.null_count == len(texts):
            return np.full(len(texts), NO_TIME, dtype=np.int64)
        if self.given is not None and "%" in self.given:
            return self._by_pattern(batch, name, texts, self.given)
        if self.given is not None:
            return self._given_numbers(batch, name, texts)
        return self._texts(batch, name, texts)

    def _texts(self, batch: Batch, name: str, texts: Any) -> Times:
        for zone, form in ((None, YEAR_FIRST), ("UTC", f"{YEAR_FIRST}, with a zone")):
            try:
                times = texts.cast(pa.timestamp("us", tz=zone))
            except pa.ArrowException:
                continue
            self._agree(batch, name, texts, form)
            return self._plausible(batch, name, texts, _as_times(times))
        there = as_mask(texts.is_valid())
        numeric = as_mask(pc.match_substring_regex(texts, NUMBER))
        if np.count_nonzero(numeric) * 2 >= np.count_nonzero(there):
            self._refuse_first(batch, name, texts, there & ~numeric, "a number, as the others are")
            return self._numbers(batch, name, _numbers_of(texts), texts)
        return self._dates(batch, name, texts, there)

    def _dates(self, batch: Batch, name: str, texts: Any, there: Mask) -> Times:
        """Read dates in the way that most of them are written in."""
        found = self._tried(texts, there)
        if not found:
            self._refuse_first(batch, name, texts, there, RIGHT)
        first = int(np.flatnonzero(there)[0])
        before = [one for one in found if one.form == self.form]
        best = max(before or found, key=lambda one: (np.count_nonzero(one.read), bool(one.read[first])))
        decided = best if before else self._decided(batch, name, texts, best, found)
        best = decided or best
        odd = there & ~best.read
        others = [one.read for one in found if one is not best]
        readable = np.logical_or.reduce([as_mask(pc.match_substring_regex(texts, NUMBER)), *others])
        alien = odd.any() and readable[np.argmax(odd)]
        right = f"written like the other rows: {best.form}" if alien else RIGHT
        self._refuse_first(batch, name, texts, odd, right)
        if decided is not None:
            self._agree(batch, name, texts, best.form)
        return self._plausible(batch, name, texts, best.times)

    def _tried(self, texts: Any, there: Mask) -> list[DatesRead]:
        """Try ways of writing until one reads everything, the one of the batches before first."""
        known = [form for form in FORMS if (self.form or "").startswith(form)]
        found: list[DatesRead] = []
        for form in dict.fromkeys((*known, *FORMS)):
            found += read_dates(texts, form)
            sure = form in known or form not in (DAYS_FIRST, MONTHS_FIRST)
            if sure and found and not (there & ~found[-1].read).any():
                break
        return found

    def _decided(
        self, batch: Batch, name: str, texts: Any, best: DatesRead, found: Sequence[DatesRead]
    ) -> DatesRead | None:
        """Give the way that the dates are written in, None where either gives the same days.

        Raise DataError where no row of the whole table tells whether days or months come first, and it matters.
        """
        if not best.form.startswith((DAYS_FIRST, MONTHS_FIRST)):
            return best
        days, months = (
            next((one for one in found if one.form.startswith(form)), None) for form in (DAYS_FIRST, MONTHS_FIRST)
        )
        if days is None or months is None or (days.read != months.read).any():
            return best
        differs = np.flatnonzero(days.read & (days.times != months.times))
        if not len(differs):
            return None
        place = int(differs[0])
        text = str(texts[place].as_py())
        if re.match(r"\d+\.", text):  # no country writes months first with points
            return days
        first = self._first_of_others(name)
        if first is not None:
            return days if first == DAYS_FIRST else months
        sign = next(letter for letter in text if not letter.isdecimal())
        clock = " %H:%M:%S" if text.count(":") > 1 else " %H:%M" if ":" in text else ""
        right = (
            f'a time that can be read in one way only: time_format = "%d{sign}%m{sign}%Y{clock}" or'
            f' "%m{sign}%d{sign}%Y{clock}" says which'
        )
        raise DataError(odd_row(batch, name, place, text, right))

    def _first_of_others(self, name: str) -> str | None:
        """Look through the table for a row that can be read in one way only, a batch at a time; give that way."""
        for batch in self.again():
            texts = ids_of(batch, name)
            days, months = (
                np.logical_or.reduce([one.read for one in read_dates(texts, form)] or [np.zeros(batch.rows, np.bool_)])
                for form in (DAYS_FIRST, MONTHS_FIRST)
            )
            telling = np.flatnonzero(days != months)
            if len(telling):
                return DAYS_FIRST if days[telling[0]] else MONTHS_FIRST
        return None

    def _agree(self, batch: Batch, name: str, column: Any, form: str) -> None:
        """Raise DataError where a batch is written in another way than those before it."""
        if self.form is not None and form != self.form:
            place = int(np.flatnonzero(as_mask(column.is_valid()))[0])
            right = f"written like the rows before it: {self.form}"
            raise DataError(odd_row(batch, name, place, column[place].as_py(), right))
        self.form = form

    def _refuse_first(self, batch: Batch, name: str, column: Any, odd: Mask, right: str) -> None:
        places = np.flatnonzero(odd)
        if len(places):
            raise DataError(odd_row(batch, name, int(places[0]), column[int(places[0])].as_py(), right))

    def _plausible(self, batch: Batch, name: str, column: Any, times: Times) -> Times:
        there = times != NO_TIME
        odd = there & ((times < EARLIEST * SECOND) | (times > self.latest * SECOND))
        self._refuse_first(batch, name, column, odd, self._range())
        return times

    def _range(self) -> str:
        return f"a time between 1990 and {datetime.fromtimestamp(self.latest, UTC).date()}"

    def _by_pattern(self, batch: Batch, name: str, texts: Any, pattern: str) -> Times:
        known: dict[str, int | None] = {text: _parse(text, pattern) for text in set(texts.to_pylist()) if text}
        times = np.array([known.get(text) or NO_TIME for text in texts.to_pylist()], dtype=np.int64)
        right = f'a time written as time_format = "{pattern}" says'
        self._refuse_first(batch, name, texts, (times == NO_TIME) & as_mask(texts.is_valid()), right)
        return self._plausible(batch, name, texts, times)

    def _given_numbers(self, batch: Batch, name: str, texts: Any) -> Times:
        odd = as_mask(texts.is_valid()) & ~as_mask(pc.match_substring_regex(texts, NUMBER))
        self._refuse_first(batch, name, texts, odd, f'a number, as time_format = "{self.given}" says')
        return self._numbers(batch, name, _numbers_of(texts), texts)

    def _numbers(self, batch: Batch, name: str, column: Any, shown: Any) -> Times:
        """Read numbers in the unit that the job says, or that makes them plausible times; *shown* in errors."""
        values = _floats(column)
        self._refuse_first(batch, name, shown, np.isinf(values), self._range())
        if self.given == "steps":
            odd = np.isfinite(values) & ((values < 0) | (values > MOST_STEPS))
            self._refuse_first(batch, name, shown, odd, f"a number of steps from 0 to {MOST_STEPS}")
            return _filled(np.round(np.where(np.isfinite(values), values, 0) * DAY), np.isfinite(values))
        if self.given == "excel":
            days = np.where(np.isfinite(values), values, 0) - EXCEL_DAYS
            times = _filled(np.round(np.clip(days, -1e6, 1e6) * 86_400_000) * 1000, np.isfinite(values))
            return self._plausible(batch, name, shown, times)
        if self.given is not None and self.given not in UNITS:
            return self._by_pattern(batch, name, ids_of(batch, name), self.given)
        if self.given is not None:
            return self._plausible(batch, name, shown, _scaled(column, values, self.given))
        return self._told(batch, name, column, values, shown)

    def _told(self, batch: Batch, name: str, column: Any, values: Floats, shown: Any) -> Times:
        there = np.isfinite(values)
        found: dict[str, Mask] = {}
        for unit, factor in UNITS.items():
            found[unit] = there & (values >= EARLIEST * factor) & (values <= self.latest * factor)
        for unit, digits in DATE_DIGITS.items():
            times = read_digits(values, digits)
            found[unit] = there & (times >= EARLIEST * SECOND) & (times <= self.latest * SECOND)
        first = int(np.argmax(there))
        most = max(found, key=lambda one: (np.count_nonzero(found[one]), bool(found[one][first])))
        unit = self.form if self.form in found else most
        odd = np.flatnonzero(there & ~found[unit])
        if len(odd):
            raise DataError(self._odd_number(batch, name, shown, int(odd[0]), unit, found))
        if there.any():
            self._agree(batch, name, shown, unit)
        return _scaled(column, values, unit) if unit in UNITS else read_digits(values, DATE_DIGITS[unit])

    def _odd_number(self, batch: Batch, name: str, column: Any, place: int, unit: str, found: dict[str, Mask]) -> str:
        value = column[place].as_py()
        own = next((one for one, mask in found.items() if mask[place]), None)
        if own is not None and found[unit].any():
            return odd_row(batch, name, place, value, f"in {unit} as others are, but in {own}: units are mixed")
        excel = EARLIEST <= (float(value) - EXCEL_DAYS) * 86_400 <= self.latest
        hint = ' (as Excel counts days it would be: time_format = "excel")' if excel else ""
        if 0 <= float(value) < FEW_STEPS:
            hint = ' (the number of an order or a visit it may be: time_format = "steps")'
        return odd_row(batch, name, place, value, f"{self._range()}, in seconds or smaller units since 1970{hint}")


def _parse(text: str, pattern: str) -> int | None:
    try:
        time = datetime.strptime(text, pattern)  # noqa: DTZ007 - the clock of the source
    except ValueError:
        return None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _scaled(column: Any, values: Floats, unit: str) -> Times:
    """Give microseconds; whole numbers stay exact: nanoseconds have more digits than a float holds."""
    there = np.isfinite(values)
    if pa.types.is_integer(column.type):
        whole = np.asarray(pc.fill_null(column.cast(pa.int64(), safe=False), 0).to_numpy(zero_copy_only=False))
        factor = round(1e6 / UNITS[unit])
        limit = np.iinfo(np.int64).max // max(factor, 1)  # far beyond what is plausible
        times = whole // 1000 if unit == "nanoseconds" else np.clip(whole, -limit, limit) * factor
        return np.where(there, times, NO_TIME).astype(np.int64)
    return _filled(np.round(np.clip(np.where(there, values, 0) * (1e6 / UNITS[unit]), -9e18, 9e18)), there)


def _filled(numbers: npt.NDArray[np.floating[Any]], there: Mask) -> Times:
    return np.where(there, numbers, NO_TIME).astype(np.int64)


def _floats(column: Any) -> Floats:
    numbers = column.cast(pa.float64(), safe=False)
    return np.asarray(pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)


def _numbers_of(texts: Any) -> Any:
    """Give texts as whole numbers where all are, so that no digit is lost, else as floats."""
    try:
        return texts.cast(pa.int64())
    except pa.ArrowException:
        return texts.cast(pa.float64())


def _as_times(times: Any) -> Times:
    return np.asarray(pc.fill_null(times.cast(pa.int64()), NO_TIME).to_numpy(zero_copy_only=False), dtype=np.int64)
