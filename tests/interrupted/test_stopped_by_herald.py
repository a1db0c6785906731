"""Herald's own way to stop a job leaves a checkpoint within its grace, from which the next try goes on."""

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from shutil import copyfile

import pytest

from bot.executors.job_logs import log_in
from bot.executors.local.executor import LocalExecutor
from bot.ports import Job, JobState
from tests.trainer import queries

ROOT = Path(__file__).parents[2]
LONG = ("train.epochs=40", "train.batch=8", "checkpoint.every=1e-9")


def job_of(folder: Path, fire: str, *more: str) -> Job:
    overrides = (word for one in (*LONG, f"output=runs/{fire}", *more) for word in ("--set", one))
    return Job(
        fire_id=fire,
        command=(sys.executable, "-m", "trainer", "fit", "relevance.toml", *overrides),
        folder=folder / "jobs" / fire,
        cwd=folder,
        environment={"HERALD_FIRE_ID": fire, "PYTHONPATH": str(ROOT)},
        timeout=timedelta(minutes=5),
        memory=None,
        cpus=None,
        log_limit=None,
    )


def wait_for(what, patience: float = 200.0) -> None:
    ends = time.monotonic() + patience
    while not what() and time.monotonic() < ends:
        time.sleep(0.05)
    assert what()


@pytest.mark.long
def test_a_job_that_herald_stops_leaves_a_checkpoint_and_the_next_fire_goes_on_from_it(tmp_path, mlflow_file):
    copyfile(mlflow_file, tmp_path / "mlflow.db")
    data = queries.write_rows(tmp_path / "pairs.csv", queries.make_rows())
    queries.write_job(tmp_path, "relevance", data, queries.make_bert(tmp_path / "bert"))
    executor, first = LocalExecutor(), job_of(tmp_path, "first")
    executor.submit(first)
    kept = tmp_path / "runs" / ".checkpoints"
    wait_for(lambda: list(kept.glob("*/step-*")))
    asked = time.monotonic()
    executor.stop(first)
    assert time.monotonic() - asked < 10
    assert (executor.look(first).state, executor.look(first).exit_code) == (JobState.ENDED, 143)
    log = log_in(first.folder).read_text()
    newest = max(kept.glob("*/step-*"))
    assert f"the same command goes on from {newest}" in log
    second = job_of(tmp_path, "second", "result=result.json")
    executor.submit(second)
    wait_for(lambda: executor.look(second).state is not JobState.RUNNING)
    assert executor.look(second).exit_code == 0, log_in(second.folder).read_text()
    assert f"goes on after step {int(newest.name.removeprefix('step-'))}, " in log_in(second.folder).read_text()
    assert json.loads((tmp_path / "result.json").read_text())["fire_id"] == "second"
    assert not kept.exists()
    assert "HERALD_FIRE_ID" not in os.environ
