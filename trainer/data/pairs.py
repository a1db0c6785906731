"""Pairs of a query, or a user's text, and a product, judged: read, cleaned, split, checked for leaks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from trainer.data.card import DataCard
from trainer.data.columns import NO_TIME, texts_of, times_of
from trainer.data.item_texts import ItemTexts, join_columns
from trainer.data.leaks import judge_leaks
from trainer.data.pair_leaks import find_pair_leaks
from trainer.data.spelling import learn_spelling
from trainer.data.splits import (
    PART_NUMBER,
    Part,
    Parts,
    check_parts,
    count_parts,
    describe_split,
    split_by_column,
    split_by_name,
    split_by_time,
)
from trainer.data.tables import Batch, read_batches
from trainer.data.text_normalisation import check_words, normalise_all
from trainer.errors import DataError
from trainer.jobs.data import PairsData

__all__ = ["PART_NUMBER", "Pairs", "Part", "read_pairs"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NO_QUERY, NO_PRODUCT, NO_LABEL = "no query", "no product", "no label"
IMPOSSIBLE, DUPLICATE, NO_TIME_GIVEN = "impossible label", "the same row again", "no time"
MISSPELT = "queries with words that no product has"
SEVERAL_LABELS = "pairs with several labels"
BOOLEANS = {"true": 1.0, "false": 0.0}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Pairs:
    """N rows in the order of the source, and the texts they point to.

    The first `card.catalogue_size` products are the catalogue a search looks through; those after it, if it was cut,
    only occur in rows.
    """

    query_id: Ints  # of each row, dense from 0, into queries
    product_id: Ints  # dense from 0, into products
    queries: tuple[str, ...]  # normalised texts
    products: tuple[str, ...]
    query_keys: tuple[str, ...]  # ids in the source
    product_keys: tuple[str, ...]
    label: Floats  # grade; of classes the place in `classes`
    classes: tuple[str, ...]  # names where labels are words, else none
    part: Parts  # 0 train, 1 valid, 2 test
    slices: Mapping[str, tuple[str, ...]]
    card: DataCard

    def __len__(self) -> int:
        return len(self.query_id)

    def rows(self, part: Part) -> Ints:
        """Give the positions of a part's rows."""
        return np.flatnonzero(self.part == PART_NUMBER[part])


@dataclass(slots=True)
class _PairRows:
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


def read_pairs(job: PairsData) -> Pairs:
    """Read, clean and split a table of pairs; raise DataError."""
    rows = _read(job)
    kept, dropped = _judge(job, rows)
    if not len(kept):
        raise DataError(f"{job.path}: cleaning leaves none of {len(rows)} rows: {_shown(dropped)}")
    label, classes = _labels(job, [rows.label[row] for row in kept])
    part = _split(job, rows, kept)
    check_parts(str(job.path), part, (Part.TRAIN, Part.TEST))
    queries, query_id, query_mended = _settle(job, rows.queries, rows.query, kept, "query")
    _read_more_products(job, rows.products)
    products, product_id, product_mended = _settle(job, rows.products, rows.product, kept, "product")
    if job.spelling:
        queries, query_mended = _spell(queries, products, query_mended)
    query_keys, product_keys = tuple(rows.queries.ids), tuple(rows.products.ids)
    queries, query_keys, query_id = _renumber(queries, query_keys, query_id, np.unique(query_id))
    order, size = _order_products(job, product_keys, product_id, part)
    products, product_keys, product_id = _renumber(products, product_keys, product_id, order)
    leaks = _find_leaks(job, rows, kept, queries, query_id, products, product_id, part)
    test = part == PART_NUMBER[Part.TEST]
    card = DataCard(
        source=str(job.path),
        rows_in=len(rows),
        rows_kept=len(kept),
        dropped=dropped,
        catalogue_size=size,
        distinct_texts=len(set(products[:size])),
        test_examples=len(np.unique(query_id[test])),
        hash=_hash(query_keys, queries, product_keys, products, query_id, product_id, label, part),
        queries=len(queries),
        test_targets=int(np.count_nonzero(test)),
        split=describe_split(job.split),
        parts=count_parts(part),
        mended=query_mended | product_mended | _several_labels(query_id, product_id, label),
        leaks=leaks,
        explained=_explain(job),
    )
    slices = {name: tuple(values[row] for row in kept) for name, values in rows.slices.items()}
    return Pairs(query_id, product_id, queries, products, query_keys, product_keys, label, classes, part, slices, card)


