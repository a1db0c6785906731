"""What a job leaves for people and for the next program: table, summary, result file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainer.metrics import PerExample

if TYPE_CHECKING:
    from trainer.bootstrap import Intervals
    from trainer.tasks import Interval

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
    intervals: Mapping[str, list[float]] = field(default_factory=dict)  # metric -> low, high
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


def write_intervals(intervals: "Intervals", path: Path) -> None:
    """Write low and high of every metric, whole and by slice."""
    sliced = {
        column: {value: {name: [one.low, one.high] for name, one in found.items()} for value, found in parts.items()}
        for column, parts in intervals.sliced.items()
    }
    whole = {name: [one.low, one.high] for name, one in intervals.whole.items()}
    content = {"schema": 1, "level": 0.95, "metrics": whole, "slices": sliced}
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def interval_row(
    name: str, compared: Mapping[str, Mapping[str, float]], intervals: Mapping[str, "Interval"]
) -> tuple[str, ...]:
    """Give the row under the scored model: where each metric would lie with other examples of the same kind."""
    shown = comparison(compared)[0][1:]
    cells = (f"{intervals[m].low:.4f}-{intervals[m].high:.4f}" if m in intervals else "" for m in shown)
    return (f"{name}, 95 %", *cells)


def summary(
    title: str,
    facts: Mapping[str, str],
    compared: Mapping[str, Mapping[str, float]],
    name: str,
    intervals: Mapping[str, "Interval"],
) -> str:
    """Give a page of markdown: what was done, and every scorer beside every other."""
    header, *rows = comparison(compared)
    rows.append(interval_row(name, compared, intervals))
    lines = [f"# {title}", "", *(f"- {about}: {value}" for about, value in facts.items() if value), ""]
    lines += [_markdown_row(header), "|" + "---|" * len(header), *map(_markdown_row, rows), ""]
    return "\n".join(lines)


def plain_table(compared: Mapping[str, Mapping[str, float]], name: str, intervals: Mapping[str, "Interval"]) -> str:
    rows = [*comparison(compared), interval_row(name, compared, intervals)]
    return align(rows)


def align(rows: Sequence[tuple[str, ...]]) -> str:
    """Give rows of cells as lines, columns below one another."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return value
