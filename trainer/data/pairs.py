"""Pairs of a query, or a user's text, and a product, judged: read, cleaned, split, checked for leaks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Literal

import numpy as np
import numpy.typing as npt

from trainer.data.card import DataCard
from trainer.data.earlier_texts import reword
from trainer.data.leaks import judge_leaks
from trainer.data.pair_leaks import PairLeaks, find_pair_leaks
from trainer.data.pair_rows import (
    WITH_PICTURES,
    PairRows,
    choose_rows,
    explain_rules,
    note_products,
    read_labels,
    read_rows,
)
from trainer.data.product_pictures import SEVERAL, PictureSource
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
from trainer.data.tables import ROWS_AT_A_TIME, read_batches
from trainer.data.text_normalisation import check_words, normalise_all, read_as
from trainer.errors import DataError
from trainer.jobs.data import PairsData
from trainer.tracking.progress import say

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MISSPELT = "queries with words that no product has"
SEVERAL_LABELS = "pairs with several labels"
UNSEEN_LABEL = "rows with a label that no train row has"


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
    users: tuple[str, ...] | None  # of each row, where the source says; "" where it does not of one
    card: DataCard
    pictures: tuple[PictureSource | None, ...] | None = None  # of each product, where the job names a column of them

    def __len__(self) -> int:
        return len(self.query_id)

    def rows(self, part: Part) -> Ints:
        """Give the positions of a part's rows."""
        return np.flatnonzero(self.part == PART_NUMBER[part])

    def texts(self, rows: Ints) -> tuple[list[str], list[str]]:
        """Give the queries and the products of some rows."""
        queries = [self.queries[place] for place in self.query_id[rows].tolist()]
        return queries, [self.products[place] for place in self.product_id[rows].tolist()]

    def names(self, rows: Ints, unit: Literal["query", "user", "product"]) -> tuple[str, ...]:
        """Give the query, user or product of some rows by its id; a row without a user is alone with its query."""
        match unit:
            case "query":
                return tuple(self.query_keys[query] for query in self.query_id[rows].tolist())
            case "product":
                return tuple(self.product_keys[product] for product in self.product_id[rows].tolist())
            case "user":
                assert self.users is not None  # the job refuses it
                users = (self.users[row] for row in rows.tolist())
                return tuple(u or f"\x00{q}" for u, q in zip(users, self.names(rows, "query"), strict=True))


ReadPairs = Callable[[PairsData], Pairs]


def read_pairs(job: PairsData) -> Pairs:
    """Read, clean and split a table of pairs; raise DataError."""
    rows = read_rows(job)
    if not len(rows):
        raise DataError(f"{job.path}: has no rows below its heading")
    kept, dropped = choose_rows(job, rows)
    if not len(kept):
        raise DataError(f"{job.path}: cleaning leaves none of {len(rows)} rows: {_shown(dropped)}")
    label, classes = read_labels(job, rows, kept)
    part = _split(job, rows, kept)
    check_parts(str(job.path), part, (Part.TRAIN, Part.TEST))
    learnt = np.zeros(len(rows), dtype=np.bool_)
    learnt[kept[part == PART_NUMBER[Part.TRAIN]]] = True
    queries, query_id, query_mended = _settle(job, rows, kept, learnt, "query")
    _read_more_products(job, rows)
    products, product_id, product_mended = _settle(job, rows, kept, learnt, "product")
    if job.spelling:
        queries, query_mended = _spell(queries, products, query_mended)
    query_keys, product_keys = tuple(rows.queries.ids), tuple(rows.products.ids)
    asked = sorted(np.unique(query_id).tolist(), key=lambda place: (queries[place], query_keys[place]))
    queries, query_keys, query_id = _renumber(queries, query_keys, query_id, asked)
    order, size = _order_products(job, product_keys, product_id, part)
    products, product_keys, product_id = _renumber(products, product_keys, product_id, order)
    pictures, several = _choose_pictures(job, rows, order)
    # What has no text is told by its id: two such are not the same.
    named = [text or key for text, key in zip(products, product_keys, strict=True)]
    leaks = _find_leaks(job, rows, kept, queries, query_id, named, product_id, part)
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
        mended=query_mended
        | product_mended
        | _odd_labels(query_id, product_id, label, part)
        | several
        | rows.notes.mended,
        read_as=rows.notes.read_as or None,
        leaks=leaks.found,
        not_compared=leaks.not_compared,
        explained=explain_rules(job),
    )
    slices = {name: tuple(values[row] for row in kept) for name, values in rows.slices.items()}
    users = None if job.columns.user is None else tuple(rows.user[row] or "" for row in kept)
    texts = (queries, products, query_keys, product_keys)
    return Pairs(query_id, product_id, *texts, label, classes, part, slices, users, card, pictures)