def _read(job: PairsData) -> _PairRows:
    columns = job.columns
    rows = _PairRows(
        ItemTexts(wanted=True), ItemTexts(wanted=True), [], [], [], [], [], [], {n: [] for n in columns.slices}
    )
    single = (columns.label, columns.query_id, columns.product_id, columns.part, columns.user, columns.time)
    names = (*columns.query, *columns.product, *(name for name in single if name is not None), *columns.slices)
    for batch in read_batches(job.path, names):
        rows.query += _note(batch, rows.queries, columns.query, columns.query_id)
        rows.product += _note(batch, rows.products, columns.product, columns.product_id)
        rows.label += _optional(batch, columns.label, "1")
        rows.part += _optional(batch, columns.part, None)
        rows.user += _optional(batch, columns.user, None)
        rows.time += [0] * batch.rows if columns.time is None else times_of(batch, columns.time).tolist()
        for name in columns.slices:
            rows.slices[name] += [value or "" for value in texts_of(batch, name).to_pylist()]
    return rows


def _optional(batch: Batch, name: str | None, default: str | None) -> list[str | None]:
    return [default] * batch.rows if name is None else list(texts_of(batch, name).to_pylist())


def _note(batch: Batch, texts: ItemTexts, names: Sequence[str], id_name: str | None) -> list[int]:
    """Number the texts of some rows, by id where there is one, -1 where the text or its id is missing."""
    columns = [texts_of(batch, name) for name in names]
    joined = join_columns(columns)
    ids = joined if id_name is None else texts_of(batch, id_name)
    there = pc.and_(joined.is_valid(), ids.is_valid())
    numbers = np.full(batch.rows, -1, dtype=np.int64)
    numbers[there.to_numpy(zero_copy_only=False)] = texts.note(ids.filter(there), [joined.filter(there)])
    return numbers.tolist()


def _judge(job: PairsData, rows: _PairRows) -> tuple[Ints, dict[str, int]]:
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


def _labels(job: PairsData, labels: Sequence[str | None]) -> tuple[Floats, tuple[str, ...]]:
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


def _split(job: PairsData, rows: _PairRows, kept: Ints) -> Parts:
    match job.split.by:
        case "column":
            where = f"{job.path}: column '{job.columns.part}'"
            return split_by_column(where, rows.part)[kept]
        case "time":
            return split_by_time(np.array(rows.time, dtype=np.int64)[kept], job.split)
        case "user":
            return split_by_name([rows.user[row] or "" for row in kept], job.split)
        case "query":
            return split_by_name([rows.queries.ids[rows.query[row]] for row in kept], job.split)


def _read_more_products(job: PairsData, products: ItemTexts) -> None:
    if job.products is None:
        return
    for batch in read_batches(job.products.path, (job.products.id, *job.products.text)):
        _note(batch, products, job.products.text, job.products.id)


def _settle(
    job: PairsData, texts: ItemTexts, numbers: Sequence[int], kept: Ints, what: str
) -> tuple[tuple[str, ...], Ints, dict[str, int]]:
    """Give each number its one text, normalised, and say what was mended."""
    names = job.columns.query if what == "query" else job.columns.product
    wordings, several = texts.choose_plain()
    check_words(f"{job.path}: column '{names[0]}'", wordings)
    clean = normalise_all(wordings)
    plural = {"query": "queries", "product": "products"}[what]
    mended = {f"{plural} with several texts": several} if several else {}
    mended |= {f"{plural} with {name}": count for name, count in clean.changed.items()}
    return clean.texts, np.array(numbers, dtype=np.int64)[kept], mended


