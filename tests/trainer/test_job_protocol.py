"""The page on the protocol of jobs is true: its job file loads, its program runs and leaves what the page promises."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pyarrow.parquet as pq
import pytest

from trainer.jobs.file import load_job
from trainer.jobs.schema import MixJob, NextItemOfSnapshot, ScoreJob
from trainer.jobs.training import TrainJob

PAGE = Path("docs/job-protocol.md").read_text()


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def test_the_job_file_of_the_page_loads_with_the_defaults_it_states(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text(block("toml"))
    job = load_job(path)
    assert (job.train, job.score, job.mix) == (TrainJob(), ScoreJob(), MixJob())


def test_the_page_names_every_key_of_a_job_file():
    stated = block("toml")
    for name, field in NextItemOfSnapshot.model_fields.items():
        assert re.search(rf"^(# )?{name} = |^\[{name}\]", stated, re.MULTILINE), name
        if name not in stated.split("[data]")[0]:
            sections = [
                kind for kind in (field.annotation, *get_args(field.annotation)) if hasattr(kind, "model_fields")
            ]
            keys = sections[0].model_fields
            inner = [key for key in keys if not re.search(rf"^(# )?{key} = ", stated, re.MULTILINE)]
            assert set(inner) <= {"folder", "params"}, inner
            assert all(key in PAGE for key in inner)


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_the_program_of_the_page_leaves_a_run_that_keeps_the_contract(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(block("python"))
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    environment = os.environ | {"HERALD_FIRE_ID": "fire-9", "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run([sys.executable, script, uri], cwd=tmp_path, env=environment, check=True, capture_output=True)

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name("my-pipeline").experiment_id])
    assert run.info.status == "FINISHED"
    assert (run.data.tags["herald.fire_id"], run.data.tags["herald.seam"]) == ("fire-9", "1")
    artifacts = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert artifacts == {"per_example.parquet", "data_card.json"}
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    table = pq.read_table((tmp_path / folder) / "per_example.parquet").to_pandas()
    assert run.data.metrics["hr_at_10"] == pytest.approx(table.groupby("example_id").hr_at_10.mean().mean())
