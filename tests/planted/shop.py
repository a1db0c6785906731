"""A team's shop with everything real: a repository with its commits, snapshots, what people judged, and a tiny model."""

from __future__ import annotations

import csv
import json
import runpy
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bot.domain.job_protocol import COMMIT_TAG
from tests.trainer.queries import make_bert, make_rows, pairs, write_job

ROOT = Path(__file__).parents[2]
METRIC = "correct"

JOB = '''"""Gives the products of a snapshot their texts, and fits what people judged of them."""

import argparse
import csv
import os

from trainer.__main__ import main

{texts}

parser = argparse.ArgumentParser()
parser.add_argument("--snapshot")
parser.add_argument("--judged")
parser.add_argument("--set", action="append", default=[])
chosen = parser.parse_args()
with open(f"{{chosen.snapshot}}/products.csv") as table:
    texts = {{row["product_id"]: text_of(row) for row in csv.DictReader(table)}}
with open(chosen.judged) as table, open("pairs.csv", "w", newline="") as pairs:
    rows = [dict(row, title=texts[row["product_id"]]) for row in csv.DictReader(table)]
    writer = csv.DictWriter(pairs, rows[0])
    writer.writeheader()
    writer.writerows(rows)
settings = [
    f"tracking.uri={{os.environ['MLFLOW_TRACKING_URI']}}",
    f"tracking.params.snapshot={{chosen.snapshot}}",
    f"tracking.params.judged={{chosen.judged}}",
    *chosen.set,
]
raise SystemExit(main(["fit", "relevance.toml", *(word for each in settings for word in ("--set", each))]))
'''
TEXTS = {
    "first": "def text_of(row):\n    return f\"{row['filler']} {row['colour']} {row['thing']}\"",
    "tidied": 'def text_of(row):\n    return " ".join((row["filler"], row["colour"], row["thing"]))',
    "without colours": 'def text_of(row):\n    return " ".join((row["filler"], row["thing"]))',
    "short titles": (
        'def text_of(row):\n    return row.get("short") or " ".join((row["filler"], row["colour"], row["thing"]))'
    ),
}

CONFIG = """
[mlflow]
tracking_uri = "sqlite:///mlflow.db"
{services}
[pipeline.shop]
experiment = "relevance"
{told}
[pipeline.shop.job]
command = {command}
cwd = "code"
environment = {{ PYTHONPATH = "{root}", OMP_NUM_THREADS = "1" }}

[pipeline.shop.confirm]
reruns = {confirming}

[pipeline.shop.metrics.{metric}]
lower = 0.0
upper = 1.0

[pipeline.shop.diagnose]
reruns = 9

[pipeline.shop.diagnose.code]
git = "code"

[pipeline.shop.diagnose.data]
arguments = ["--snapshot", "{{params.snapshot}}"]

[pipeline.shop.diagnose.test_set]
arguments = ["--judged", "{{params.judged}}"]

[pipeline.shop.diagnose.params]
arguments = ["--set", "{{name}}={{value}}"]
"""


@dataclass(frozen=True, slots=True)
class State:
    """What the job is made from at one time."""

    code: str = "first"  # how texts are made
    snapshot: str = "monday"
    judged: str = "spring"
    params: Mapping[str, str] = field(default_factory=lambda: {"train.lr": "0.003"})


BEFORE = State()
# Of the code, the data and the parameters everything changed, and did no harm.
HARMLESS = State(code="tidied", snapshot="tuesday", params={"train.lr": "0.0029"})
FAULTS = {
    "code": replace(HARMLESS, code="without colours"),
    "data": replace(HARMLESS, snapshot="blank"),
    "test_set": replace(HARMLESS, judged="mixed up"),
    "param.train.lr": replace(HARMLESS, params={"train.lr": "0.000001"}),
    "code and data": replace(HARMLESS, code="short titles", snapshot="short"),
}


