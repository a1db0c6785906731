"""The rows of a table of pairs as the source has them, the rules by which some are left out, and their labels."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from trainer.data.columns import NO_TIME, texts_of, times_of
from trainer.data.item_texts import ItemTexts, join_columns
from trainer.data.tables import Batch, read_batches
from trainer.errors import DataError
from trainer.jobs.data import PairsData

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NO_QUERY, NO_PRODUCT, NO_LABEL = "no query", "no product", "no label"
IMPOSSIBLE, DUPLICATE, NO_TIME_GIVEN = "impossible label", "the same row again", "no time"
BOOLEANS = {"true": 1.0, "false": 0.0}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(slots=True)
class PairRows:
    """The rows of the source as texts, before anything is judged."""

    queries: ItemTexts
    products: ItemTexts
    query: list[int]  # -1 where there is none
    product: list[int]
    label: list[str | None]
    part: list[str | None]
    user: list[str | None]
    time: list[int]
    slices: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.query)


def read_rows(job: PairsData) -> PairRows:
    """Read the columns that the job names; raise DataError."""
    columns = job.columns
    rows = PairRows(
        ItemTexts(wanted=True), ItemTexts(wanted=True), [], [], [], [], [], [], {n: [] for n in columns.slices}
    )
    single = (columns.label, columns.query_id, columns.product_id, columns.part, columns.user, columns.time)
    names = (*columns.query, *columns.product, *(name for name in single if name is not None), *columns.slices)
    for batch in read_batches(job.path, names):
        rows.query += note_texts(batch, rows.queries, columns.query, columns.query_id)
        rows.product += note_texts(batch, rows.products, columns.product, columns.product_id)
        rows.label += _optional(batch, columns.label, "1")
        rows.part += _optional(batch, columns.part, None)
        rows.user += _optional(batch, columns.user, None)
        rows.time += [0] * batch.rows if columns.time is None else times_of(batch, columns.time).tolist()
        for name in columns.slices:
            rows.slices[name] += [value or "" for value in texts_of(batch, name).to_pylist()]
    return rows


def _optional(batch: Batch, name: str | None, default: str | None) -> list[str | None]:
    return [default] * batch.rows if name is None else list(texts_of(batch, name).to_pylist())


def note_texts(batch: Batch, texts: ItemTexts, names: Sequence[str], id_name: str | None) -> list[int]:
    """Number the texts of some rows, by id where there is one, -1 where the text or its id is missing."""
    columns = [texts_of(batch, name) for name in names]
    joined = join_columns(columns)
    ids = joined if id_name is None else texts_of(batch, id_name)
    there = pc.and_(joined.is_valid(), ids.is_valid())
    numbers = np.full(batch.rows, -1, dtype=np.int64)
    numbers[there.to_numpy(zero_copy_only=False)] = texts.note(ids.filter(there), [joined.filter(there)])
    return numbers.tolist()


def choose_rows(job: PairsData, rows: PairRows) -> tuple[Ints, dict[str, int]]:
    """Give the positions of the rows that count, and how many each rule took."""
    dropped: dict[str, int] = {NO_QUERY: 0, NO_PRODUCT: 0, NO_LABEL: 0, IMPOSSIBLE: 0, NO_TIME_GIVEN: 0, DUPLICATE: 0}
    rules, kept = job.cleaning, []
    seen: set[tuple[int, int, str | None, str | None, int]] = set()
    for row, (query, product, label) in enumerate(zip(rows.query, rows.product, rows.label, strict=True)):
        key = (query, product, label, rows.user[row], rows.time[row])
        if query < 0:
            dropped[NO_QUERY] += 1
        elif product < 0:
            dropped[NO_PRODUCT] += 1
        elif label is None:
            dropped[NO_LABEL] += 1
        elif not _possible(label, rules.lowest, rules.highest):
            dropped[IMPOSSIBLE] += 1
        elif rows.time[row] == NO_TIME:
            dropped[NO_TIME_GIVEN] += 1
        elif rules.duplicates and key in seen:
            dropped[DUPLICATE] += 1
        else:
            seen.add(key)
            kept.append(row)
    return np.array(kept, dtype=np.int64), dropped


def _possible(label: str, lowest: float | None, highest: float | None) -> bool:
    if lowest is None and highest is None:
        return True
    if not NUMBER.fullmatch(label):
        return False
    low = -np.inf if lowest is None else lowest
    high = np.inf if highest is None else highest
    return bool(low <= float(label) <= high)


def read_labels(job: PairsData, labels: Sequence[str | None]) -> tuple[Floats, tuple[str, ...]]:
    """Read labels as grades where all are numbers, else as classes; mostly numbers with a stray word are refused."""
    known = [label or "" for label in labels]
    words = [label for label in known if not NUMBER.fullmatch(label) and label not in BOOLEANS]
    if not words:
        return np.array([BOOLEANS[label] if label in BOOLEANS else float(label) for label in known]), ()
    if len(words) < len(known) / 2:
        raise DataError(f"{job.path}: column '{job.columns.label}' has {words[0]!r} among numbers: a label is either")
    classes = tuple(sorted(set(known)))
    place = {name: float(number) for number, name in enumerate(classes)}
    return np.array([place[label] for label in known]), classes


def explain_rules(job: PairsData) -> dict[str, str]:
    """Say in words what each rule took out."""
    rules = job.cleaning
    return {
        NO_QUERY: "the query, or its id, is empty",
        NO_PRODUCT: "the product's text, or its id, is empty",
        NO_LABEL: "the label is empty",
        IMPOSSIBLE: f"the label is not between {rules.lowest} and {rules.highest}",
        NO_TIME_GIVEN: "the time is empty",
        DUPLICATE: "query, product, label, user and time equal those of a row before it",
    }
