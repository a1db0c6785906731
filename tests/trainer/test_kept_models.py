"""A model outlives whatever goes wrong once it is trained, and an evaluate job goes on from it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Never

import pytest

from tests.trainer.fitting import fit, result_of
from tests.trainer.shop import Bench
from trainer.__main__ import main
from trainer.errors import ModelError, ScoringError
from trainer.results.output_folder import OutputFolder, keeping_trained
from trainer.results.result_files import Result
from trainer.tasks.next_item import ReadyNextItem

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

ENDS_WHILE_SCORING = """
import os, sys
from trainer.__main__ import main
from trainer.tasks.next_item import ReadyNextItem
ReadyNextItem.score = lambda self: os.kill(os.getpid(), 9)
main(["fit", sys.argv[1]])
"""


def fail(error: BaseException) -> Any:
    def score(_: ReadyNextItem) -> Never:
        raise error

    return score


def status_of(bench: Bench, run_id: str) -> str:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{bench.database}").get_run(run_id).info.status


def go_on(bench: Bench) -> float:
    """Evaluate what was kept, as the fit would have scored it."""
    again = bench.folder / "again"
    model = bench.folder / "output" / "model"
    assert main(["evaluate", str(bench.path), "--model", str(model), "--set", f"output={again}"]) == 0
    return result_of(again)["metrics"]["mrr"]


@pytest.mark.parametrize("error", [MemoryError("no room"), ModelError("a class that nobody knows")])
def test_a_model_whose_scoring_fails_is_kept_and_named_and_scored_later(tracked, monkeypatch, capsys, error):
    copy = tracked.folder / "copy.json"
    with monkeypatch.context() as patched:
        patched.setattr(ReadyNextItem, "score", fail(error))
        assert fit(tracked.path, f"result={copy}", "tensorboard=true") == 1
    output = tracked.folder / "output"
    said = capsys.readouterr().err.splitlines()
    assert f"trained: {output / 'model'}" in said
    assert said[-1].startswith(f"trainer: {type(error).__name__}: {error}; what was trained is kept")
    assert f"evaluate JOB.toml --model {output / 'model'}" in said[-1]
    told = result_of(output)
    assert (told["status"], told["paths"]["model"]) == ("failed", str(output / "model"))
    assert "what was trained is kept" in told["message"]
    assert "what was trained is kept" in json.loads(copy.read_text())["message"]
    assert status_of(tracked, told["run_id"]) == "FAILED"
    assert list((output / "tensorboard").iterdir())
    kept = go_on(tracked)
    assert fit(tracked.path, f"output={tracked.folder}/whole") == 0
    assert result_of(tracked.folder / "whole")["metrics"]["mrr"] == pytest.approx(kept, abs=1e-9)


def test_a_fit_that_is_stopped_while_it_scores_keeps_its_model(tracked, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr(ReadyNextItem, "score", lambda _: signal.raise_signal(signal.SIGTERM))
        assert fit(tracked.path) == 143
    told = result_of(tracked.folder / "output")
    assert told["status"] == "killed"
    assert status_of(tracked, told["run_id"]) == "KILLED"
    assert "what was trained is kept" in capsys.readouterr().err
    assert go_on(tracked) > 0


def test_a_fit_that_is_killed_while_it_scores_has_its_model_in_place(tracked):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", ENDS_WHILE_SCORING, str(tracked.path)]
    ended = subprocess.run(
        command, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == -9
    output = tracked.folder / "output"
    assert f"trained: {output / 'model'}" in ended.stderr
    assert not (output / "result.json").exists()  # whoever waits for it waits for a job that ended
    assert go_on(tracked) > 0
    assert not list(tracked.folder.glob(".*.partial"))


def test_an_evaluation_that_fails_leaves_nothing(tracked, monkeypatch):
    assert fit(tracked.path) == 0
    model = tracked.folder / "output" / "model"
    with monkeypatch.context() as patched:
        patched.setattr(ReadyNextItem, "score", fail(MemoryError("no room")))
        where = f"output={tracked.folder}/again"
        assert main(["evaluate", str(tracked.path), "--model", str(model), "--set", where]) == 1
    assert not (tracked.folder / "again").exists()


def test_a_model_whose_place_was_taken_meanwhile_is_kept_beside_it_and_named(tmp_path, capsys):
    for name in ("output", "output-2", ".partial"):
        (tmp_path / name / "model").mkdir(parents=True)
    blank = Result("failed", "fit", "next_item", 0, None, "sqlite:///")
    output = OutputFolder(tmp_path / ".partial", tmp_path / "output")
    told = r"^.*/output: was made by another meanwhile, so .*/output-3 was written; .* --model .*/output-3/model "
    with pytest.raises(ScoringError, match=told), keeping_trained(output, blank):
        pytest.fail("it is not scored under another name")
    assert f"trained: {tmp_path}/output-3/model" in capsys.readouterr().err
    assert result_of(tmp_path / "output-3")["paths"]["model"] == f"{tmp_path}/output-3/model"
    assert not (tmp_path / ".partial").exists()
