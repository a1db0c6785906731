"""Turns a column as a file has it into what it has to be: text, an id, a label, a list."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.batches import Batch
from trainer.errors import DataError


def _spellings(*words: str) -> frozenset[str]:
    return frozenset(spelt for word in words for spelt in (word, word.lower(), word.upper(), word.capitalize()))


# What programs write where nothing is. A text may be the word "null" or "nan": there, only what no person types counts.
NOTHING = frozenset({r"\N", "NULL", "NaN", "<NA>", "#N/A", "None"})
NO_LABEL = _spellings("null", "nan", "nat", "<na>", "#n/a", "(null)", "undefined") | {"NaN", "NaT", r"\N"}
NO_ID = NO_LABEL | _spellings("none", "na", "n/a", "nil")

ROUNDED = r"^-?\d\.\d{1,5}E\+\d\d$"  # 8.90123E+12, as Excel saves 8901234567890: ids and times run together


def strings_of(batch: Batch, name: str) -> Any:
    """Give a column as strings, spaces around them cut off, null where nothing is left.

    A number read as 17850.0 because others are missing is the id 17850.
    """
    column = decoded(batch.columns[name])
    kind = column.type
    if pa.types.is_list(kind):
        place = int(np.argmax(column.is_valid().to_numpy(zero_copy_only=False)))
        raise DataError(odd_row(batch, name, place, column[place].as_py(), "one value"))
    if is_bytes(kind) or pa.types.is_nested(kind):
        raise DataError(f"{batch.path}: column '{name}' is {kind}, not text")
    if pa.types.is_floating(kind):
        column = _whole_numbers(column.cast(pa.float32()) if pa.types.is_float16(kind) else column)
    text = column.cast(pa.string()) if not pa.types.is_string(column.type) else column
    text = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def texts_of(batch: Batch, name: str) -> Any:
    """Give a column of free text."""
    return without(strings_of(batch, name), NOTHING if batch.missing is None else batch.missing)


def ids_of(batch: Batch, name: str) -> Any:
    """Give a column of names: 17850.0 is 17850 in every format, and NULL is nobody."""
    named = without(strings_of(batch, name), NO_ID if batch.missing is None else batch.missing)
    rounded = pc.match_substring_regex(named, ROUNDED)
    if pc.any(rounded).as_py():
        place = pc.index(rounded, pa.scalar(value=True)).as_py()
        right = "a whole number: a spreadsheet rounded it, and saves all digits of a column that is formatted as text"
        raise DataError(odd_row(batch, name, place, named[place].as_py(), right))
    return _plain_ids(named)


def lists_of(batch: Batch, name: str) -> list[str | list[str]]:
    """Give a column of lists, or of texts that hold lists."""
    column = decoded(batch.columns[name])
    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        return [text or "" for text in strings_of(batch, name).to_pylist()]
    return [[str(one) for one in found or () if one is not None] for found in column.to_pylist()]


def labels_of(batch: Batch, name: str) -> Any:
    """Give a column of labels: "none" may be one of them."""
    return _plain_ids(without(strings_of(batch, name), NO_LABEL if batch.missing is None else batch.missing))


def decoded(column: Any) -> Any:
    """Give a column as what it holds, however it is packed; a UUID as people write it."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.uuid":
            return pa.array([None if one is None else str(one) for one in column.to_pylist()], pa.string())
        return column.storage
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


def is_bytes(kind: Any) -> bool:
    """Say whether a column holds bytes, in any of the ways that Arrow has."""
    of = pa.types
    return bool(
        of.is_binary(kind) or of.is_large_binary(kind) or of.is_binary_view(kind) or of.is_fixed_size_binary(kind)
    )


def odd_row(batch: Batch, name: str, place: int, value: object, right: str) -> str:
    """Say which row cannot be read."""
    return f"{batch.path}: row {batch.first_row + place}: '{name}' is {value!r}, not {right}"


def without_point(text: str) -> str:
    """Give 17850.0 as the id 17850."""
    whole, point, rest = text.partition(".")
    return whole if point and rest and not rest.strip("0") and whole.lstrip("-").isdecimal() else text


def without(text: Any, words: frozenset[str]) -> Any:
    """Give a column with nothing where it holds one of some words."""
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
