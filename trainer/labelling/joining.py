"""A training table with further rows: all that the job reads of it, as it stands there, in one Parquet file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trainer.data.columns import labels_of, strings_of
from trainer.data.numbers import looks_numeric, tell_decimal
from trainer.data.pair_rows import columns_of
from trainer.data.splits import Part
from trainer.data.tables import read_batches
from trainer.jobs.data import PairsData


def write_joined(data: PairsData, rows: Sequence[Mapping[str, str]], labels: Sequence[str], path: Path) -> int:
    """Write the table of a job with labelled rows, which belong to the train part, behind its own; give its length."""
    names = list(dict.fromkeys((*columns_of(data), *(name for join in data.join or () for name in join.on))))
    sign = _decimal_sign(data)
    schema = pa.schema([(name, pa.string()) for name in names])
    written, columns = 0, data.columns
    with pq.ParquetWriter(path, schema) as writer:
        for batch in read_batches(data, names):
            writer.write_table(pa.table({name: strings_of(batch, name) for name in names}, schema=schema))
            written += batch.rows
        fixed = {columns.part: Part.TRAIN.value}
        added = [
            {
                **{name: row.get(name) or None for name in names},
                **fixed,
                columns.label: label.replace(".", sign) if looks_numeric(label) else label,
            }
            for row, label in zip(rows, labels, strict=True)
        ]
        writer.write_table(pa.table({name: [row[name] for row in added] for name in names}, schema=schema))
    return written + len(added)


def _decimal_sign(data: PairsData) -> str:
    """Say what parts a label's whole from the rest in a table: written in two ways it could not be read."""
    name = data.columns.label
    if data.grades is not None or name is None:
        return "."
    if data.decimal is not None:
        return data.decimal
    found = {label for batch in read_batches(data, (name,)) for label in pc.unique(labels_of(batch, name)).to_pylist()}
    return tell_decimal([label for label in found if label is not None]) or "."


def joined_data(data: PairsData, path: Path) -> PairsData:
    """Give the section that reads what write_joined wrote."""
    told = {"path": path, "delimiter": None, "encoding": None, "header": None, "quotes": None, "join": None}
    return data.model_copy(update=told)