@dataclass(frozen=True, slots=True)
class Shop:
    folder: Path

    @property
    def code(self) -> Path:
        return self.folder / "code"

    def open(self) -> None:
        """Make the repository, the snapshots, and what people judged."""
        self.code.mkdir()
        write_job(self.code, "relevance", Path("pairs.csv"), make_bert(self.folder / "bert"), "relevant = 2.0")
        (self.code / ".gitignore").write_text("pairs.csv\n")
        self._git("init", "--quiet")
        products = [{"product_id": str(100 + n), "colour": c, "thing": t} for n, (c, t) in enumerate(pairs())]
        self._write("monday/products.csv", ({**each, "filler": "oak"} for each in products))
        self._write("tuesday/products.csv", ({**each, "filler": "new"} for each in products))
        self._write("blank/products.csv", ({**each, "filler": "new", "colour": ""} for each in products))
        self._write("short/products.csv", ({**each, "filler": "new", "short": "item"} for each in products))
        rows = make_rows(by_colour=True)
        judged = [{"query": r.query, "product_id": r.product_id, "part": r.part, "room": r.room} for r in rows]
        grades = [r.grade for r in rows]
        self._write("spring.csv", ({**each, "grade": g} for each, g in zip(judged, grades, strict=True)))
        mixed = (4 - grade if row.part == "test" else grade for row, grade in zip(rows, grades, strict=True))
        self._write("mixed up.csv", ({**each, "grade": g} for each, g in zip(judged, mixed, strict=True)))

    def put(self, state: State, *, confirming: int = 1, services: str = "", told: str = "") -> None:
        """Let the job be made from this: the code committed, the rest named in its command."""
        (self.code / "fit.py").write_text(JOB.format(texts=TEXTS[state.code]))
        self._git("add", ".")
        self._git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", state.code)
        command = [sys.executable, "fit.py", *self._words(state, "{seed}", "fires/{fire_id}")]
        text = CONFIG.format(
            command=json.dumps(command), root=ROOT, metric=METRIC, confirming=confirming, services=services, told=told
        )
        (self.folder / "config.toml").write_text(text)

    def fit_by_hand(self, state: State, seed: int) -> None:
        """Log a run that Herald did not start: a second where a process of its own takes many."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.code)
            patch.setattr(sys, "argv", ["fit.py", *self._words(state, str(seed), f"by-hand-{seed}")])
            patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{self.folder / 'mlflow.db'}")
            with pytest.raises(SystemExit) as end:
                runpy.run_path("fit.py", run_name="__main__")
        assert end.value.code == 0

    def log(self, state: State, *values: float) -> None:
        """Log runs of the code as it stands without fitting them."""
        from mlflow import MlflowClient
        from mlflow.entities import Param, RunTag

        client = MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}")
        found = client.get_experiment_by_name("relevance")
        experiment = client.create_experiment("relevance") if found is None else found.experiment_id
        tags, params = (
            [RunTag(COMMIT_TAG, self._git("rev-parse", "HEAD"))],
            [Param(*each) for each in state.params.items()],
        )
        for value in values:
            run_id = client.create_run(experiment).info.run_id
            client.log_batch(run_id, params=params, tags=tags)
            client.log_metric(run_id, METRIC, value)
            client.set_terminated(run_id)

    def _words(self, state: State, seed: str, output: str) -> list[str]:
        settings = {"train.epochs": "5", "train.batch": "16", "train.head_lr": "0.003", **state.params}
        settings |= {"seed": seed, "output": str(self.folder / output)}
        words = ["--snapshot", str(self.folder / state.snapshot), "--judged", str(self.folder / f"{state.judged}.csv")]
        return [*words, *(word for name, value in settings.items() for word in ("--set", f"{name}={value}"))]

    def _write(self, name: str, rows: Iterable[Mapping[str, object]]) -> None:
        path, listed = self.folder / name, list(rows)
        path.parent.mkdir(exist_ok=True)
        with path.open("w", newline="") as table:
            writer = csv.DictWriter(table, listed[0])
            writer.writeheader()
            writer.writerows(listed)

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.code), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