def _spell(
    queries: tuple[str, ...], products: Sequence[str], mended: dict[str, int]
) -> tuple[tuple[str, ...], dict[str, int]]:
    spelling = learn_spelling(products)
    spelt = tuple(spelling.mend(query) for query in queries)
    count = sum(one != other for one, other in zip(queries, spelt, strict=True))
    return spelt, mended | ({MISSPELT: count} if count else {})


def _order_products(job: PairsData, keys: Sequence[str], product_id: Ints, part: Parts) -> tuple[list[int], int]:
    """Number the products the test asks for first, the others by id; give the order and the catalogue's size."""
    tested = set(product_id[part == PART_NUMBER[Part.TEST]].tolist())
    judged = set(product_id.tolist())
    there = range(len(keys)) if job.products is not None else sorted(judged)
    order = sorted(there, key=lambda place: (place not in tested, *_by_id(keys[place])))
    size = len(order) if job.catalogue is None else min(job.catalogue, len(order))
    if size < len(tested):
        raise DataError(f"{job.path}: catalogue = {size} is less than the {len(tested)} products of the test rows")
    searched = set(order[:size])
    return order[:size] + [place for place in order[size:] if place in judged and place not in searched], size


def _by_id(key: str) -> tuple[int, int, str]:
    """Order ids that are numbers as numbers, the others after them as text."""
    return (0, int(key), key) if key.isdecimal() else (1, 0, key)


def _renumber(
    texts: Sequence[str], keys: Sequence[str], numbers: Ints, order: Sequence[int] | Ints
) -> tuple[tuple[str, ...], tuple[str, ...], Ints]:
    place = np.full(len(keys), -1, dtype=np.int64)
    place[np.asarray(order, dtype=np.int64)] = np.arange(len(order))
    return tuple(texts[old] for old in order), tuple(keys[old] for old in order), place[numbers]


def _find_leaks(
    job: PairsData,
    rows: _PairRows,
    kept: Ints,
    queries: Sequence[str],
    query_id: Ints,
    products: Sequence[str],
    product_id: Ints,
    part: Parts,
) -> dict[str, int]:
    users = None if job.columns.user is None else [rows.user[row] or "" for row in kept]
    asked, given = [queries[q] for q in query_id.tolist()], [products[p] for p in product_id.tolist()]
    found = find_pair_leaks(asked, given, users, part, job.split)
    judge_leaks(str(job.path), found, int(np.count_nonzero(part == PART_NUMBER[Part.TEST])), job.leak_check)
    return found


def _several_labels(query_id: Ints, product_id: Ints, label: Floats) -> dict[str, int]:
    pairs, place = np.unique(np.stack([query_id, product_id]), axis=1, return_inverse=True)
    low, high = np.full(pairs.shape[1], np.inf), np.full(pairs.shape[1], -np.inf)
    np.minimum.at(low, place.ravel(), label)
    np.maximum.at(high, place.ravel(), label)
    several = int(np.count_nonzero(low < high))
    return {SEVERAL_LABELS: several} if several else {}


def _hash(*content: Sequence[str] | npt.NDArray[np.generic]) -> str:
    digest = sha256()
    for column in content:
        if isinstance(column, np.ndarray):
            digest.update(np.ascontiguousarray(column).tobytes() + b"\x1d")
        else:
            digest.update("\x1e".join(column).encode() + b"\x1d")
    return digest.hexdigest()


def _explain(job: PairsData) -> dict[str, str]:
    rules = job.cleaning
    return {
        NO_QUERY: "the query, or its id, is empty",
        NO_PRODUCT: "the product's text, or its id, is empty",
        NO_LABEL: "the label is empty",
        IMPOSSIBLE: f"the label is not between {rules.lowest} and {rules.highest}",
        NO_TIME_GIVEN: "the time is empty",
        DUPLICATE: "query, product, label, user and time equal those of a row before it",
    }


def _shown(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
