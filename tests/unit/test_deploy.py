"""What is shipped for running Herald as a service fits what Herald does."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli.main import app

ROOT = Path(__file__).resolve().parents[2]


def read_unit():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(ROOT / "deploy" / "herald.service")
    return unit


def test_the_unit_starts_a_command_that_exists_and_lets_jobs_live_on():
    service = read_unit()["Service"]
    command = shlex.split(service["ExecStart"])
    assert command[0].endswith("/herald")
    options = CliRunner().invoke(app, [command[1], "--help"]).output
    assert all(word in options for word in command if word.startswith("--"))
    assert service["KillMode"] == "process"
    assert "-HUP" in service["ExecReload"]
    assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    text = (ROOT / "deploy" / "herald.service").read_text(encoding="utf-8")
    unit = tmp_path / "herald.service"
    unit.write_text(text.replace("/opt/herald/bin/herald", "/bin/true"), encoding="utf-8")  # it must be there
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    said = [line for line in checked.stderr.splitlines() if "herald.service" in line]
    assert (checked.returncode, said) == (0, [])


def read_image() -> list[tuple[str, str]]:
    """Return the instructions of the Containerfile, each with what follows it."""
    text = re.sub(r"\\\n", " ", (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_copies_all_that_the_wheel_is_made_of_and_only_what_there_is():
    copied = {word for kind, rest in read_image() if kind == "COPY" for word in rest.split()[:-1]}
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["packages"], *wheel["force-include"], project["project"]["readme"]} <= copied
    assert {"pyproject.toml", "constraints.txt", "LICENSE"} <= copied


def test_the_image_runs_a_supported_python_as_a_user_of_its_own_and_starts_a_command_that_exists():
    steps = read_image()
    kinds = [kind for kind, _ in steps]
    said = dict(steps)
    low, high = re.findall(
        r"3\.(\d+)", tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    )
    (minor,) = re.findall(r"python:3\.(\d+)", said["FROM"])
    assert int(low) <= int(minor) < int(high)
    assert kinds.index("USER") < kinds.index("ENTRYPOINT")
    assert f" {said['USER']}" in next(rest for kind, rest in steps if kind == "RUN" and "useradd" in rest)
    words = [*json.loads(said["ENTRYPOINT"]), *json.loads(said["CMD"])]
    assert words[0] == "herald"
    help_text = CliRunner().invoke(app, [words[1], "--help"]).output
    assert all(word in help_text for word in words if word.startswith("--"))
    assert words[-1].startswith(said["VOLUME"] + "/")


def test_every_secret_of_the_unit_is_named_as_herald_reads_it():
    text = (ROOT / "deploy" / "herald.service").read_text()
    for name, path in re.findall(r"^LoadCredential=([^:]+):(.+)$", text, re.MULTILINE):
        assert name.startswith("herald_")
        assert path.endswith(f"/{name}")
