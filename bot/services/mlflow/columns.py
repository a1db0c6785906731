"""One column of a per-example table as it is read: numbers as floats, text as it is, ids as what tells them apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bot.domain.runs import Floats, Strings
from bot.errors import in_short

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_CELL = 200  # characters


class TooLongError(ValueError):
    """A text that is longer than any is read."""

    def __init__(self, column: str) -> None:
        super().__init__(f"{column!r} holds texts of more than {LONGEST_CELL} characters")
        self.column = column


def named(kind: pa.DataType) -> str:
    words = str(kind)
    return words if len(words) <= 40 else f"{words[:40]}…"  # noqa: PLR2004 - of a nested type, enough to know it by


def plain_type(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    plain = plain_type(kind)
    known = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean, pa.types.is_decimal)
    return any(is_of(plain) for is_of in known)


def is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    plain = plain_type(kind)
    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_of(plain) for is_of in known)


@dataclass(slots=True)
class Column:
    """One column as it is read, part by part."""

    name: str
    parts: list[Any] = field(default_factory=list)
    width: int = 0  # bytes that a row takes once all parts have the same type
    broken: str = ""  # why it can no longer be used

    def add(self, values: pa.Array, *, as_text: bool) -> None:
        import pyarrow as pa

        if self.broken:
            return
        try:
            part = texts_of(values, self.name) if as_text else _floats(values)
        except TooLongError:
            raise
        except (ValueError, TypeError, ArithmeticError, pa.ArrowException) as error:
            self.parts, self.width, self.broken = [], 0, in_short(error)
        else:
            self.parts.append(part)
            self.width = max(self.width, part.dtype.itemsize)

    def whole(self) -> Any:
        whole = np.concatenate(self.parts)
        self.parts = []
        return whole


def _floats(values: pa.Array) -> Floats:
    import pyarrow as pa

    return np.asarray(_decoded(values).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def texts_of(values: pa.Array, name: str) -> Strings:
    """Return text as it is, and of anything else what tells its values apart; empty where there is none.

    :raises TooLongError: where one is longer than any is read.
    """
    import pyarrow as pa

    plain = _decoded(values, name)
    kind = plain.type
    if pa.types.is_floating(kind):
        return _ids_of_floats(plain.cast(pa.float64()).to_numpy(zero_copy_only=False))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        plain = pa.array([_readable(each) for each in plain.to_pylist()], pa.string())
    elif pa.types.is_fixed_size_binary(kind):
        plain = pa.array([None if each is None else each.hex() for each in plain.to_pylist()], pa.string())
    elif not pa.types.is_string(kind):
        plain = plain.cast(pa.large_string())
    return np.asarray(plain.fill_null("").to_numpy(zero_copy_only=False).astype(str))


def _decoded(values: pa.Array, name: str = "") -> pa.Array:
    """Return the values themselves; what is text by *name* only where none is too long."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(values, pa.ExtensionArray):
        return _decoded(values.storage, name)
    if pa.types.is_dictionary(values.type):
        _decoded(values.dictionary, name)
        return _decoded(values.dictionary_decode())
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        longest = pc.max(pc.utf8_length(values)).as_py() or 0
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        longest = pc.max(pc.binary_length(values)).as_py() or 0
    else:
        longest = kind.byte_width if pa.types.is_fixed_size_binary(kind) else 0
    if name and longest > LONGEST_CELL:
        raise TooLongError(name)
    return values


def _readable(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def _ids_of_floats(values: Floats) -> Strings:
    """Write whole numbers as such: a column of them becomes one of floats where one is missing."""
    texts = [("" if not np.isfinite(v) else str(int(v)) if v.is_integer() else repr(v)) for v in values.tolist()]
    return np.array(texts, dtype=np.str_)
