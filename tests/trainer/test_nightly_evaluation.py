"""The example of a pipeline that only evaluates: a saved model is scored each night, and judged."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.app import make_herald
from bot.config.file import load_config
from trainer.run import run_job

EXAMPLE = Path(__file__).parents[2] / "examples" / "nightly_evaluate"

pytestmark = pytest.mark.long


def test_a_saved_model_is_scored_each_night_and_judged(tracked, snapshot_folder, tmp_path):
    run_job(tracked.job(), "fit")
    folder = tmp_path / "nightly"
    (folder / "snapshots").mkdir(parents=True)
    (folder / "snapshots" / "latest").symlink_to(snapshot_folder)
    job = (EXAMPLE / "evaluate.toml").read_text()
    saved = tracked.folder / "output" / "model"
    (folder / "evaluate.toml").write_text(job.replace("../next_purchase/runs/seed-0/model", str(saved)))
    text = (EXAMPLE / "config.toml").read_text().replace('"python"', f'"{sys.executable}"')
    text = text.replace("upper = 0.5", "upper = 1.0")  # ten guesses among twelve items
    here = f'environment = {{ PYTHONPATH = "{EXAMPLE.parents[1]}", OMP_NUM_THREADS = "1" }}'
    (folder / "config.toml").write_text(text.replace('timeout = "1h"', here))
    herald = make_herald(load_config(folder / "config.toml"), folder)
    (judged,) = herald.cycle("served").run(datetime.now(UTC)).judged
    herald.database.close()
    assert judged.outcome == "no_baseline"
    assert judged.run.metrics["ndcg_at_10"] > 0
    assert (folder / "runs" / str(judged.fire_id) / "per_example.parquet").is_file()
