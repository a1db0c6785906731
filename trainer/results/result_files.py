"""The files a job leaves for the next program: result, per-example table, intervals."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainer.jobs.addresses import without_user
from trainer.measures.per_example import PerExample
from trainer.tracking.progress import say

if TYPE_CHECKING:
    from trainer.measures.bootstrap import Intervals

RESULT = "result.json"
RESULT_SCHEMA = 1
CLUSTER = "cluster"  # column of a per-example table: what is independent of one another, where it is not the example
UNIT = "cluster"  # of its metadata: what a cluster is


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
    cluster: str | None = None  # what the intervals draw whole: query, user
    clusters: int | None = None  # how many of them there are
    undefined: Mapping[str, str] = field(default_factory=dict)  # metric that is absent -> why
    paths: Mapping[str, str] = field(default_factory=dict)


def write_result(result: Result, path: Path) -> None:
    """Write all at once: who waits for the file never reads half of it. Who signs in to MLflow is left out."""
    content: dict[str, Any] = {"schema": RESULT_SCHEMA}
    content |= {name: _plain(getattr(result, name)) for name in result.__dataclass_fields__}
    content["tracking_uri"] = without_user(result.tracking_uri)
    write_json(content, path)


def leave_result(result: Result, path: Path | None) -> None:
    """Write why a job ends, where that is wanted, or say that it cannot be written: the job ends as it would."""
    if path is None:
        return
    try:
        write_result(result, path)
    except OSError as error:
        say(f"trainer: {path}: cannot be written: {error.strerror}")


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write all at once, in place of what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_per_example(table: PerExample, path: Path) -> None:
    """Write one row an example and slice, as parquet."""
    columns: dict[str, Any] = {"example_id": pa.array(table.example_ids, pa.string())}
    columns |= {name: pa.array(values, pa.string()) for name, values in table.slices.items()}
    if table.clusters is not None and table.clusters != table.example_ids:
        columns[CLUSTER] = pa.array(table.clusters, pa.string())
    columns["weight"] = pa.array(table.weights)
    columns |= {name: pa.array(value, from_pandas=True) for name, value in table.values.items()}  # undefined: null
    pq.write_table(pa.table(columns).replace_schema_metadata({UNIT: table.unit}), path)


def write_intervals(intervals: "Intervals", path: Path) -> None:
    """Write low and high of every metric, whole and by slice."""
    sliced = {
        column: {value: {name: [one.low, one.high] for name, one in found.items()} for value, found in parts.items()}
        for column, parts in intervals.sliced.items()
    }
    whole = {name: [one.low, one.high] for name, one in intervals.whole.items()}
    drawn = {"cluster": intervals.unit, "clusters": intervals.clusters}
    content = {"schema": 1, "level": 0.95, **drawn, "metrics": whole, "slices": sliced}
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return value
