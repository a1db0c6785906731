"""Tells MLflow what a job does; the only module that imports it."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any, Literal

from trainer.environment import nothing_collected
from trainer.errors import JobError, ModelError, TrackingError
from trainer.jobs.addresses import without_user
from trainer.jobs.schema import PLAIN_SQLITE, TrackingJob
from trainer.tracking.others_errors import first_line, translated
from trainer.tracking.progress import say

SEAM_TAG = "herald.seam"
SEAM_VERSION = "1"
UNDEFINED_TAG = "herald.undefined"  # metrics that this run's data leave undefined, by commas
FIRE_TAG = "herald.fire_id"
PARENT_TAG = "mlflow.parentRunId"  # of a run inside another
RETRIES = "2"  # of a request to a server that is away: seconds, where MLflow's own seven take minutes
LONGEST_PARAM = 6000  # characters; MLflow's limit
PARAMS_AT_A_TIME, METRICS_AT_A_TIME = 100, 1000  # MLflow's limits of a batch
LONGEST_NAME, LONGEST_DIGEST = 500, 36  # characters of a dataset's; MLflow's limits
NO_SUCH_CALL = ("ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED")  # what MLflow makes of 404 and 501
_SQLITE_HEAD = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class DataUsed:
    """Data that a run learned from or was scored on, as MLflow lists it."""

    context: Literal["training", "testing"]
    source: str
    hash: str


@dataclass(frozen=True, slots=True)
class Recorder:
    """One MLflow run that has been started."""

    client: Any
    run_id: str
    experiment_id: str

    def log_params(self, params: Mapping[str, str | int | float | bool]) -> None:
        from mlflow.entities import Param

        listed = [Param(key, str(value)[:LONGEST_PARAM]) for key, value in params.items()]
        with translated():
            for start in range(0, len(listed), PARAMS_AT_A_TIME):
                self.client.log_batch(self.run_id, params=listed[start : start + PARAMS_AT_A_TIME])

    def log_data(self, used: Sequence[DataUsed]) -> None:
        """Tell which data the run used; no run is lost by a server that does not take it, as those before 2.4."""
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.exceptions import MlflowException
        from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

        listed = [
            DatasetInput(
                Dataset(
                    name=(Path(one.source).name or "data")[:LONGEST_NAME],
                    digest=one.hash[:LONGEST_DIGEST],
                    source_type="local",
                    source=json.dumps({"uri": one.source}),
                ),
                [InputTag(MLFLOW_DATASET_CONTEXT, one.context)],
            )
            for one in used
        ]
        with translated():
            try:
                self.client.log_inputs(self.run_id, datasets=listed)
            except MlflowException as error:
                if error.error_code not in NO_SUCH_CALL:
                    say(f"trainer: MLflow was not told which data the run used: {first_line(error)}")

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        self.log_steps([(step, metrics)])

    def log_steps(self, told: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Tell the values of many steps at once."""
        from mlflow.entities import Metric

        now = int(time() * 1000)
        listed = [Metric(key, value, now, step) for step, values in told for key, value in values.items()]
        with translated():
            for start in range(0, len(listed), METRICS_AT_A_TIME):
                self.client.log_batch(self.run_id, listed[start : start + METRICS_AT_A_TIME])

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Copy a file, or what is in a folder, to the run's artifacts."""
        with translated():
            if path.is_dir():
                self.client.log_artifacts(self.run_id, str(path), folder)
            else:
                self.client.log_artifact(self.run_id, str(path), folder)

    def log_text(self, text: str, name: str) -> None:
        with translated():
            self.client.log_text(self.run_id, text, name)

    def register(self, name: str, folder: str) -> str:
        """Register what is in a folder of the run's artifacts under a name; give its version."""
        from mlflow.exceptions import MlflowException

        with translated():
            try:
                self.client.create_registered_model(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            # An upload that is repeated finds the version it made, and makes no second one.
            made = self.client.search_model_versions(f"run_id = '{self.run_id}'")
            if known := [int(one.version) for one in made if one.name == name]:
                return str(max(known))
            root = self.client.get_run(self.run_id).info.artifact_uri
            return str(self.client.create_model_version(name, f"{root}/{folder}", run_id=self.run_id).version)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        with translated():
            self.client.set_registered_model_alias(name, alias, version)

    def set_tag(self, key: str, value: str) -> None:
        with translated():
            self.client.set_tag(self.run_id, key, value)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        with translated():
            self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def end_if_running(self, run_id: str) -> None:
        """End the run that this one goes on from as KILLED, where it had no time to say so itself."""
        try:
            with translated():
                if self.client.get_run(run_id).info.status == "RUNNING":
                    self.client.set_terminated(run_id, "KILLED")
        except TrackingError as error:  # it may have been deleted, or be another server's
            say(f"trainer: the run {run_id} could not be marked KILLED: {error}")

    def finish(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        with translated():
            self.client.set_terminated(self.run_id, status)

    def give_up(self, status: str) -> None:
        """End the run as FAILED or KILLED, or say that it could not be: why the job ends is told all the same."""
        try:
            self.finish(status)
        except TrackingError as error:
            say(f"trainer: the run {self.run_id} could not be marked {status}: {error}")


def start_run(job: TrackingJob, tags: Mapping[str, str]) -> Recorder:
    """Start a run in the job's experiment, made where it is missing; raise TrackingError."""
    client = _connect(job.uri)
    fixed = {SEAM_TAG: SEAM_VERSION} | ({FIRE_TAG: job.fire_id} if job.fire_id else {})
    with translated():
        experiment_id = _find_experiment(client, job)
        run = client.create_run(experiment_id, tags={**job.tags, **tags, **fixed}, run_name=job.run_name)
    return Recorder(client, run.info.run_id, experiment_id)


def check_tracking(job: TrackingJob) -> None:
    """Raise TrackingError where MLflow is away or the experiment was deleted; nothing is made there."""
    path = Path(job.uri.removeprefix(PLAIN_SQLITE))
    if job.uri.startswith(PLAIN_SQLITE) and not path.exists():
        return
    client = _connect(job.uri)
    with translated():
        _check_active(client.get_experiment_by_name(job.experiment), job)


def resume_run(uri: str, run_id: str, experiment_id: str) -> Recorder:
    """Give the recorder of a run that was started before; raise TrackingError where MLflow does not know it."""
    client = _connect_existing(uri)
    with translated():
        client.get_run(run_id)
    return Recorder(client, run_id, experiment_id)


def fetch_registered(uri: str, model: str, folder: Path) -> Path:
    """Copy a registered model, models:/NAME@ALIAS or models:/NAME/VERSION, into a folder; raise ModelError."""
    from mlflow.exceptions import MlflowException

    client = _connect_existing(uri)
    name, at, alias = model.removeprefix("models:/").partition("@")
    name, _, number = name.partition("/")
    with translated():
        try:
            version = client.get_model_version_by_alias(name, alias) if at else client.get_model_version(name, number)
            return _download(client, version.source, folder)
        except MlflowException as error:
            where = without_user(uri)
            raise ModelError(f"{model}: the registry at {where} does not give it: {first_line(error)}") from None


def fetch_run_artifact(uri: str, run_id: str, name: str, folder: Path) -> Path:
    """Copy one artifact of a run into a folder; raise TrackingError."""
    client = _connect_existing(uri)
    with translated():
        return Path(client.download_artifacts(run_id, name, str(folder)))


def _download(client: Any, source: str, folder: Path) -> Path:
    from mlflow.artifacts import download_artifacts

    tracking = client.tracking_uri
    return Path(download_artifacts(artifact_uri=source, dst_path=str(folder), tracking_uri=tracking))


def _connect_existing(uri: str) -> Any:
    """Connect to read: a SQLite file that is not there must not be made by looking for something in it."""
    path = Path(uri.removeprefix(PLAIN_SQLITE))
    if uri.startswith(PLAIN_SQLITE) and not path.is_file():
        raise JobError(f"{uri}: there is no such tracking database")
    return _connect(uri)


@nothing_collected()
def _connect(uri: str) -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at import: this program reports to nobody
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", RETRIES)
    # It would print the server's address, with who signs in there, among our results, before JSON that is read.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    _quieten()
    with translated():
        if uri.startswith(PLAIN_SQLITE):
            path = Path(uri.removeprefix(PLAIN_SQLITE))
            path.parent.mkdir(parents=True, exist_ok=True)
            _check_database(path)
        from mlflow import MlflowClient

        _quieten()  # importing mlflow sets its own
        return MlflowClient(tracking_uri=uri)


def _quieten() -> None:
    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # what it logs with a trace is told here


def _check_database(path: Path) -> None:
    """Raise TrackingError for a file that is no database: MLflow would try again for 100 seconds."""
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            if file.read(len(_SQLITE_HEAD)) != _SQLITE_HEAD:
                raise TrackingError(f"MLflow: {path}: is no SQLite database")


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
    _check_active(found, job)
    return str(found.experiment_id)


def _check_active(found: Any, job: TrackingJob) -> None:
    if found is not None and found.lifecycle_stage != "active":
        raise TrackingError(f"tracking.experiment: '{job.experiment}' was deleted; restore it or name another")


def _artifact_location(job: TrackingJob) -> str | None:
    """Keep artifacts beside a SQLite file unless told otherwise; a server knows its own place."""
    if job.artifacts is not None:
        return job.artifacts.absolute().as_uri()
    if job.uri.startswith(PLAIN_SQLITE):
        return Path(job.uri.removeprefix(PLAIN_SQLITE)).with_name("artifacts").as_uri()
    return None
