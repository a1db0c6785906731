"""Tells MLflow what a job does; the only module that imports it."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

from trainer.config import PLAIN_SQLITE, TrackingJob
from trainer.errors import TrackingError

SEAM_TAG = "herald.seam"
SEAM_VERSION = "1"
FIRE_TAG = "herald.fire_id"
RETRIES = "2"  # of a request to a server that is away: seconds, where MLflow's own seven take minutes
LONGEST_PARAM = 6000  # characters; MLflow's limit
PARAMS_AT_A_TIME = 100  # MLflow's limit of a batch


@dataclass(frozen=True, slots=True)
class Recorder:
    """One MLflow run that has been started."""

    client: Any
    run_id: str
    experiment_id: str

    def log_params(self, params: Mapping[str, str | int | float | bool]) -> None:
        from mlflow.entities import Param

        listed = [Param(key, str(value)[:LONGEST_PARAM]) for key, value in params.items()]
        with _translated():
            for start in range(0, len(listed), PARAMS_AT_A_TIME):
                self.client.log_batch(self.run_id, params=listed[start : start + PARAMS_AT_A_TIME])

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        from mlflow.entities import Metric

        now = int(time() * 1000)
        with _translated():
            self.client.log_batch(self.run_id, [Metric(key, value, now, step) for key, value in metrics.items()])

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Copy a file, or what is in a folder, to the run's artifacts."""
        with _translated():
            if path.is_dir():
                self.client.log_artifacts(self.run_id, str(path), folder)
            else:
                self.client.log_artifact(self.run_id, str(path), folder)

    def log_text(self, text: str, name: str) -> None:
        with _translated():
            self.client.log_text(self.run_id, text, name)

    def set_tag(self, key: str, value: str) -> None:
        with _translated():
            self.client.set_tag(self.run_id, key, value)

    def finish(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        with _translated():
            self.client.set_terminated(self.run_id, status)


def start_run(job: TrackingJob, tags: Mapping[str, str]) -> Recorder:
    """Start a run in the job's experiment, made where it is missing; raise TrackingError."""
    client = _connect(job.uri)
    fixed = {SEAM_TAG: SEAM_VERSION} | ({FIRE_TAG: job.fire_id} if job.fire_id else {})
    with _translated():
        experiment_id = _find_experiment(client, job)
        run = client.create_run(experiment_id, tags={**job.tags, **tags, **fixed}, run_name=job.run_name)
    return Recorder(client, run.info.run_id, experiment_id)


def _connect(uri: str) -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at import: this program reports to nobody
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", RETRIES)
    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    with _translated():
        if uri.startswith(PLAIN_SQLITE):
            Path(uri.removeprefix(PLAIN_SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        from mlflow import MlflowClient

        for chatty in ("mlflow", "alembic"):  # importing mlflow sets its own
            logging.getLogger(chatty).setLevel(logging.WARNING)
        return MlflowClient(tracking_uri=uri)


def _find_experiment(client: Any, job: TrackingJob) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(job.experiment)
    if found is None:
        try:
            return str(client.create_experiment(job.experiment, artifact_location=_artifact_location(job)))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another job made it in between
                raise
            found = client.get_experiment_by_name(job.experiment)
    if found.lifecycle_stage != "active":
        raise TrackingError(f"tracking.experiment: '{job.experiment}' was deleted; restore it or name another")
    return str(found.experiment_id)


def _artifact_location(job: TrackingJob) -> str | None:
    """Keep artifacts beside a SQLite file unless told otherwise; a server knows its own place."""
    if job.artifacts is not None:
        return job.artifacts.absolute().as_uri()
    if job.uri.startswith(PLAIN_SQLITE):
        return Path(job.uri.removeprefix(PLAIN_SQLITE)).with_name("artifacts").as_uri()
    return None


@contextmanager
def _translated() -> Iterator[None]:
    """Say what MLflow, its database or its server refused, in one sentence."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        if not type(error).__module__.startswith(("mlflow", "sqlalchemy", "requests", "urllib3", "alembic")) and (
            not isinstance(error, OSError)
        ):
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TrackingError(f"MLflow: {reason}") from error
