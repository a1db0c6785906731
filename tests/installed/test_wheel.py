"""The wheel in a clean environment, outside the checkout: what whoever installs Herald gets."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bot.sandbox import serve

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-w", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("runherald-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """Install the base wheel with pinned versions into an environment of its own; return its folder of programs."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [
        str(folder / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--constraint",
        str(ROOT / "constraints.txt"),
    ]
    done = subprocess.run([*pip, str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.fixture
def run(installed, tmp_path):
    """Run a program of that environment in an empty folder, with nothing of the checkout in reach."""

    def run_it(program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(installed / program), *arguments],
            cwd=tmp_path,
            env=_environment(installed),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_it


def _environment(installed: Path) -> dict[str, str]:
    return {"PATH": f"{installed}:/usr/bin:/bin", "HOME": str(installed.parent), "MLFLOW_DISABLE_TELEMETRY": "true"}


def test_the_wheel_holds_every_template_page_and_migration(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bot").rglob("*") if path.is_file()}
    wanted = {path for path in files if "__pycache__" not in path}
    wanted |= {
        f"bot/templates/{path.relative_to(ROOT / 'templates').as_posix()}"
        for path in (ROOT / "templates").rglob("*.j2")
    }
    assert wanted <= held
    assert not [name for name in held if name.startswith(("tests", "shared", "docs"))]


def test_the_base_install_has_no_torch_and_fits_together(run):
    listed = {package["name"].lower() for package in json.loads(run("python", "-m", "pip", "list", "--format", "json"))}
    assert "runherald" in listed
    assert not listed & {"torch", "transformers", "pytest", "ruff"}
    assert "No broken requirements" in run("python", "-m", "pip", "check")


def test_every_command_answers_for_help(run):
    commands = re.findall(r"^  ([a-z-]+) ", run("herald", "--help").split("Commands:")[-1], re.MULTILINE)
    assert {"run", "serve", "status", "digest", "backup", "restore", "sandbox", "demo"} <= set(commands)
    for command in commands:
        assert run("herald", command, "--help").startswith("Usage: herald")


def test_the_state_is_made_and_carried_away(run, tmp_path):
    (tmp_path / "config.toml").write_text('[pipeline.p]\nexperiment = "e"\n[pipeline.p.metrics.m]\n')
    assert json.loads(run("herald", "status", "--json"))["pipelines"][0]["name"] == "p"
    run("herald", "backup", "state.backup")
    run("herald", "restore", "state.backup", "--replace")
    assert "nothing needs you" in run("herald", "digest")


LOOK = """
from mlflow import MlflowClient
client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
experiment = client.create_experiment("e", artifact_location="./artifacts")
for number, value in enumerate([0.300, 0.302, 0.299, 0.301, 0.300, 0.240, 0.241]):
    run = client.create_run(experiment, start_time=1_750_000_000_000 + number * 3_600_000)
    client.log_metric(run.info.run_id, "m", value)
    client.set_terminated(run.info.run_id, "FINISHED", 1_750_000_000_000 + number * 3_600_000 + 60_000)
"""


@pytest.fixture
def served(installed, tmp_path) -> Iterator[str]:
    """Start `herald sandbox` from the wheel; return its address."""
    process = subprocess.Popen(
        [str(installed / "herald"), "sandbox"],
        cwd=tmp_path,
        env={**_environment(installed), "COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C" in line:
            break
    yield said
    process.terminate()
    process.wait(timeout=20)
    process.stdout.close()


def test_the_sandbox_shows_its_pages(served):
    address = re.findall(r"look at: (http://\S+)", served)[0]
    assert "Sandbox" in httpx.get(address, follow_redirects=True).text


def test_a_drop_is_filed_told_and_reported_with_the_templates_of_the_wheel(run, installed, tmp_path):
    with serve(tmp_path / "sandbox.db") as sandbox:
        (tmp_path / "config.toml").write_text(
            f"""
            mlflow.tracking_uri = "sqlite:///mlflow.db"
            tracker.jira = {{ url = "{sandbox.jira_cloud_url}", email = "{sandbox.email}", project = "{sandbox.project_key}" }}
            wiki.wiki = {{ url = "{sandbox.confluence_cloud_url}", email = "{sandbox.email}", space = "{sandbox.space_key}" }}
            chat.slack = {{ kind = "slack", url = "{sandbox.slack_url}" }}
            [pipeline.p]
            experiment = "e"
            tracker = "jira"
            wiki = "wiki"
            chat = "slack"
            channel = "{sandbox.channel_id}"
            locale = "zh"
            [pipeline.p.metrics.m]
            """
        )
        secrets = tmp_path / "secrets"
        secrets.mkdir()
        (secrets / "herald_tracker__jira__token").write_text(sandbox.api_token)
        (secrets / "herald_wiki__wiki__token").write_text(sandbox.api_token)
        (secrets / "herald_chat__slack__token").write_text(sandbox.slack_token)
        run("python", "-c", LOOK)
        told = json.loads(run("herald", "run", "p", "--secrets-dir", "secrets", "--json"))
    assert told["failures"] == []
    assert len(told["runs"]) == 7
    assert told["delivered"] >= 5
    assert (tmp_path / "herald.db").is_file()
