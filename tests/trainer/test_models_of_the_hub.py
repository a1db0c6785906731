"""A model is named and fetched from a hub; its client reads its settings at import, so processes of their own ask."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

from tests.trainer.fake_hub import FakeHub, serving
from tests.trainer.queries import make_bert, make_rows, write_job, write_rows

ROOT = Path(__file__).parents[2]
NAME = "shop/tiny"
OUTPUTS = ("folder", "named", "evaluated", "pinned")
CLOSED = "http://127.0.0.1:9"  # nobody listens there
FETCHES = """
import json, sys
from trainer.errors import ModelError
from trainer.models.hub import fetch_from_hub
def fetch(name):
    try:
        return fetch_from_hub(name, None).commit
    except ModelError as error:
        return str(error)
print(json.dumps([fetch(name) for name in json.loads(sys.argv[1])]))
"""
COMMANDS = """
import json, sys
import trainer.models.hub
from trainer.__main__ import main
trainer.models.hub.PATIENCE = 2.0
print(json.dumps([main(command) for command in json.loads(sys.argv[1])]))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = make_bert(tmp_path_factory.mktemp("hub") / "tiny")
    (folder / "pytorch_model.bin").write_bytes(b"may run code")
    (folder / "README.md").write_text("# A tiny model")
    (folder / "onnx").mkdir()
    for again in ("config.json", "model.safetensors"):
        (folder / "onnx" / again).write_bytes((folder / again).read_bytes())
    with serving(NAME, folder) as hub:
        yield hub


@dataclass(frozen=True, slots=True)
class Told:
    codes: list[int]
    sentences: list[str]


@dataclass(frozen=True, slots=True)
class Desk:
    """A job that names a model, and one process at a time that runs it."""

    folder: Path
    job: Path
    of_folder: Path  # the same with the folder that the hub serves

    @property
    def cache(self) -> Path:
        return self.folder / "home" / "hub"

    def run(self, endpoint: str, *commands: list[str]) -> Told:
        """Run commands one after the other in one process."""
        out, err = self._run(endpoint, COMMANDS, commands)
        sentences = [line for line in err.splitlines() if line.startswith("trainer: ")]
        return Told(json.loads(out.splitlines()[-1]), sentences)

    def fetch(self, endpoint: str, *names: str) -> list[str]:
        """Only fetch models, without what would be done with them; give their commits, or what is said instead."""
        out, _ = self._run(endpoint, FETCHES, names)
        return json.loads(out)

    def _run(self, endpoint: str, script: str, given: Sequence[Any]) -> tuple[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
        own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(self.folder / "home"), "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(
            [sys.executable, "-c", script, json.dumps(given)],
            env=kept | own | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    def fit(self, output: str, *overrides: str, job: Path | None = None) -> list[str]:
        settings = (f"output={self.folder / output}", "train.pairs=16", *overrides)
        return ["fit", str(job or self.job), *(word for setting in settings for word in ("--set", setting))]

    def evaluate(self, output: str, model: str) -> list[str]:
        saved = str(self.folder / model / "model")
        return ["evaluate", str(self.job), "--model", saved, "--set", f"output={self.folder / output}"]

    def params(self, output: str) -> dict[str, str]:
        run = json.loads((self.folder / output / "result.json").read_text())["run_id"]
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as database:
            return dict(database.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run,)).fetchall())


@pytest.fixture
def desk(tmp_path, mlflow_file, hub) -> Desk:
    copyfile(mlflow_file, tmp_path / "mlflow.db")
    data = write_rows(tmp_path / "pairs.csv", make_rows(by_colour=True))
    of_folder = write_job(tmp_path, "relevance", data, hub.folder)
    job = tmp_path / "named.toml"
    job.write_text(of_folder.read_text().replace(f"folder = {json.dumps(str(hub.folder))}", f'name = "{NAME}"'))
    return Desk(tmp_path, job, of_folder)


@pytest.mark.long
def test_a_named_model_is_fetched_once_and_learns(desk: Desk, hub: FakeHub):
    hub.asked()
    told = desk.run(
        hub.url,
        desk.fit("folder", job=desk.of_folder),  # first: it must not shut the hub out for the rest of the process
        desk.fit("named"),
        desk.evaluate("evaluated", "named"),
        desk.fit("pinned", f"model.revision={hub.commit}"),
    )
    assert told.codes == [0, 0, 0, 0]
    assert hub.asked() == [
        f"/api/models/{NAME}/revision/main",
        f"/api/models/{NAME}/tree/{hub.commit}",
        *(f"/{NAME}/resolve/{hub.commit}/{file}" for file in ("config.json", "model.safetensors", "tokenizer.json")),
    ]
    commits = {output: desk.params(output).get("model.commit") for output in OUTPUTS}
    assert commits == {"folder": None, "named": hub.commit, "evaluated": None, "pinned": hub.commit}
    assert desk.params("pinned")["model.revision"] == hub.commit
    assert len({desk.params(output)["model.digest"] for output in OUTPUTS if output != "evaluated"}) == 1

    kept, other = desk.fetch(CLOSED, NAME, "shop/other")
    assert kept == hub.commit  # as it was last given
    assert f"'shop/other' cannot be fetched from {CLOSED}: it cannot be reached" in other
    assert not [path for path in desk.cache.glob("models--shop--other/**/*") if path.is_file()]


def test_what_the_hub_does_not_give_is_told_in_a_sentence(desk: Desk, hub: FakeHub):
    before = {path.name for path in desk.folder.iterdir()}
    told = desk.run(
        hub.url,
        desk.fit("none", "model.name=shop/unknown"),
        desk.fit("none", "model.revision=v9"),
        desk.fit("none", "model.name=a b"),
        desk.fit("none", f"model.name={NAME}-silent"),
    )
    assert told.codes == [2, 2, 2, 2]
    unknown, revision, misspelt, silent = told.sentences
    assert f"model.name: 'shop/unknown' cannot be fetched from {hub.url}: there is no such model" in unknown
    assert f"model.revision: 'v9' is no commit, tag or branch of '{NAME}'" in revision
    assert "model.name: 'a b' cannot be fetched" in misspelt
    assert "it cannot be reached, and no whole copy was kept (ReadTimeout: " in silent
    assert {path.name for path in desk.folder.iterdir()} - before <= {"home"}
    assert [path for path in desk.cache.rglob("*") if path.is_file()] == []
