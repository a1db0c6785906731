"""Herald runs a pipeline of each task, its job being the trainer, and tells that the texts of its products broke."""

import json
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfile

import pytest

from bot.app import make_herald
from bot.config.file import load_config
from bot.domain.judged_run import JudgedRun
from tests.trainer.queries import Row, make_bert, make_rows, write_job, write_rows
from trainer.__main__ import main

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

CONFIG = """
[mlflow]
tracking_uri = "sqlite:///mlflow.db"

[pipeline.shop]
experiment = "{task}"

[pipeline.shop.job]
command = {command}
environment = {{ PYTHONPATH = "{here}", OMP_NUM_THREADS = "1" }}

[pipeline.shop.confirm]
reruns = 1

[pipeline.shop.judge]
slice_by = ["room"]

[pipeline.shop.metrics.{metric}]
lower = 0.0
upper = 1.0
min_effect = 0.05
"""
SETTINGS = {
    "relevance": ("correct", "relevant = 2.0", ("train.batch=16", "train.epochs=4", "train.lr=3e-3", "train.head_lr=3e-3")),
    "retrieval": (
        "recall_at_10",
        "relevant = 3.0",
        ("train.batch=8", "train.layers=1", "train.epochs=2", "model.max_tokens=8", "search.weight=0.5"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shop:
    """A folder with a job of the trainer and a pipeline that starts it."""

    folder: Path
    job: Path
    settings: tuple[str, ...]

    def sell(self, rows: list[Row]) -> None:
        write_rows(self.folder / "pairs.csv", rows)

    def words(self, output: str, seed: str) -> list[str]:
        settings = (*self.settings, f"seed={seed}", f"output={self.folder / output}")
        return ["fit", str(self.job), *(word for setting in settings for word in ("--set", setting))]

    def configure(self, task: str, metric: str) -> None:
        command = [sys.executable, "-m", "trainer", *self.words("fires/{fire_id}", "{seed}")]
        text = CONFIG.format(task=task, metric=metric, command=json.dumps(command), here=Path(__file__).parents[2])
        (self.folder / "config.toml").write_text(text)

    def fit_by_hand(self, seed: int) -> None:
        """Log a run that Herald did not start: half a second where a process of its own takes four."""
        assert main(self.words(f"run{seed}", str(seed))) == 0

    def cycle(self, *, is_due: bool) -> list[JudgedRun]:
        """Judge what is new, run the job if it is due, and confirm what is suspicious."""
        herald = make_herald(load_config(self.folder / "config.toml"), self.folder)
        cycle = herald.cycle("shop")
        report = cycle.run(datetime.now(UTC)) if is_due else cycle.resume()
        herald.database.close()
        return report.judged


@pytest.mark.long
@pytest.mark.parametrize("task", ["relevance", "retrieval"])
def test_blank_titles_are_a_regression(task, tmp_path, mlflow_file):
    metric, more, settings = SETTINGS[task]
    copyfile(mlflow_file, tmp_path / "mlflow.db")
    job = write_job(tmp_path, task, tmp_path / "pairs.csv", make_bert(tmp_path / "bert"), more)
    shop = Shop(tmp_path, job, settings)
    shop.configure(task, metric)
    rows = make_rows(by_colour=task == "relevance")
    shop.sell(rows)
    for seed in (11, 12):
        shop.fit_by_hand(seed)
    healthy = shop.cycle(is_due=True)
    assert len(healthy) == 3
    assert not {judged.outcome for judged in healthy} & {"failed", "invalid", "suspicious", "regressed"}
    assert (tmp_path / "fires" / str(healthy[-1].fire_id) / "per_example.parquet").is_file()

    shop.sell([replace(row, title=f"new {row.product_id}") for row in rows])
    shop.fit_by_hand(13)
    suspicious, confirmed = shop.cycle(is_due=True)
    assert (suspicious.outcome, suspicious.fire_id) == ("suspicious", None)
    assert confirmed.outcome == "regressed"
    assert (tmp_path / "fires" / str(confirmed.fire_id) / "per_example.parquet").is_file()
