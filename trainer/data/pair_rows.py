"""The rows of a table of pairs as the source has them, the rules by which some are left out, and their labels."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.batches import Batch, Notes
from trainer.data.columns import ids_of, labels_of, texts_of
from trainer.data.dates import HOUR, NO_TIME
from trainer.data.item_texts import ItemTexts, join_columns
from trainer.data.numbers import NotANumber, looks_numeric, read_numbers
from trainer.data.product_pictures import PicturesOfProducts, Reading, have_pictures
from trainer.data.tables import ROWS_AT_A_TIME, read_batches
from trainer.data.times import TimeReader
from trainer.errors import DataError
from trainer.jobs.data import PairsData

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NO_QUERY, NO_PRODUCT, NO_LABEL = "no query", "no product", "no label"
WITH_PICTURES = 1024  # rows at a time: of bytes as large as pictures
LARGEST_GRADE = 1e15  # up to here whole numbers keep their digits
IMPOSSIBLE, DUPLICATE, NO_TIME_GIVEN = "impossible label", "the same row again", "no time"


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
    pictures: PicturesOfProducts
    starts: list[tuple[int, Path, int]] = field(default_factory=list)  # first row of a batch, its file, its row there
    notes: Notes = field(default_factory=Notes)

    def __len__(self) -> int:
        return len(self.query)

    def where(self, row: int, column: str | None) -> str:
        """Name a row by its file and its place there."""
        start, path, first = self.starts[bisect_right(self.starts, row, key=lambda entry: entry[0]) - 1]
        return f"{path}: column '{column}': row {row - start + first}"


def read_rows(job: PairsData) -> PairRows:
    """Read the columns that the job names; raise DataError."""
    columns = job.columns
    queries, products = ItemTexts(wanted=True), ItemTexts(wanted=True)
    slices: dict[str, list[str]] = {name: [] for name in columns.slices}
    rows = PairRows(queries, products, [], [], [], [], [], [], slices, PicturesOfProducts(job.images))
    again = partial(batches_of, job)
    clock = TimeReader(job.time_format, again)
    for batch in batches_of(job, rows.notes):
        rows.starts.append((len(rows), batch.path, batch.first_row))
        rows.query += note_texts(batch, rows.queries, columns.query, columns.query_id)
        rows.product += note_products(batch, rows, columns.product, columns.product_id, columns.image, again)
        rows.label += ["1"] * batch.rows if columns.label is None else labels_of(batch, columns.label).to_pylist()
        rows.part += [None] * batch.rows if columns.part is None else labels_of(batch, columns.part).to_pylist()
        rows.user += [None] * batch.rows if columns.user is None else ids_of(batch, columns.user).to_pylist()
        rows.time += [0] * batch.rows if columns.time is None else clock.read(batch, columns.time).tolist()
        for name in columns.slices:
            rows.slices[name] += [value or "" for value in labels_of(batch, name).to_pylist()]
    return rows


def batches_of(job: PairsData, notes: Notes | None = None) -> Iterator[Batch]:
    """Read the columns that the job names, fewer rows at a time where they may hold pictures."""
    rows = ROWS_AT_A_TIME if job.columns.image is None else WITH_PICTURES
    return read_batches(job, columns_of(job), rows=rows, notes=notes)


def columns_of(job: PairsData) -> tuple[str, ...]:
    """Name the columns that the job reads."""
    columns = job.columns
    ids = (columns.query_id, columns.product_id, columns.image)
    single = (columns.label, *ids, columns.part, columns.user, columns.time)
    return (*columns.query, *columns.product, *(name for name in single if name is not None), *columns.slices)


def note_products(
    batch: Batch, rows: PairRows, names: Sequence[str], id_name: str | None, image: str | None, reading: Reading
) -> list[int]:
    """Number the products of some rows, and note their pictures: one that has a picture and an id needs no text."""
    if image is None:
        return note_texts(batch, rows.products, names, id_name)
    numbers = note_texts(batch, rows.products, names, id_name, known=pa.array(have_pictures(batch, image)))
    rows.pictures.note(batch, image, numbers, reading)
    return numbers


def note_texts(
    batch: Batch,
    texts: ItemTexts,
    names: Sequence[str],
    id_name: str | None,
    chosen: Any = None,
    known: Any = None,
) -> list[int]:
    """Number the texts of some rows, by id where there is one, -1 where the text or its id is missing or not chosen.

    What is *known* by something else has a number without a text, where it has an id.
    """
    columns = [texts_of(batch, name) for name in names]
    joined = join_columns(columns)
    ids = joined if id_name is None else ids_of(batch, id_name)
    there = joined.is_valid() if known is None else pc.or_(joined.is_valid(), known)
    there = pc.and_(there, ids.is_valid())
    there = there if chosen is None else pc.and_(there, chosen)
    numbers = np.full(batch.rows, -1, dtype=np.int64)
    numbers[there.to_numpy(zero_copy_only=False)] = texts.note(ids.filter(there), [joined.filter(there)])
    return numbers.tolist()


def choose_rows(job: PairsData, rows: PairRows) -> tuple[Ints, dict[str, int]]:
    """Give the positions of the rows that count, and how many each rule took."""
    dropped: dict[str, int] = {NO_QUERY: 0, NO_PRODUCT: 0, NO_LABEL: 0, IMPOSSIBLE: 0, NO_TIME_GIVEN: 0, DUPLICATE: 0}
    rules, kept = job.cleaning, []
    possible = _possible(job, rows)
    duplicates = rules.duplicates if rules.duplicates is not None else _finer_than_hours(job, rows)
    slices = [*zip(*rows.slices.values(), strict=True)] or [()] * len(rows)
    seen: set[tuple[int, int, str | None, str | None, int, tuple[str, ...]]] = set()
    for row, (query, product, label) in enumerate(zip(rows.query, rows.product, rows.label, strict=True)):
        key = (query, product, label, rows.user[row], rows.time[row], slices[row])
        if query < 0:
            dropped[NO_QUERY] += 1
        elif product < 0:
            dropped[NO_PRODUCT] += 1
        elif label is None:
            dropped[NO_LABEL] += 1
        elif not possible.get(label, True):
            dropped[IMPOSSIBLE] += 1
        elif rows.time[row] == NO_TIME:
            dropped[NO_TIME_GIVEN] += 1
        elif duplicates and key in seen:
            dropped[DUPLICATE] += 1
        else:
            seen.add(key)
            kept.append(row)
    return np.array(kept, dtype=np.int64), dropped


def _finer_than_hours(job: PairsData, rows: PairRows) -> bool:
    """Say whether equal rows can only be the same one: two of one hour may be two."""
    if job.columns.time is None:
        return True
    return any(time % HOUR for time in rows.time if time != NO_TIME)


def _possible(job: PairsData, rows: PairRows) -> dict[str, bool]:
    """Say of each label whether it lies within the limits, if there are any."""
    rules = job.cleaning
    if rules.lowest is None and rules.highest is None:
        return {}
    low = -np.inf if rules.lowest is None else rules.lowest
    high = np.inf if rules.highest is None else rules.highest
    labels = {label for label in rows.label if label is not None}
    values = job.grades or _numbers(job, rows, [label for label in rows.label if label and looks_numeric(label)])
    return {label: label in values and bool(low <= values[label] <= high) for label in labels}


def _numbers(job: PairsData, rows: PairRows, labels: Sequence[str]) -> dict[str, float]:
    try:
        return read_numbers(labels, job.decimal)
    except NotANumber as error:
        where = rows.where(rows.label.index(error.text), job.columns.label)
        raise DataError(f"{where} has {error.text!r}, not {error.right}") from None


def read_labels(job: PairsData, rows: PairRows, kept: Ints) -> tuple[Floats, tuple[str, ...]]:
    """Read labels as grades where all are numbers or the job says what they are worth, else as classes.

    Mostly numbers with a stray word are refused.
    """
    known = [rows.label[row] or "" for row in kept]
    if job.grades is not None:
        return _within(job, rows, kept, _graded(job, rows, kept, known)), ()
    words = [row for row, label in zip(kept.tolist(), known, strict=True) if not looks_numeric(label)]
    if not words:
        values = _numbers(job, rows, known)
        return _within(job, rows, kept, np.array([values[label] for label in known])), ()
    if len(words) < len(known) / 2:
        where = rows.where(words[0], job.columns.label)
        raise DataError(f"{where} has {rows.label[words[0]]!r} among numbers: a label is either")
    classes = tuple(sorted(set(known)))
    place = {name: float(number) for number, name in enumerate(classes)}
    return np.array([place[label] for label in known]), classes


def _within(job: PairsData, rows: PairRows, kept: Ints, label: Floats) -> Floats:
    """Give grades; raise DataError for one whose square, and its share of a sum, no number could hold."""
    for row in kept[~(np.abs(label) <= LARGEST_GRADE)][:1].tolist():
        where = rows.where(row, job.columns.label)
        raise DataError(
            f"{where} has {rows.label[row]!r}: a grade between {-LARGEST_GRADE:g} and {LARGEST_GRADE:g} is right"
        )
    return label


def _graded(job: PairsData, rows: PairRows, kept: Ints, labels: Sequence[str]) -> Floats:
    """Give what the labels are worth; raise DataError for one of which the job does not say it."""
    assert job.grades is not None
    for row, label in zip(kept.tolist(), labels, strict=True):
        if label not in job.grades:
            where = rows.where(row, job.columns.label)
            raise DataError(f"{where} has {label!r}, and grades says what {', '.join(job.grades)} are worth")
    return np.array([job.grades[label] for label in labels])


def explain_rules(job: PairsData) -> dict[str, str]:
    """Say in words what each rule took out."""
    rules = job.cleaning
    return {
        NO_QUERY: "the query, or its id, is empty",
        NO_PRODUCT: "the product's text, or its id, is empty"
        + (", and no picture is named" if job.columns.image is not None else ""),
        NO_LABEL: "the label is empty, NULL, nan or the like",
        IMPOSSIBLE: f"the label is not between {rules.lowest} and {rules.highest}",
        NO_TIME_GIVEN: "the time is empty",
        DUPLICATE: "query, product, label, user, time and slices equal those of a row before it",
    }
