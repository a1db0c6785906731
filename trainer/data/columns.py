"""Turns a column as a file has it into what it has to be: text, an id, a number, a time."""

import re
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.tables import Batch
from trainer.errors import DataError

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]  # microseconds since 1970-01-01, NO_TIME where there is none

NO_TIME = np.iinfo(np.int64).min
WHOLE = re.compile(r"^(-?\d+)\.0+$")
MILLISECONDS, MICROSECONDS = 1e11, 1e14  # numbers above are no seconds: these would be in the year 5138


def texts_of(batch: Batch, name: str) -> Any:
    """Give a column as strings, spaces around them cut off, null where nothing is left.

    A number read as 17850.0 because others are missing is the id 17850.
    """
    column = _decoded(batch.columns[name])
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_nested(kind) or pa.types.is_large_binary(kind):
        raise DataError(f"{batch.path}: column '{name}' is {kind}, not text")
    if pa.types.is_floating(kind):
        column = _whole_numbers(column)
    text = column.cast(pa.string()) if not pa.types.is_string(column.type) else column
    text = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def numbers_of(batch: Batch, name: str) -> Floats:
    """Give a column as numbers, NaN where it is empty."""
    column = _decoded(batch.columns[name])
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = texts_of(batch, name)
    try:
        numbers = column.cast(pa.float64(), safe=False)
    except pa.ArrowException:
        raise DataError(_odd_one(batch, name, column, float, "a number")) from None
    return np.asarray(pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)


def times_of(batch: Batch, name: str) -> Times:
    """Give a column as microseconds since 1970 in the clock of the source; numbers are seconds, or smaller by size."""
    column = _decoded(batch.columns[name])
    kind = column.type
    if pa.types.is_temporal(kind):
        times = column.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
        return _scaled(np.asarray(pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False)))
    else:
        times = _parsed(batch, name, texts_of(batch, name))
        if isinstance(times, np.ndarray):
            return times
    return np.asarray(pc.fill_null(times.cast(pa.int64()), NO_TIME).to_numpy(zero_copy_only=False), dtype=np.int64)


def _decoded(column: Any) -> Any:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _whole_numbers(column: Any) -> Any:
    values = pc.fill_null(column, 0.0)
    whole = pc.all(pc.equal(values, pc.floor(values))).as_py()
    finite = pc.all(pc.less(pc.abs(values), 2.0**53)).as_py()
    return column.cast(pa.int64()) if whole and finite else column


def _scaled(numbers: Floats) -> Times:
    size = np.abs(numbers)
    factor = np.where(size >= MICROSECONDS, 1.0, np.where(size >= MILLISECONDS, 1e3, 1e6))
    known = np.isfinite(numbers)
    times = np.full(len(numbers), NO_TIME, dtype=np.int64)
    times[known] = np.round(numbers[known] * factor[known]).astype(np.int64)
    return times


def _parsed(batch: Batch, name: str, texts: Any) -> Any:
    for zone in (None, "UTC"):
        try:
            return texts.cast(pa.timestamp("us", tz=zone))
        except pa.ArrowException:
            continue
    try:
        return _scaled(np.asarray(pc.fill_null(texts.cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False)))
    except pa.ArrowException:
        raise DataError(_odd_one(batch, name, texts, _any_time, "a time such as 2011-01-18 10:01:00")) from None


def _any_time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _odd_one(batch: Batch, name: str, column: Any, parse: Any, right: str) -> str:
    """Say which row cannot be read."""
    for place, value in enumerate(column.to_pylist()):
        if value is None:
            continue
        try:
            parse(value)
        except (TypeError, ValueError):
            return f"{batch.path}: row {batch.first_row + place}: '{name}' is {value!r}, not {right}"
    return f"{batch.path}: column '{name}' cannot be read as {right}"
