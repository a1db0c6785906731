"""The unlabelled pairs that may be learnt from: none that is judged, none of a query or user of other parts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from trainer.data.columns import strings_of
from trainer.data.dates import NO_TIME
from trainer.data.pair_rows import PairRows, columns_of, read_rows
from trainer.data.pairs import Pairs
from trainer.data.spelling import learn_spelling
from trainer.data.splits import PART_NUMBER, Part, split_by_name
from trainer.data.tables import names_of, read_batches
from trainer.data.text_normalisation import normalise_all, read_as
from trainer.errors import DataError, JobError
from trainer.jobs.data import PairsData
from trainer.jobs.schema import RelevanceJob
from trainer.jobs.tables import TextTable

TRAIN = PART_NUMBER[Part.TRAIN]
LABELLED, KNOWN, ELSEWHERE, AGAIN = "labelled", "judged already", "of a query or user of valid or test rows", "repeated"
NO_TEXT, NO_HOUR = "without a query or product", "without a time"


@dataclass(frozen=True, slots=True)
class Pool:
    """Pairs without a label, in the order of the table, each once."""

    ids: tuple[str, ...]  # of query and product, the same in every table
    queries: tuple[str, ...]  # as models read them
    products: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]  # the columns of the job that the table has, as it has them
    left_out: Mapping[str, int]  # why -> rows

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, places: Sequence[int]) -> "Pool":
        """Give some of the pairs."""
        ids, queries, products = (
            tuple(part[place] for place in places) for part in (self.ids, self.queries, self.products)
        )
        return Pool(ids, queries, products, tuple(self.rows[place] for place in places), self.left_out)


def read_pool(job: RelevanceJob, pairs: Pairs) -> Pool:
    """Read the unlabelled pairs of a job; raise InputError."""
    _check(job)
    path = job.label.pairs or job.data.path
    table = job.data.model_copy(update={"path": path})
    there = _columns_there(table)
    table = table.model_copy(update={"columns": _fewer_columns(job, there), "products": None})
    rows = read_rows(table)
    queries, products = (normalise_all(texts.choose_plain()[0]).texts for texts in (rows.queries, rows.products))
    if job.data.spelling:
        spelling = learn_spelling(pairs.products)
        queries = tuple(spelling.mend(query) for query in queries)
    kept, left_out = _choose(job, rows, pairs, queries, products)
    if not kept:
        shown = ", ".join(f"{count} {why}" for why, count in left_out.items()) or "it is empty"
        raise DataError(f"{path}: none of {len(rows)} rows is left to label: {shown}")
    query, product = [rows.query[row] for row in kept], [rows.product[row] for row in kept]
    ids = tuple(_id(rows.queries.ids[q], rows.products.ids[p]) for q, p in zip(query, product, strict=True))
    if len(set(ids)) < len(ids):
        raise DataError(f"{path}: two pairs have one id of query and product, and different texts")
    raw = _raw_rows(table, [name for name in columns_of(job.data) if name in there], kept)
    return Pool(ids, tuple(queries[q] for q in query), tuple(products[p] for p in product), raw, left_out)


def _check(job: RelevanceJob) -> None:
    columns = job.data.columns
    if columns.label is None:
        raise JobError("label: data.columns.label is missing: where labels stand has to be known")
    if job.data.split.by == "time":
        raise JobError('label: split.by = "time" gives what is labelled last to the test; "query" or "column" is right')


def _columns_there(table: PairsData) -> frozenset[str]:
    joins: Sequence[TextTable] = table.join or ()
    return frozenset(name for part in (table, *joins) for name in names_of(part))


def _fewer_columns(job: RelevanceJob, there: frozenset[str]) -> object:
    columns, own = job.data.columns, job.label.pairs is None
    user = columns.user if columns.user in there or job.data.split.by == "user" else None
    part = columns.part if columns.part in there else None
    changed = {"label": columns.label if own else None, "part": part, "slices": (), "user": user}
    return columns.model_copy(update=changed)


def _choose(
    job: RelevanceJob, rows: PairRows, pairs: Pairs, queries: Sequence[str], products: Sequence[str]
) -> tuple[list[int], dict[str, int]]:
    every = np.arange(len(pairs))
    known = {(read_as(q), read_as(p)) for q, p in zip(*pairs.texts(every), strict=True)}
    outside = np.flatnonzero(pairs.part != TRAIN)
    strange = {read_as(query) for query in pairs.texts(outside)[0]}
    if job.data.columns.query_id is not None:
        strange |= set(pairs.names(outside, "query"))
    lost, kept, seen = _not_of_train(job, rows), [], set()
    left_out: Counter[str] = Counter()
    for row, (query, product) in enumerate(zip(rows.query, rows.product, strict=True)):
        if query < 0 or product < 0:
            left_out[NO_TEXT] += 1
            continue
        if rows.time[row] == NO_TIME:  # cleaning would take it out again
            left_out[NO_HOUR] += 1
            continue
        key = (read_as(queries[query]), read_as(products[product]))
        if job.label.pairs is None and rows.label[row] is not None:
            left_out[LABELLED] += 1
        elif key in known:
            left_out[KNOWN] += 1
        elif lost[row] or key[0] in strange or rows.queries.ids[query] in strange:
            left_out[ELSEWHERE] += 1
        elif key in seen:
            left_out[AGAIN] += 1
        else:
            seen.add(key)
            kept.append(row)
    return kept, dict(left_out)


def _not_of_train(job: RelevanceJob, rows: PairRows) -> npt.NDArray[np.bool_]:
    """Say of each row whether the split would give it to another part: once labelled it would be judged by."""
    split = job.data.split
    told = np.array([(part or "train").lower() != "train" for part in rows.part], dtype=np.bool_)
    match split.by:
        case "user":
            names = [user or "" for user in rows.user]
        case "query":
            ids = rows.queries.ids if job.data.columns.query_id else [read_as(name) for name in rows.queries.ids]
            names = [ids[query] if query >= 0 else "" for query in rows.query]
        case _:
            return told
    return np.asarray(told | (split_by_name(names, split) != TRAIN))


def _id(query: str, product: str) -> str:
    # A letter that no number has stands first: a spreadsheet would round 12345678e901, and 123456789012.
    return "p" + blake2b(f"{query}\x1f{product}".encode(), digest_size=6).hexdigest()


def _raw_rows(table: PairsData, names: Sequence[str], kept: Sequence[int]) -> tuple[Mapping[str, str], ...]:
    wanted, found, start = set(kept), [], 0
    for batch in read_batches(table, names):
        columns = {name: strings_of(batch, name).to_pylist() for name in names}
        places = [row for row in range(batch.rows) if start + row in wanted]
        found += [{name: column[row] or "" for name, column in columns.items()} for row in places]
        start += batch.rows
    return tuple(found)
