"""Turns a column as a file has it into what it has to be: text, an id, a number."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.batches import Batch
from trainer.data.numbers import NotANumber, read_numbers
from trainer.errors import DataError

Floats = npt.NDArray[np.float64]


def _spellings(*words: str) -> frozenset[str]:
    return frozenset(spelt for word in words for spelt in (word, word.lower(), word.upper(), word.capitalize()))


# What programs write where nothing is. A text may be the word "null" or "nan": there, only what no person types counts.
NOTHING = frozenset({r"\N", "NULL", "NaN", "<NA>", "#N/A", "None"})
NO_LABEL = _spellings("null", "nan", "nat", "<na>", "#n/a", "(null)", "undefined") | {"NaN", "NaT", r"\N"}
NO_ID = NO_LABEL | _spellings("none", "na", "n/a", "nil")


def strings_of(batch: Batch, name: str) -> Any:
    """Give a column as strings, spaces around them cut off, null where nothing is left.

    A number read as 17850.0 because others are missing is the id 17850.
    """
    column = decoded(batch.columns[name])
    kind = column.type
    if pa.types.is_list(kind):
        place = int(np.argmax(column.is_valid().to_numpy(zero_copy_only=False)))
        raise DataError(odd_row(batch, name, place, column[place].as_py(), "one value"))
    if pa.types.is_binary(kind) or pa.types.is_nested(kind) or pa.types.is_large_binary(kind):
        raise DataError(f"{batch.path}: column '{name}' is {kind}, not text")
    if pa.types.is_floating(kind):
        column = _whole_numbers(column)
    text = column.cast(pa.string()) if not pa.types.is_string(column.type) else column
    text = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def texts_of(batch: Batch, name: str) -> Any:
    """Give a column of free text."""
    return _without(strings_of(batch, name), NOTHING if batch.missing is None else batch.missing)


def ids_of(batch: Batch, name: str) -> Any:
    """Give a column of names: 17850.0 is 17850 in every format, and NULL is nobody."""
    return _plain_ids(_without(strings_of(batch, name), NO_ID if batch.missing is None else batch.missing))


def lists_of(batch: Batch, name: str) -> list[str | list[str]]:
    """Give a column of lists, or of texts that hold lists."""
    column = decoded(batch.columns[name])
    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        return [text or "" for text in strings_of(batch, name).to_pylist()]
    return [[str(one) for one in found or () if one is not None] for found in column.to_pylist()]


def labels_of(batch: Batch, name: str) -> Any:
    """Give a column of labels: "none" may be one of them."""
    return _plain_ids(_without(strings_of(batch, name), NO_LABEL if batch.missing is None else batch.missing))


def numbers_of(batch: Batch, name: str) -> Floats:
    """Give a column as numbers, NaN where it is empty; raise DataError naming the row that is none."""
    column = decoded(batch.columns[name])
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = _without(strings_of(batch, name), NO_ID if batch.missing is None else batch.missing)
        try:
            numbers = column.cast(pa.float64())
        except pa.ArrowException:
            return _read_all(batch, name, column)
        if batch.decimal == ",":
            return _read_all(batch, name, column)
    else:
        try:
            numbers = column.cast(pa.float64(), safe=False)
        except pa.ArrowException:
            raise DataError(f"{batch.path}: column '{name}' is {column.type}, not numbers") from None
    found = np.asarray(pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)
    endless = np.flatnonzero(np.isinf(found))
    if len(endless):
        raise DataError(odd_row(batch, name, int(endless[0]), column[int(endless[0])].as_py(), "a number"))
    return found


def decoded(column: Any) -> Any:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def odd_row(batch: Batch, name: str, place: int, value: object, right: str) -> str:
    """Say which row cannot be read."""
    return f"{batch.path}: row {batch.first_row + place}: '{name}' is {value!r}, not {right}"


def without_point(text: str) -> str:
    """Give 17850.0 as the id 17850."""
    whole, point, rest = text.partition(".")
    return whole if point and rest and not rest.strip("0") and whole.lstrip("-").isdecimal() else text


def _read_all(batch: Batch, name: str, column: Any) -> Floats:
    """Read numbers that are not written plainly, each distinct one once."""
    texts = column.to_pylist()
    try:
        known = read_numbers([text for text in texts if text is not None], batch.decimal)
    except NotANumber as error:
        raise DataError(odd_row(batch, name, texts.index(error.text), error.text, error.right)) from None
    return np.array([np.nan if text is None else known[text] for text in texts], dtype=np.float64)


def _without(text: Any, words: frozenset[str]) -> Any:
    if not words:
        return text
    nothing = pc.is_in(text, pa.array(sorted(words), pa.string()))
    return pc.if_else(nothing, pa.scalar(None, pa.string()), text)


def _plain_ids(text: Any) -> Any:
    if not pc.any(pc.match_substring(text, ".0")).as_py():
        return text
    return pc.replace_substring_regex(text, r"^(-?\d+)\.0+$", r"\1")


def _whole_numbers(column: Any) -> Any:
    values = pc.fill_null(pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column), 0.0)
    whole = pc.all(pc.equal(values, pc.floor(values))).as_py()
    finite = pc.all(pc.less(pc.abs(values), 2.0**53)).as_py()
    if not (whole and finite):
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column).cast(pa.int64())
