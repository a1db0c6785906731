"""Thousands of runs, written past MLflow's client into its database: through it they would take minutes."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.store.batches import in_pieces


@dataclass(frozen=True)
class Written:
    """One run as its row says it; the times are MLflow's own numbers."""

    experiment_id: str
    end_time: int | None
    start_time: int
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    status: str = "FINISHED"
    artifacts: str = "mlflow-artifacts:"  # below which it keeps its own
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def write(uri: str, runs: Iterable[Written]) -> None:
    """Write runs, and what they measured, into the database of an MLflow."""
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
    from sqlalchemy import create_engine, insert

    engine = create_engine(uri)
    for some in in_pieces(runs, 1000):
        with engine.begin() as connection:
            for table, rows in (
                (SqlRun, [_row(each) for each in some]),
                (SqlMetric, _measured(some)),
                (SqlLatestMetric, _measured(some)),
                (SqlParam, [{"key": k, "value": v, "run_uuid": e.run_id} for e in some for k, v in e.params.items()]),
                (SqlTag, [{"key": "mlflow.runName", "value": e.run_id[:8], "run_uuid": e.run_id} for e in some]),
            ):
                if rows:
                    connection.execute(insert(table), rows)
    engine.dispose()


def _row(run: Written) -> dict[str, Any]:
    return {
        "run_uuid": run.run_id,
        "name": run.run_id[:8],
        "source_type": "LOCAL",
        "source_name": "train.py",
        "entry_point_name": "",
        "user_id": "team",
        "status": run.status,
        "start_time": run.start_time,
        "end_time": run.end_time,
        "source_version": "",
        "lifecycle_stage": "active",
        "artifact_uri": f"{run.artifacts}/{run.experiment_id}/{run.run_id}/artifacts",
        "experiment_id": int(run.experiment_id),
    }


def _measured(runs: Sequence[Written]) -> list[dict[str, Any]]:
    return [
        {"key": k, "value": v, "timestamp": each.start_time, "step": 0, "is_nan": False, "run_uuid": each.run_id}
        for each in runs
        for k, v in each.metrics.items()
    ]
