"""The texts of items as the rows word them that are learned from: what they are called later is not known yet."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainer.data.columns import ids_of, texts_of
from trainer.data.dates import NO_TIME
from trainer.data.event_columns import Readers, columns_of
from trainer.data.item_texts import ItemTexts
from trainer.data.local_time import local_time
from trainer.data.pair_rows import batches_of, note_texts
from trainer.data.tables import read_batches
from trainer.jobs.data import InteractionsData, PairsData


def texts_before(job: InteractionsData, limits: Mapping[str, int] | int, step: int) -> dict[str, str]:
    """Give each item's most frequent text of the rows before a time, or before each user's own; times in steps."""
    texts, columns, clock = ItemTexts(wanted=False), job.columns, Readers.of(job).time
    for batch in read_batches(job, columns_of(job)):  # the same, so that the file is read the same way
        user, item = ids_of(batch, columns.user), ids_of(batch, columns.item)
        time = clock.read(batch, columns.time)
        there = (time != NO_TIME) & ~np.asarray(item.is_null()) & ~np.asarray(user.is_null())
        when = np.full(batch.rows, np.iinfo(np.int64).max)
        when[there] = local_time(time[there], job.time_zone) // step
        known = there & (when < (limits if isinstance(limits, int) else _of_users(user, limits)))
        chosen = pa.array(known)
        texts.note(item.filter(chosen), [texts_of(batch, name).filter(chosen) for name in columns.text])
    wordings, _ = texts.choose(f"{job.path}: the text of items")
    return {name: text for name, text in zip(texts.ids, wordings, strict=True) if text}


def reword(
    job: PairsData, texts: ItemTexts, names: Sequence[str], id_name: str, learnt: npt.NDArray[np.bool_]
) -> list[str]:
    """Give every id its most frequent text in the rows that are *learnt* from and in the table of products.

    What neither of them has is called as the other rows call it.
    """
    found, first = ItemTexts(wanted=True), 0
    for batch in batches_of(job):  # the same, so that the file is read the same way
        note_texts(batch, found, names, id_name, pa.array(learnt[first : first + batch.rows]))
        first += batch.rows
    if job.products is not None and id_name == job.columns.product_id:
        for batch in read_batches(job.products, (job.products.id, *job.products.text)):
            note_texts(batch, found, job.products.text, job.products.id)
    known = dict(zip(found.ids, found.choose_plain()[0], strict=True))
    return [known.get(name) or text for name, text in zip(texts.ids, texts.choose_plain()[0], strict=True)]


def _of_users(user: pa.Array, limits: Mapping[str, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    endless = np.iinfo(np.int64).max
    return np.array([limits.get(name, endless) for name in user.to_pylist()], dtype=np.int64)
