"""What is shipped for running Herald as a service fits what Herald does."""

import configparser
import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from bot.cli import app

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


def test_the_image_copies_what_the_wheel_is_made_of():
    lines = (ROOT / "deploy" / "Containerfile").read_text().splitlines()
    copied = {word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]}
    assert {"pyproject.toml", "constraints.txt", "README.md", "bot", "trainer", "templates"} <= copied
    assert all((ROOT / name).exists() for name in copied)


def test_every_secret_of_the_unit_is_named_as_herald_reads_it():
    text = (ROOT / "deploy" / "herald.service").read_text()
    for name, path in re.findall(r"^LoadCredential=([^:]+):(.+)$", text, re.MULTILINE):
        assert name.startswith("herald_")
        assert path.endswith(f"/{name}")
