"""Wheels, and clean environments outside the checkout to install them into."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """An environment with Herald in it and nothing of the checkout in reach; programs run in *folder*."""

    programs: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        home = str(self.programs.parent)
        return {"PATH": f"{self.programs}:/usr/bin:/bin", "HOME": home, "MLFLOW_DISABLE_TELEMETRY": "true"}

    def run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def must(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    must([sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-w", str(folder)])
    return next(folder.glob("runherald-*.whl"))


@pytest.fixture
def install(wheel, tmp_path) -> Callable[[str], Installed]:
    """Install the wheel with pinned versions of what it needs; what it needs comes from the package index or pip's cache."""

    def install(extras: str = "") -> Installed:
        folder = tmp_path / "environment"
        must([sys.executable, "-m", "venv", "--without-pip", str(folder)])
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(folder),
            "--disable-pip-version-check",
            "install",
            "--quiet",
        ]
        # Modules are compiled where they are used: compiling all of them takes longer than installing them.
        must([*pip, "--no-compile", "--constraint", str(ROOT / "constraints.txt"), f"{wheel}{extras}"])
        (tmp_path / "empty").mkdir()
        return Installed(folder / "bin", tmp_path / "empty")

    return install
