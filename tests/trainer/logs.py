"""Small logs of events and tables of pairs, written as teams have them."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from trainer.jobs.data import InteractionsData, PairsData

Table = Mapping[str, Sequence[Any]]

EVENTS: Table = {
    "who": ["ann", "ann", "ann", "bob", "bob", "cy"],
    "what": ["tea", "cup", "tea", "tea", "pot", "cup"],
    "when": [f"2024-01-0{day} 10:00:00" for day in (1, 1, 3, 2, 4, 5)],
    "many": [1, 2, 3, 4, 5, 6],
    "name": ["green tea", "blue cup", "green tea", "green tea", "tea pot", "blue cup"],
}

JUDGED: Table = {
    "query": ["red lamp", "red lamp", "oak desk", "oak desk", "wool rug", "wool rug"],
    "title": ["lamp, red", "desk, oak", "desk of oak", "lamp", "rug of wool", "desk"],
    "grade": [3.0, 1.0, 3.0, 1.5, 2.5, 1.0],
    "split": ["train", "train", "valid", "valid", "test", "test"],
}


def write_table(path: Path, table: Table) -> Path:
    """Write in the way the name ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = pa.table({name: list(values) for name, values in table.items()})
    if ".parquet" in path.name:
        pq.write_table(rows, path)
    elif ".jsonl" in path.name:
        _write_text(path, "".join(json.dumps(row) + "\n" for row in rows.to_pylist()))
    else:
        sink = pa.BufferOutputStream()
        pa_csv.write_csv(rows, sink)
        _write_text(path, sink.getvalue().to_pybytes().decode())
    return path


def _write_text(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def events_job(path: Path, **changes: Any) -> InteractionsData:
    columns = {"user": "who", "item": "what", "time": "when", "value": "many", "text": ["name"]}
    columns |= changes.pop("columns", {})
    return InteractionsData.model_validate({"kind": "interactions", "path": path, "columns": columns} | changes)


def pairs_job(path: Path, **changes: Any) -> PairsData:
    columns = {"query": "query", "product": "title", "label": "grade", "part": "split"}
    columns |= changes.pop("columns", {})
    content = {"kind": "pairs", "path": path, "columns": columns, "split": {"by": "column"}} | changes
    return PairsData.model_validate(content)
