"""A training table with further rows: all that the job reads of it, as it stands there, in one Parquet file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainer.data.columns import strings_of
from trainer.data.pair_rows import columns_of
from trainer.data.splits import Part
from trainer.data.tables import read_batches
from trainer.jobs.data import PairsData


def write_joined(data: PairsData, rows: Sequence[Mapping[str, str]], labels: Sequence[str], path: Path) -> int:
    """Write the table of a job with labelled rows, which belong to the train part, behind its own; give its length."""
    names = list(dict.fromkeys((*columns_of(data), *(name for join in data.join or () for name in join.on))))
    schema = pa.schema([(name, pa.string()) for name in names])
    written, columns = 0, data.columns
    with pq.ParquetWriter(path, schema) as writer:
        for batch in read_batches(data, names):
            writer.write_table(pa.table({name: strings_of(batch, name) for name in names}, schema=schema))
            written += batch.rows
        fixed = {columns.part: Part.TRAIN.value}
        added = [
            {**{name: row.get(name) or None for name in names}, **fixed, columns.label: label}
            for row, label in zip(rows, labels, strict=True)
        ]
        writer.write_table(pa.table({name: [row[name] for row in added] for name in names}, schema=schema))
    return written + len(added)


def joined_data(data: PairsData, path: Path) -> PairsData:
    """Give the section that reads what write_joined wrote."""
    told = {"path": path, "delimiter": None, "encoding": None, "header": None, "quotes": None, "join": None}
    return data.model_copy(update=told)
