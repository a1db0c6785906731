"""What README and docs show works as shown."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli.main import app
from bot.config.file import load_config

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def shown(language):
    for page in PAGES:
        for number, block in enumerate(re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)):
            yield pytest.param(block, id=f"{page.name}-{number}")


@pytest.mark.parametrize("block", [p for p in shown("toml") if "[pipeline." in p.values[0]])
def test_every_configuration_shown_loads(block, tmp_path, monkeypatch):
    for kind, name in re.findall(r"^\[(tracker|wiki|chat)\.(\w+)\]$", block, re.MULTILINE):
        monkeypatch.setenv(f"HERALD_{kind}__{name}__TOKEN".upper(), "a-secret-which-no-page-shows")
    path = tmp_path / "config.toml"
    path.write_text(block)
    assert load_config(path).pipeline


def test_every_command_shown_exists():
    named = {name for page in PAGES for name in re.findall(r"(?:`|^)herald ([a-z]+)", page.read_text(), re.MULTILINE)}
    known = set(re.findall(r"^  (\w+) ", CliRunner().invoke(app, ["--help"]).output, re.MULTILINE))
    assert named <= known


@pytest.mark.parametrize(
    ("page", "module", "name", "title"),
    [
        ("docs/commands.md", "bot.cli.main", "herald", "Commands"),
        ("docs/trainer-commands.md", "trainer.__main__", "python -m trainer", "Commands of the trainer"),
    ],
)
def test_the_page_of_commands_says_what_their_help_says(page, module, name, title):
    command = [sys.executable, "-m", "typer", module, "utils", "docs", "--name", name, "--title", title]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert (ROOT / page).read_text().strip() == said.strip(), "`make reference` writes it anew"


def test_every_link_to_a_file_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


MAP = ROOT / "docs/architecture.md"


@pytest.mark.parametrize("package", ["bot", "trainer"])
def test_the_map_names_every_room_once(package):
    (table,) = re.findall(rf"\| room of `{package}` .*?\n\n", MAP.read_text(), re.DOTALL)
    named = [
        name for cell in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    ]
    there = [path.stem for path in (ROOT / package).iterdir() if not path.name.startswith("__")]
    assert sorted(named) == sorted(there)


def test_every_path_on_the_map_exists():
    paths = re.findall(r"`((?:bot|trainer|templates|tests|docs)/[\w./-]+)`", MAP.read_text())
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_trap_is_held_by_a_test_that_exists_or_its_absence_has_a_reason():
    rows = re.findall(
        r"^\| ([\d, ]+) \| [^|]+ \| (.+) \|$", (ROOT / "docs/decisions/007-traps.md").read_text(), re.MULTILINE
    )
    numbers = sorted(int(number) for row, _ in rows for number in row.split(","))
    assert numbers == list(range(1, 48))
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for number, held in rows:
        named = re.findall(r"`(test_\w+)`", held)
        assert named or held.startswith("absent: "), number
        assert [name for name in named if f"def {name}(" not in tests] == []
