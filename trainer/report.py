"""What a job leaves for people and for the next program: table, summary, result file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainer.metrics import PerExample

RESULT_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Result:
    """The result file's content."""

    status: str  # finished, failed, killed
    command: str
    task: str
    seed: int
    fire_id: str | None
    tracking_uri: str
    run_id: str | None = None
    experiment_id: str | None = None
    message: str | None = None  # why it did not finish
    data_hash: str | None = None
    seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)


def write_result(result: Result, path: Path) -> None:
    """Write all at once: who waits for the file never reads half of it."""
    content: dict[str, Any] = {"schema": RESULT_SCHEMA}
    content |= {name: _plain(getattr(result, name)) for name in result.__dataclass_fields__}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)


def write_per_example(table: PerExample, path: Path) -> None:
    columns: dict[str, Any] = {"example_id": pa.array(table.example_ids, pa.string())}
    columns |= {name: pa.array(values, pa.string()) for name, values in table.slices.items()}
    columns["weight"] = pa.array(table.weights)
    pq.write_table(pa.table(columns | {name: pa.array(value) for name, value in table.values.items()}), path)


def comparison(compared: Mapping[str, Mapping[str, float]]) -> list[tuple[str, ...]]:
    """Give the table of scorers and metrics as finished strings, its header first; a scorer may lack a metric."""
    shown = list(dict.fromkeys(metric for values in compared.values() for metric in values))
    rows: list[tuple[str, ...]] = [("scorer", *shown)]
    for name, values in compared.items():
        rows.append((name, *(f"{values[metric]:.4f}" if metric in values else "" for metric in shown)))
    return rows


def summary(title: str, facts: Mapping[str, str], compared: Mapping[str, Mapping[str, float]]) -> str:
    """Give a page of markdown: what was done, and every scorer beside every other."""
    header, *rows = comparison(compared)
    lines = [f"# {title}", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    lines += [_markdown_row(header), "|" + "---|" * len(header), *map(_markdown_row, rows), ""]
    return "\n".join(lines)


def plain_table(compared: Mapping[str, Mapping[str, float]]) -> str:
    rows = comparison(compared)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return value
