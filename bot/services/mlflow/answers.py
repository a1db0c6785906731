"""What MLflow's answers show: runs as anybody may have logged them, experiments, where a list goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.job_protocol import COMMIT_TAG
from bot.domain.runs import Dataset, Run, RunStatus
from bot.services.mlflow.times import EARLIEST, read_moment
from bot.text.escape import storable

if TYPE_CHECKING:
    from mlflow.entities import Experiment as MlflowExperiment
    from mlflow.entities import Run as MlflowRun

_STATUS = {
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.KILLED,
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.RUNNING,
}
_CONTEXT_TAG = "mlflow.data.context"
_MOST_DATASETS = 20
_SPACES = " \t\r\n"  # a name of nothing else says nothing
_KEPT_TAGS = frozenset({COMMIT_TAG})  # of MLflow's own, which are many
_LONGEST_ID = 64  # characters; MLflow's own have half of it


class OddAnswerError(ValueError):
    """An answer without what every answer of MLflow's holds."""


def run_in(run: MlflowRun, base: str | None) -> Run:
    """Take over a run as anybody may have logged it; *base* is where people open MLflow."""
    info = run.info
    if not 0 < len(info.run_id) <= _LONGEST_ID:
        raise OddAnswerError("it names a run without an id, or by one of odd length")
    ended = read_moment(info.end_time) or read_moment(info.start_time) or EARLIEST
    return Run(
        run_id=info.run_id,
        name=storable(info.run_name) if (info.run_name or "").strip(_SPACES) else info.run_id[:8],
        status=_STATUS.get(info.status, RunStatus.RUNNING),
        started=read_moment(info.start_time) or ended,
        ended=ended,
        metrics={storable(name): float(value) for name, value in run.data.metrics.items()},
        params={storable(name): storable(value) for name, value in run.data.params.items()},
        tags={
            storable(name): storable(value)
            for name, value in run.data.tags.items()
            if name in _KEPT_TAGS or not name.startswith("mlflow.")
        },
        url=f"{base}/#/experiments/{info.experiment_id}/runs/{info.run_id}" if base else "",
        datasets=_datasets_of(run),
    )


def _datasets_of(run: MlflowRun) -> tuple[Dataset, ...]:
    """Take over the data sets that are a run's inputs; stores of before MLflow 2.4 have none."""
    inputs = getattr(run, "inputs", None)
    return tuple(
        Dataset(
            storable(each.dataset.name or ""),
            storable(each.dataset.digest or ""),
            next((storable(tag.value) for tag in each.tags or () if tag.key == _CONTEXT_TAG), ""),
        )
        for each in (inputs.dataset_inputs or () if inputs is not None else ())[:_MOST_DATASETS]
    )


def is_active(experiment: MlflowExperiment) -> bool:
    """Say whether an experiment is not deleted; raise where it is none."""
    if not (0 < len(experiment.experiment_id) <= _LONGEST_ID and experiment.name):
        raise OddAnswerError("it names an experiment without an id or a name")
    return bool(experiment.lifecycle_stage == "active")


def next_token(token: str | None, following: str | None) -> str | None:
    if following and following == token:
        raise OddAnswerError("it gives the same page again and again")
    return following
