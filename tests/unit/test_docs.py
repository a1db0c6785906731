"""What README and docs show works as shown."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.config_file import load_config

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").rglob("*.md"))]


def shown(language):
    for page in PAGES:
        for number, block in enumerate(re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)):
            yield pytest.param(block, id=f"{page.name}-{number}")


@pytest.mark.parametrize("block", [p for p in shown("toml") if "[pipeline." in p.values[0]])
def test_every_configuration_shown_loads(block, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(block)
    assert load_config(path).pipeline


def test_every_command_shown_exists():
    named = {name for page in PAGES for name in re.findall(r"(?:`|^)herald ([a-z]+)", page.read_text(), re.MULTILINE)}
    known = set(re.findall(r"^  (\w+) ", CliRunner().invoke(app, ["--help"]).output, re.MULTILINE))
    announced = {"init", "doctor"}  # README names them among what is not there yet
    assert named <= known | announced


def test_every_link_to_a_file_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
