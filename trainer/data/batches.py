"""Some rows of a table, and what was noticed while they were read."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one file: texts, numbers or times as the file has them, not yet what they have to be."""

    path: Path
    first_row: int  # from 1, the header and blank lines not counted
    columns: dict[str, Any]  # name -> pyarrow array
    rows: int
    missing: frozenset[str] | None = None  # words that mean nothing is there, if the job says which
    decimal: str | None = None  # what parts a number's whole from the rest, if the job says


@dataclass(slots=True)
class Notes:
    """What reading mended or had to guess: told in the data card."""

    mended: Counter[str] = field(default_factory=Counter)  # what was changed and kept -> rows
    read_as: dict[str, str] = field(
        default_factory=dict
    )  # file -> encoding and delimiter, where they were told from it
