"""What a job leaves when it ends badly: why, once, without who signs in, and nothing half-written."""

import json
import subprocess
import sys
from dataclasses import replace
from errno import ENOSPC
from io import StringIO
from pathlib import Path

import pytest

from trainer.__main__ import main
from trainer.cli.printing import show
from trainer.errors import ScoringError, TrackingError, TrainerError, TrainingError
from trainer.jobs.addresses import without_user
from trainer.results.output_folder import OutputFolder, keeping_trained
from trainer.results.pending_upload import Upload, leave_owed
from trainer.results.result_files import Result, leave_result, write_json, write_result
from trainer.search.trials import ended
from trainer.tracking.mlflow import Recorder, _connect
from trainer.tracking.others_errors import ASIDE, translated
from trainer.tracking.progress import say

URI = "http://bob:s3cret@tracking.example:5000"
UPLOAD = Upload(URI, "run", "0", {}, (), (), None, None, None)
RESULT = Result("failed", "fit", "relevance", 0, None, URI)


class Away:
    def set_terminated(self, *_):
        raise ConnectionRefusedError("Connection refused")


def test_why_a_trial_ended_is_told_also_where_mlflow_is_away(capsys):
    with pytest.raises(TrainingError, match="the loss is lost"), ended(Recorder(Away(), "r-1", "0")):
        raise TrainingError("the loss is lost")
    assert capsys.readouterr().err == "trainer: the run r-1 could not be marked FAILED: MLflow: Connection refused\n"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (URI, "http://tracking.example:5000"),
        ("postgresql://bob:p@ss@db/mlflow?sslmode=on", "postgresql://db/mlflow?sslmode=on"),
        ("postgresql://db/mlflow?password=s3cret&sslmode=on", "postgresql://db/mlflow?sslmode=on"),
        ("sqlite:////home/bob@work/mlflow.db", "sqlite:////home/bob@work/mlflow.db"),
        ("API request to http://bob:s3cret@h/api failed", "API request to http://h/api failed"),
    ],
)
def test_an_address_is_written_without_who_signs_in(address, shown):
    assert without_user(address) == shown


def test_no_file_and_no_sentence_holds_the_password_of_the_tracking_address(tmp_path):
    told = leave_owed(UPLOAD, RESULT, tmp_path, TrackingError("away"))
    assert told.endswith(f"python -m trainer upload {tmp_path} --tracking-uri ADDRESS sends it again")
    write_result(RESULT, tmp_path / "copy.json")
    assert {json.loads(path.read_text()).get("tracking_uri") for path in tmp_path.glob("*t.json")} == {
        without_user(URI)
    }
    assert not [path for path in tmp_path.iterdir() if "s3cret" in path.read_text()]
    with pytest.raises(TrackingError) as refused, translated():
        raise OSError(f"API request to {URI}/api failed")
    assert str(refused.value) == "MLflow: API request to http://tracking.example:5000/api failed"


def test_what_cannot_be_written_in_the_end_is_told_beside_why_the_job_ended(tmp_path, capsys):
    taken = tmp_path / "file"
    taken.write_text("")
    leave_result(RESULT, taken / "result.json")
    assert capsys.readouterr().err == f"trainer: {taken}/result.json: cannot be written: File exists\n"
    told = leave_owed(UPLOAD, RESULT, taken, TrackingError("away"))
    assert told == f"what was made is kept in {taken}, but not upload.json, which would send it: File exists"


class FullLog(StringIO):
    def flush(self):
        raise OSError(ENOSPC, "No space left on device")


class Counting:
    def __init__(self) -> None:
        self.sent = []

    def log_batch(self, _, metrics):
        self.sent.append(len(metrics))


def test_mlflow_prints_no_address_among_the_results(monkeypatch, capsys):
    monkeypatch.delenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", raising=False)
    _connect(URI)._tracking_client._log_url("r-1")  # as when a run is ended; else it would ask the server for it
    assert capsys.readouterr().out == ""


def test_the_steps_of_a_training_are_sent_many_at_a_time_in_the_end(tmp_path):
    server = Counting()
    steps = [(step, {"train/loss": 0.5, "train/lr": 1e-4}) for step in range(1, 1251)]
    replace(UPLOAD, steps=steps, metrics={"auc": 0.7}).send(Recorder(server, "r-1", "0"), tmp_path)
    assert server.sent == [1000, 1000, 500, 1]


def test_a_log_whose_disk_is_full_ends_no_job(monkeypatch):
    monkeypatch.setattr("sys.stderr", FullLog())
    say("training: 8/64 pairs")


@pytest.mark.parametrize("found", ["a line", "\n".join("many lines" for _ in range(9999))])
def test_what_was_asked_for_and_cannot_be_printed_is_no_success(monkeypatch, found):
    monkeypatch.setattr("sys.stdout", FullLog())
    with pytest.raises(TrainerError, match="what was found cannot be printed: No space left on device"):
        show(found)


def test_why_a_database_refused_is_told_and_not_what_stands_before_it():
    with pytest.raises(TrackingError) as refused, translated():
        raise OSError(f"{ASIDE}; consider ...)\n(sqlite3.OperationalError) database or disk is full\n[SQL: ...]")
    assert str(refused.value) == "MLflow: (sqlite3.OperationalError) database or disk is full"


def test_what_was_trained_is_named_also_where_the_disk_is_full(tmp_path, capsys):
    output = OutputFolder(tmp_path / ".out", tmp_path / "out")
    (output.path / "result.json").mkdir(parents=True)  # no file can be put there
    with pytest.raises(ScoringError, match=r"no room is left on a disk .*; what was trained is kept"):
        lose_room(output)
    assert f"trainer: {tmp_path}/out/result.json: cannot be written: Is a directory" in capsys.readouterr().err


def lose_room(output, error=None):
    with keeping_trained(output, RESULT):
        raise error or OSError(ENOSPC, "No space left on device")


def test_memory_that_is_short_is_told_in_words(tmp_path):
    (tmp_path / ".out").mkdir()
    with pytest.raises(ScoringError, match="MemoryError: there is not enough memory; what was trained is kept"):
        lose_room(OutputFolder(tmp_path / ".out", tmp_path / "out"), MemoryError())


def test_a_folder_that_is_gone_is_told_before_anything_else(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["upload", "output"]) == 2
    assert capsys.readouterr().err == (
        "trainer: the folder that this was started in cannot be found: No such file or directory\n"
    )


def test_a_python_without_docstrings_is_told_as_one_and_not_as_a_model_that_is_none():
    command = [
        sys.executable,
        "-OO",
        "-c",
        "from trainer.__main__ import main; raise SystemExit(main(['upload', 'x']))",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("trainer: PYTHONOPTIMIZE=2 (python -OO) takes away docstrings")


def test_a_file_that_cannot_be_put_in_its_place_leaves_no_part_of_itself(tmp_path: Path):
    (tmp_path / "result.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_json({}, tmp_path / "result.json")
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
