"""The texts of items as the log words them before the test: what they are called later is not known yet."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from trainer.data.columns import ids_of, texts_of
from trainer.data.dates import NO_TIME
from trainer.data.item_texts import ItemTexts
from trainer.data.local_time import local_time
from trainer.data.tables import read_batches
from trainer.data.times import TimeReader
from trainer.jobs.data import InteractionsData


def texts_before(job: InteractionsData, limits: Mapping[str, int] | int, step: int) -> dict[str, str]:
    """Give each item's most frequent text of the rows before a time, or before each user's own; times in steps."""
    texts, columns, clock = ItemTexts(wanted=False), job.columns, TimeReader(job.time_format)
    for batch in read_batches(job, (columns.user, columns.item, columns.time, *columns.text)):
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


def _of_users(user: pa.Array, limits: Mapping[str, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    endless = np.iinfo(np.int64).max
    return np.array([limits.get(name, endless) for name in user.to_pylist()], dtype=np.int64)
