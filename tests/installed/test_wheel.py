"""The base wheel in a clean environment, outside the checkout: what whoever installs Herald gets."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from bot.sandbox import RunningSandbox, serve
from tests.installed.conftest import ROOT, Installed

pytestmark = pytest.mark.long

CONFIG = """
mlflow.tracking_uri = "sqlite:///mlflow.db"
tracker.jira = {{ url = "{box.jira_cloud_url}", email = "{box.email}", project = "{box.project_key}" }}
wiki.wiki = {{ url = "{box.confluence_cloud_url}", email = "{box.email}", space = "{box.space_key}" }}
chat.slack = {{ kind = "slack", url = "{box.slack_url}" }}
[pipeline.p]
experiment = "e"
tracker = "jira"
wiki = "wiki"
chat = "slack"
channel = "{box.channel_id}"
locale = "zh"
[pipeline.p.metrics.m]
"""
LIST_PACKAGES = """
import json
from importlib.metadata import distributions
print(json.dumps([distribution.name.lower() for distribution in distributions()]))
"""
LOG_RUNS = """
from mlflow import MlflowClient
client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
experiment = client.create_experiment("e", artifact_location="./artifacts")
for number, value in enumerate([0.300, 0.302, 0.299, 0.301, 0.300, 0.240, 0.241]):
    run = client.create_run(experiment, start_time=1_750_000_000_000 + number * 3_600_000)
    client.log_metric(run.info.run_id, "m", value)
    client.set_terminated(run.info.run_id, "FINISHED", 1_750_000_000_000 + number * 3_600_000 + 60_000)
"""


def test_the_wheel_holds_every_template_page_and_migration(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bot").rglob("*") if path.is_file()}
    wanted = {path for path in files if "__pycache__" not in path} | {"bot/config.example.toml"}
    wanted |= {
        f"bot/templates/{path.relative_to(ROOT / 'templates').as_posix()}"
        for path in (ROOT / "templates").rglob("*.j2")
    }
    assert wanted <= held
    assert not [name for name in held if name.startswith(("tests", "shared", "docs"))]


def test_the_base_wheel_works_in_a_clean_environment(install, subtests):
    """Install once, since it takes most of a minute; then look at everything that could have been left behind."""
    installed = install()
    for check in (has_no_torch, answers_for_help, keeps_its_state, shows_the_sandbox, tells_of_a_drop):
        with subtests.test(check.__name__):
            check(installed)


def has_no_torch(installed: Installed) -> None:
    listed = installed.run("python", "-c", LIST_PACKAGES)
    names = set(json.loads(listed))
    assert "runherald" in names
    assert not names & {"torch", "transformers", "pytest", "ruff"}
    checked = [sys.executable, "-m", "pip", "--python", str(installed.programs.parent), "check"]
    assert "No broken requirements" in subprocess.run(checked, capture_output=True, text=True, check=True).stdout


def answers_for_help(installed: Installed) -> None:
    commands = re.findall(r"^  ([a-z-]+) ", installed.run("herald", "--help").split("Commands:")[-1], re.MULTILINE)
    assert {"run", "serve", "status", "digest", "backup", "restore", "sandbox", "demo"} <= set(commands)
    example = installed.run("herald", "init", "--example")
    assert example == (ROOT / "config.example.toml").read_text(encoding="utf-8")


def keeps_its_state(installed: Installed) -> None:
    config = installed.folder / "state.toml"
    config.write_text(
        'store.url = "sqlite:///state.db"\n[pipeline.p]\nexperiment = "e"\n[pipeline.p.metrics.m]\n', encoding="utf-8"
    )
    here = ("--config", str(config))
    assert json.loads(installed.run("herald", "status", "--json", *here))["pipelines"][0]["name"] == "p"
    installed.run("herald", "backup", "state.backup", *here)
    installed.run("herald", "restore", "state.backup", "--replace", *here)
    assert "p has never been looked at" in installed.run("herald", "digest", *here)


@contextmanager
def sandbox_of(installed: Installed) -> Iterator[str]:
    """Start `herald sandbox`; yield what it says."""
    environment = {**installed.environment, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    command = [str(installed.programs / "herald"), "sandbox"]
    with subprocess.Popen(command, cwd=installed.folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        yield said
        process.terminate()


def shows_the_sandbox(installed: Installed) -> None:
    with sandbox_of(installed) as said:
        address = re.findall(r"look at: (http://\S+)", said)[0]
        assert "Sandbox" in httpx.get(address, follow_redirects=True).text


def configure(installed: Installed, box: RunningSandbox) -> None:
    (installed.folder / "config.toml").write_text(CONFIG.format(box=box), encoding="utf-8")
    secrets = installed.folder / "secrets"
    secrets.mkdir()
    (secrets / "herald_tracker__jira__token").write_text(box.api_token)
    (secrets / "herald_wiki__wiki__token").write_text(box.api_token)
    (secrets / "herald_chat__slack__token").write_text(box.slack_token)


def tells_of_a_drop(installed: Installed) -> None:
    """A run of the wheel's own loop: migrations, templates of the other language, ticket, page and message."""
    with serve(None) as box:
        configure(installed, box)
        installed.run("python", "-c", LOG_RUNS)
        told = json.loads(installed.run("herald", "run", "p", "--secrets-dir", "secrets", "--json"))
    assert told["failures"] == []
    assert len(told["runs"]) == 7
    assert told["delivered"] >= 5
    assert (installed.folder / "herald.db").is_file()
