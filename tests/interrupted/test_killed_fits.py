"""Fits killed at random moments lose nothing: `make interrupt`."""

import json
import os
import random
import sys
import time
from importlib import import_module
from pathlib import Path
from shutil import copyfile

import pytest

from tests.interrupted.killed import EACH_STEP, fit_through_kills, start_fit, wait_or_kill
from tests.trainer import queries

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

JOBS = {  # each to be killed at several moments
    "relevance": ("train.batch=8", "train.epochs=3"),
    "relevance, averaged": ("train.batch=8", "train.average=3"),
    "relevance, adapters": ("train.batch=8", "train.epochs=3", "model.lora={rank = 2, dropout = 0.3}"),
    "relevance, adapters that drop nothing": ("train.batch=8", "train.epochs=3", "model.lora={rank = 2}"),
    "relevance, ended early": (
        *("train.batch=8", "train.epochs=6", "train.lr=0.01"),
        "train.early_stop={looks = 2, patience = 2}",
    ),
    "retrieval, in parts": (
        *("train.batch=8", "train.epochs=4", "relevant=3.0", "train.layers=1"),
        "train.accumulate=3",
    ),
    "retrieval": ("train.batch=4", "train.epochs=4", "relevant=3.0", "train.layers=1"),
}
FITS = int(os.environ.get("FITS", "8"))  # of each


def what_it_came_to(output: Path) -> tuple[dict, bytes]:
    metrics = json.loads((output / "result.json").read_text())["metrics"]
    timed = {"ms_per_pair", "ms_per_query"}
    return {name: value for name, value in metrics.items() if name not in timed}, (
        output / "model" / "model.safetensors"
    ).read_bytes()


@pytest.mark.long
@pytest.mark.parametrize("name", JOBS)
def test_a_fit_that_is_killed_at_random_moments_ends_as_one_that_was_not(name, tmp_path, mlflow_file):
    for heavy in ("mlflow", "transformers", "trainer.tasks.relevance", "trainer.tasks.retrieval"):
        import_module(heavy)  # before the forks
    copyfile(mlflow_file, tmp_path / "mlflow.db")
    data = queries.write_rows(tmp_path / "pairs.csv", queries.make_rows())
    job = queries.write_job(tmp_path, name.partition(",")[0], data, queries.make_bert(tmp_path / "bert"))
    began = time.monotonic()
    assert (
        wait_or_kill(start_fit(job, tmp_path / "log", f"output={tmp_path}/whole", EACH_STEP, *JOBS[name]), 120, 9) == 0
    )
    longest = time.monotonic() - began
    whole, kills = what_it_came_to(tmp_path / "whole"), 0
    for number in range(FITS):
        folder = tmp_path / f"fit-{number}"
        folder.mkdir()
        kills += fit_through_kills(job, folder, random.Random(number), longest, JOBS[name])
        assert what_it_came_to(folder / "ended") == whole
        assert not (folder / ".checkpoints").exists()
    sys.stdout.write(f"{name}: {FITS} fits, killed {kills} times\n")
    assert kills >= FITS // 2  # chance may let some end; a moment that never kills would show nothing
