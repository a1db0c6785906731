"""What was trained outlives an upload that fails, and the upload is made good later."""

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.fitting import fit
from tests.trainer.shop import Bench
from trainer.__main__ import main

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def client_of(bench: Bench) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{bench.database}")


def execute(bench: Bench, statement: str) -> None:
    with closing(sqlite3.connect(bench.database)) as database:
        database.execute(statement)


def result_in(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def test_a_model_whose_upload_fails_is_kept_named_and_uploaded_later(tracked, capsys):
    blocked, copy = tracked.folder / "blocked", tracked.folder / "copy.json"
    blocked.write_text("a file where the store of artifacts should be")
    settings = (f"tracking.artifacts={blocked}/store", "tracking.registered=shop", "tracking.alias=champion")
    assert fit(tracked.path, *settings, f"result={copy}") == 1
    output = tracked.folder / "output"
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("trainer: MLflow: ")
    assert said.endswith(f"what was made is kept in {output}: python -m trainer upload {output} sends it again")
    told = result_in(output)
    assert (told["status"], Path(told["paths"]["model"]).is_dir()) == ("failed", True)
    assert json.loads(copy.read_text())["status"] == "failed"
    client = client_of(tracked)
    assert client.get_run(told["run_id"]).info.status == "FAILED"

    assert main(["upload", str(output)]) == 1  # the store is no better
    assert "trainer: MLflow: " in capsys.readouterr().err
    blocked.unlink()
    assert main(["upload", str(output)]) == 0
    assert told["run_id"] in capsys.readouterr().out
    run = client.get_run(told["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["hr_at_10"] == told["metrics"]["hr_at_10"]
    sent = {path.path for path in client.list_artifacts(told["run_id"])}
    assert {"model", "per_example.parquet", "data_card.json", "summary.md"} <= sent
    assert not sent & {"upload.json", "result.json"}
    assert (blocked / "store" / told["run_id"] / "artifacts" / "model" / "model.safetensors").is_file()
    assert client.get_model_version_by_alias("shop", "champion").run_id == told["run_id"]
    for path in (output / "result.json", copy):
        now = json.loads(path.read_text())
        assert (now["status"], now["message"]) == ("finished", None)
    assert main(["upload", str(output)]) == 2
    assert "nothing of it waits to be uploaded" in capsys.readouterr().err


def test_a_tracking_server_that_goes_away_ends_no_training(tracked, monkeypatch, capsys):
    import trainer.learning.loop

    update, seen = trainer.learning.loop.update, []

    def lose_the_server(*arguments: Any) -> None:
        update(*arguments)
        seen.append(1)
        if len(seen) == 2:
            execute(tracked, "ALTER TABLE metrics RENAME TO away")

    monkeypatch.setattr(trainer.learning.loop, "update", lose_the_server)
    assert fit(tracked.path) == 1
    assert "the training goes on; its steps from 2 on are sent in the end" in capsys.readouterr().err
    assert len(seen) == 4
    output = tracked.folder / "output"
    execute(tracked, "ALTER TABLE away RENAME TO metrics")
    assert main(["upload", str(output)]) == 0
    history = client_of(tracked).get_metric_history(result_in(output)["run_id"], "train/loss")
    assert [point.step for point in history] == [1, 2, 3, 4]


def test_a_fit_that_is_stopped_while_it_uploads_keeps_what_was_trained(tracked, monkeypatch, capsys):
    from trainer.tracking.mlflow import Recorder

    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "log_artifact", lambda *_: signal.raise_signal(signal.SIGTERM))
        assert fit(tracked.path) == 143
    output = tracked.folder / "output"
    assert f"python -m trainer upload {output}" in capsys.readouterr().err
    run_id = result_in(output)["run_id"]
    assert client_of(tracked).get_run(run_id).info.status == "KILLED"
    assert main(["upload", str(output)]) == 0
    assert client_of(tracked).get_run(run_id).info.status == "FINISHED"


def test_an_upload_is_repeated_into_no_second_version(tracked, capsys):
    settings = ("tracking.registered=shop", "tracking.alias=champion")
    refuse = "CREATE TRIGGER no BEFORE INSERT ON registered_model_aliases BEGIN SELECT RAISE(ABORT, 'no'); END"
    execute(tracked, refuse)
    assert fit(tracked.path, *settings) == 1
    output = tracked.folder / "output"
    assert main(["upload", str(output)]) == 1
    assert len(client_of(tracked).search_model_versions("name = 'shop'")) == 1
    assert (output / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "cannot be read"), ("[]", "not a JSON object"), ('{"uri": "x"}', "not an upload this version can read")],
)
def test_a_folder_that_owes_nothing_readable_is_told(tmp_path, capsys, content, said):
    (tmp_path / "upload.json").write_text(content)
    (tmp_path / "result.json").write_text("{}")
    assert main(["upload", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert main(["upload", str(tmp_path / "nowhere")]) == 2
    assert "there is no such output folder" in capsys.readouterr().err
