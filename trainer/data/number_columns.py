"""Reads a column of numbers batch after batch: all of it is written in one way, told by the rows or by the job."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.batches import Batch
from trainer.data.columns import NO_ID, decoded, odd_row, strings_of, without
from trainer.data.numbers import UNTOLD, NotANumber, read_numbers, tell_decimal
from trainer.errors import DataError

Floats = npt.NDArray[np.float64]


class NumberReader:
    """What parts a number's whole from the rest is the same in every batch of a column."""

    def __init__(self, name: str, again: Callable[[], Iterable[Batch]] = tuple) -> None:
        self.name = name
        self.again = again  # the table from its beginning, where the rows at hand do not tell
        self.decimal: str | None = None  # as the batches before showed it
        self.pointed = False  # a point was read as parting, and nothing showed that it did

    def read(self, batch: Batch) -> Floats:
        """Give a column as numbers, NaN where it is empty; raise DataError naming the row that is none."""
        column = decoded(batch.columns[self.name])
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = without(strings_of(batch, self.name), NO_ID if batch.missing is None else batch.missing)
            try:
                numbers = column.cast(pa.float64())
            except pa.ArrowException:
                return self._read_all(batch, column)
            if "," in (batch.decimal, self.decimal):
                return self._read_all(batch, column)
            self.pointed = self.pointed or bool(pc.any(pc.match_substring(column, ".")).as_py())
        else:
            try:
                numbers = column.cast(pa.float64(), safe=False)
            except pa.ArrowException:
                raise DataError(f"{batch.path}: column '{self.name}' is {column.type}, not numbers") from None
        found = np.asarray(pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)
        endless = np.flatnonzero(np.isinf(found))
        if len(endless):
            place = int(endless[0])
            raise DataError(odd_row(batch, self.name, place, column[place].as_py(), "a number"))
        return found

    def _read_all(self, batch: Batch, column: Any) -> Floats:
        """Read numbers that are not written plainly, each distinct one once."""
        texts = column.to_pylist()
        there = [text for text in texts if text is not None]
        try:
            known = read_numbers(there, batch.decimal or self._tell(batch, texts, there))
        except NotANumber as error:
            raise DataError(odd_row(batch, self.name, texts.index(error.text), error.text, error.right)) from None
        return np.array([np.nan if text is None else known[text] for text in texts], dtype=np.float64)

    def _tell(self, batch: Batch, texts: Sequence[str | None], there: Sequence[str]) -> str:
        if self.decimal is None:
            commas = [text for text in there if "," in text]
            self.decimal = tell_decimal(there) or (self._told_by_others() if commas else None)
            if self.decimal is None and commas:
                raise NotANumber(commas[0], UNTOLD)
            if self.decimal == "," and self.pointed:
                place = next(
                    place for place, text in enumerate(texts) if text is not None and tell_decimal([text]) == ","
                )
                right = 'written like the rows before it, with a point: decimal = "," or decimal = "." says which'
                raise DataError(odd_row(batch, self.name, place, texts[place], right))
        return self.decimal or "."

    def _told_by_others(self) -> str | None:
        """Look through the table for a number that can be read in one way only, a batch at a time."""
        for batch in self.again():
            told = tell_decimal([text for text in strings_of(batch, self.name).to_pylist() if text is not None])
            if told is not None:
                return told
        return None
