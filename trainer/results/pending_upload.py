"""What a run owes its MLflow: kept beside its outputs where the upload failed, so that it can be repeated."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trainer.data.json_texts import parse_json
from trainer.errors import DataError, Stopped
from trainer.jobs.addresses import without_user
from trainer.results.result_files import RESULT, Result, write_json, write_result
from trainer.tracking.mlflow import UNDEFINED_TAG, Recorder, resume_run
from trainer.tracking.progress import say

MODEL = "model"
PENDING = "upload.json"
LOCAL = (RESULT, PENDING)  # files of an output folder that are no artifacts


@dataclass(frozen=True, slots=True)
class Upload:
    """What is sent once a job is done: the numbers, the files of its folder, and the model's name."""

    uri: str
    run_id: str
    experiment_id: str
    metrics: Mapping[str, float]
    undefined: Sequence[str]  # metrics that the data leave undefined
    steps: Sequence[tuple[int, Mapping[str, float]]]  # of the training, which could not be sent while it ran
    registered: str | None  # the name under which the model is registered
    alias: str | None
    result: str | None  # where a copy of the result file goes

    def send(self, recorder: Recorder, folder: Path) -> None:
        """Send all of it; what an earlier try has sent is sent over itself."""
        recorder.log_steps(self.steps)
        recorder.log_metrics(self.metrics)
        if self.undefined:
            recorder.set_tag(UNDEFINED_TAG, ",".join(self.undefined))
        for path in sorted(folder.iterdir()):
            if path.name not in LOCAL:
                recorder.log_artifact(path, path.name if path.is_dir() else None)
        if self.registered is not None:
            version = recorder.register(self.registered, MODEL)
            if self.alias is not None:
                recorder.set_alias(self.registered, self.alias, version)


class StepLog:
    """Sends the steps of a training; from the first that MLflow does not take on, keeps them for the end."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.unsent: list[tuple[int, Mapping[str, float]]] = []

    def add(self, values: Mapping[str, float], step: int) -> None:
        if not self.unsent:
            try:
                self.recorder.log_metrics(values, step)
            except Exception as error:  # noqa: BLE001 - whatever a tracking server has: no reason to lose the training
                say(f"trainer: {error}: the training goes on; its steps from {step} on are sent in the end")
            else:
                return
        self.unsent.append((step, values))

    def add_earlier(self, told: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Send the steps that an earlier try made, many at a time."""
        try:
            self.recorder.log_steps(told)
        except Exception as error:  # noqa: BLE001 - as above
            say(f"trainer: {error}: the training goes on; its steps are sent in the end")
            self.unsent.extend(told)


def leave_owed(upload: Upload, result: Result, output: Path, error: BaseException, what: str = "made") -> str:
    """Write what `repeat_upload` reads into an output that stays, and say how it is sent again.

    Who signs in is left out. Where the disk has no room for it, that is said.
    """
    uri = without_user(upload.uri)
    again = "" if uri == upload.uri else " --tracking-uri ADDRESS"
    told = f"what was {what} is kept in {output}: python -m trainer upload {output}{again} sends it again"
    left = replace(result, status="killed" if isinstance(error, Stopped) else "failed", message=f"{error}; {told}")
    try:
        write_json(asdict(upload) | {"uri": uri}, output / PENDING)
        write_result(left, output / RESULT)
    except OSError as full:
        return f"what was {what} is kept in {output}, but not {PENDING}, which would send it: {full.strerror}"
    return told


def repeat_upload(output: Path, uri: str | None = None) -> Upload:
    """Send what an output folder owes and mark its run and its result finished; raise DataError or TrackingError."""
    upload, result = _read(output), _read_object(output / RESULT)
    recorder = resume_run(uri or upload.uri, upload.run_id, upload.experiment_id)
    upload.send(recorder, output)
    recorder.finish("FINISHED")
    finished = result | {"status": "finished", "message": None}
    for path in (output / RESULT, *([Path(upload.result)] if upload.result else [])):
        write_json(finished, path)
    (output / PENDING).unlink()
    return upload


def _read(output: Path) -> Upload:
    if not output.is_dir():
        raise DataError(f"{output}: there is no such output folder")
    if not (output / PENDING).is_file():
        raise DataError(f"{output}: holds no {PENDING}, so nothing of it waits to be uploaded")
    try:
        return Upload(**_read_object(output / PENDING))
    except TypeError as error:
        raise DataError(f"{output / PENDING}: not an upload this version can read: {error}") from None


def _read_object(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: not a JSON object")
    return found