def _split(job: PairsData, rows: PairRows, kept: Ints) -> Parts:
    match job.split.by:
        case "column":
            return split_by_column(lambda row: rows.where(row, job.columns.part), rows.part)[kept]
        case "time":
            return split_by_time(np.array(rows.time, dtype=np.int64)[kept], job.split)
        case "user":
            return split_by_name([rows.user[row] or "" for row in kept], job.split)
        case "query":
            # Without ids of their own, two spellings of one query are one query: models read them alike.
            ids = rows.queries.ids if job.columns.query_id else [read_as(name) for name in rows.queries.ids]
            return split_by_name([ids[rows.query[row]] for row in kept], job.split)


def _read_more_products(job: PairsData, rows: PairRows) -> None:
    if (more := job.products) is None:
        return
    names = (more.id, *more.text, *(() if more.image is None else (more.image,)))
    few = ROWS_AT_A_TIME if more.image is None else WITH_PICTURES
    again = partial(read_batches, more, names, rows=few)
    for batch in again(notes=rows.notes):
        note_products(batch, rows, more.text, more.id, more.image, again)


def _choose_pictures(
    job: PairsData, rows: PairRows, order: Sequence[int]
) -> tuple[tuple[PictureSource | None, ...] | None, dict[str, int]]:
    """Give each product in this order its picture, and count those that rows gave several."""
    if not job.has_pictures:
        return None, {}
    chosen, several = rows.pictures.choose(len(rows.products.ids))
    return tuple(chosen[old] for old in order), {SEVERAL: several} if several else {}


def _settle(
    job: PairsData, rows: PairRows, kept: Ints, learnt: Mask, what: Literal["query", "product"]
) -> tuple[tuple[str, ...], Ints, dict[str, int]]:
    """Give each number its one text, normalised, and say what was mended."""
    columns, asked = job.columns, what == "query"
    texts, numbers = (rows.queries, rows.query) if asked else (rows.products, rows.product)
    names, id_name = (columns.query, columns.query_id) if asked else (columns.product, columns.product_id)
    wordings, several = texts.choose_plain()
    if several and id_name is not None:
        wordings = reword(job, texts, names, id_name, learnt)
    if asked or any(wordings) or not job.has_pictures:  # of pictures alone no text has to be there
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
    """Choose the catalogue, what the test asks for first; give it by id, then the rest, and the catalogue's size."""
    tested = set(product_id[part == PART_NUMBER[Part.TEST]].tolist())
    judged = set(product_id.tolist())
    there = range(len(keys)) if job.products is not None else sorted(judged)
    order = sorted(there, key=lambda place: (place not in tested, *_by_id(keys[place])))
    size = len(order) if job.catalogue is None else min(job.catalogue, len(order))
    if size < len(tested):
        raise DataError(f"{job.path}: catalogue = {size} is less than the {len(tested)} products of the test rows")
    # Numbered by id alone: a number that told what is judged would decide between products that score the same.
    catalogue = sorted(order[:size], key=lambda place: _by_id(keys[place]))
    searched = set(catalogue)
    return catalogue + [place for place in order[size:] if place in judged and place not in searched], size


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
    rows: PairRows,
    kept: Ints,
    queries: Sequence[str],
    query_id: Ints,
    products: Sequence[str],
    product_id: Ints,
    part: Parts,
) -> PairLeaks:
    users = None if job.columns.user is None else [rows.user[row] or "" for row in kept]
    asked, given = [queries[q] for q in query_id.tolist()], [products[p] for p in product_id.tolist()]
    leaks = find_pair_leaks(asked, given, users, part, job.split)
    tested = int(np.count_nonzero(part == PART_NUMBER[Part.TEST]))
    judge_leaks(str(job.path), leaks.found, tested, job.leak_check, not_promised=leaks.not_promised)
    if leaks.not_compared:
        say(f"trainer: {job.path}: {leaks.not_compared} texts resemble too many to be held against all of them")
    return leaks


def _odd_labels(query_id: Ints, product_id: Ints, label: Floats, part: Parts) -> dict[str, int]:
    """Count pairs that raters disagree about, and rows whose label could not be learned."""
    pairs, place = np.unique(np.stack([query_id, product_id]), axis=1, return_inverse=True)
    low, high = np.full(pairs.shape[1], np.inf), np.full(pairs.shape[1], -np.inf)
    np.minimum.at(low, place.ravel(), label)
    np.maximum.at(high, place.ravel(), label)
    several = int(np.count_nonzero(low < high))
    unseen = int(np.count_nonzero(~np.isin(label, label[part == PART_NUMBER[Part.TRAIN]])))
    return {name: count for name, count in ((SEVERAL_LABELS, several), (UNSEEN_LABEL, unseen)) if count}


def _hash(*content: Sequence[str] | npt.NDArray[np.generic]) -> str:
    digest = sha256()
    for column in content:
        if isinstance(column, np.ndarray):
            digest.update(np.ascontiguousarray(column).tobytes() + b"\x1d")
        else:
            digest.update("\x1e".join(column).encode() + b"\x1d")
    return digest.hexdigest()


def _shown(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
