"""Faults planted in a real job, each found by `herald diagnose` with the real commits, data and parameters."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from bot.app import make_herald
from bot.cli.main import app
from bot.config.file import load_config
from bot.domain.incidents import IncidentState
from bot.sandbox import serve
from bot.store import incidents
from tests.planted.shop import BEFORE, FAULTS, ROOT, Shop

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")]

HEALTHY = 6
SERVICES = """
[tracker.jira]
url = "{jira}"
email = "{email}"
project = "{project}"
search_lag = "1s"
"""


def make_shop(folder: Path, mlflow_file: Path) -> Shop:
    folder.mkdir()
    shutil.copyfile(mlflow_file, folder / "mlflow.db")
    shop = Shop(folder)
    shop.open()
    shop.put(BEFORE)
    return shop


@pytest.mark.long
def test_a_commit_that_breaks_the_texts_is_told_from_a_parameter(tmp_path, mlflow_file, monkeypatch):
    """A smaller cut of the next one: only the reruns are real."""
    shop = make_shop(tmp_path / "shop", mlflow_file)
    shop.log(BEFORE, 1.0, 0.976, 0.988, 1.0, 0.988)
    broken = replace(BEFORE, code="without colours", params={"train.lr": "0.0029"})
    shop.put(broken, confirming=0)
    shop.log(broken, 0.667, 0.655)
    herald = make_herald(load_config(shop.folder / "config.toml"), shop.folder)
    assert [judged.outcome for judged in herald.cycle("shop").resume().judged][-1] == "regressed"
    with herald.database.begin() as tx:
        (incident,) = incidents.of_pipeline(tx, "shop", IncidentState.OPEN)
    herald.database.close()
    done = CliRunner().invoke(
        app, ["diagnose", incident.incident_id, "--json", "--config", str(shop.folder / "config.toml")]
    )
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert {each["component"] for each in answer["swapped"]} == {"code", "param.train.lr"}
    assert answer["is_sure"]
    assert answer["likeliest"]["components"] == ["code"]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory, mlflow_file) -> Path:
    """Return a shop with some healthy runs."""
    shop = make_shop(tmp_path_factory.mktemp("shop") / "healthy", mlflow_file)
    for seed in range(1, HEALTHY + 1):
        shop.fit_by_hand(BEFORE, seed)
    shutil.copytree(shop.folder, shop.folder.parent / "kept", symlinks=True)
    return shop.folder


@pytest.fixture
def shop(healthy) -> Shop:
    """Return that shop as it was, where it was: where files lie is on record."""
    shutil.rmtree(healthy)
    shutil.copytree(healthy.parent / "kept", healthy, symlinks=True)
    return Shop(healthy)


def herald(folder: Path, *words: str) -> str:
    command = [sys.executable, "-c", "from bot.cli.main import main; main()", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_among_what_else_changed(fault, shop, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with serve(tmp_path / "sandbox.db") as sandbox:
        monkeypatch.setenv("HERALD_TRACKER__JIRA__TOKEN", sandbox.api_token)
        services = SERVICES.format(jira=sandbox.jira_cloud_url, email=sandbox.email, project=sandbox.project_key)
        shop.put(FAULTS[fault], services=services, told='tracker = "jira"')
        herald(shop.folder, "run", "shop")
        answer = json.loads(herald(shop.folder, "diagnose", "SR-1", "--json"))
        said = told_on(sandbox, "SR-1")
    assert answer["is_sure"]
    assert set(answer["likeliest"]["components"]) == set(fault.split(" and "))
    assert answer["likeliest"]["kind"] == ("together" if " and " in fault else "alone")
    assert len(said) == 1
    assert "Which change did it: " in said[0]


def told_on(sandbox, key: str) -> list[str]:
    """Return the comments of a ticket."""
    address = f"{sandbox.jira_cloud_url}/rest/api/2/issue/{key}/comment"
    answer = requests.get(address, auth=(sandbox.email, sandbox.api_token), timeout=20)
    return [comment["body"] for comment in answer.json()["comments"]]
