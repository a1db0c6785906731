"""Herald watches an experiment of each task and tells that the texts of its products broke."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfile

import pytest
from queries import make_bert, make_rows, write_job, write_rows

from bot.app import make_herald
from bot.config_file import load_config
from trainer.__main__ import main

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")]

CONFIG = """
[mlflow]
tracking_uri = "sqlite:///mlflow.db"

[pipeline.shop]
experiment = "{task}"

[pipeline.shop.judge]
slice_by = ["room"]

[pipeline.shop.metrics.{metric}]
lower = 0.0
upper = 1.0
min_effect = 0.05
"""
SETTINGS = {
    "relevance": ("correct", "relevant = 2.0", ("train.batch=16", "train.epochs=6", "train.lr=3e-3", "train.head_lr=3e-3")),
    "retrieval": (
        "recall_at_10",
        "relevant = 3.0",
        ("train.batch=8", "train.layers=1", "train.epochs=2", "model.max_tokens=8", "search.weight=0.5"),
    ),
}  # fmt: skip


def judge(folder: Path) -> list[str]:
    herald = make_herald(load_config(folder / "config.toml"), folder)
    report = herald.cycle("shop").run(datetime.now(UTC))
    herald.database.close()
    return [judged.outcome for judged in report.judged]


@pytest.mark.parametrize("task", SETTINGS)
def test_blank_titles_are_a_regression(task, tmp_path, empty_database):
    metric, more, settings = SETTINGS[task]
    copyfile(empty_database, tmp_path / "mlflow.db")
    (tmp_path / "config.toml").write_text(CONFIG.format(task=task, metric=metric))
    rows = make_rows(by_colour=task == "relevance")
    data, model = write_rows(tmp_path / "pairs.csv", rows), make_bert(tmp_path / "bert")
    job = write_job(tmp_path, task, data, model, more)

    def fit(number: int) -> None:
        words = [word for setting in (*settings, f"seed={number}") for word in ("--set", setting)]
        assert main(["fit", str(job), *words, "--set", f"output={tmp_path}/run{number}"]) == 0

    found = []
    for number in range(3):
        fit(number)
        found += judge(tmp_path)
    assert not set(found) & {"failed", "invalid", "suspicious", "regressed"}
    write_rows(data, [replace(row, title=f"new {row.product_id}") for row in rows])
    outcomes = []
    for number in (3, 4):
        fit(number)
        outcomes += judge(tmp_path)
    assert outcomes == ["suspicious", "regressed"]
