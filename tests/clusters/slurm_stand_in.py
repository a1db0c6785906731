"""Slurm's commands without a Slurm, for tests that may not take long."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bot.executors.slurm.config import SlurmSection
from bot.executors.slurm.executor import SlurmExecutor

COMMANDS = ("sbatch", "squeue", "scancel", "sacct", "scontrol", "sinfo")


class SlurmStandIn:
    kind = "slurm"
    is_real = False

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm"))
        for name in ("jobs", "logs", "bin"):
            (self.folder / name).mkdir()
        self.config = self.folder / "slurm.conf"
        program = Path(__file__).with_name("slurm_commands.py")
        for name in COMMANDS:
            command = self.folder / "bin" / name
            command.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {program} "$0" "$@"\n')
            command.chmod(0o755)
        self.section = SlurmSection(workdir=str(self.folder), logs=str(self.folder / "logs"))

    @property
    def path(self) -> str:
        return f"{self.folder / 'bin'}:{os.environ['PATH']}"

    def start(self) -> None:
        (self.folder / "down").unlink(missing_ok=True)

    restart = start

    def kill(self) -> None:
        (self.folder / "down").touch()

    @contextmanager
    def with_mark(self, name: str) -> Iterator[None]:
        """Let the controller be away meanwhile (`down`), or break off a submission (`broken`, `broken after`)."""
        (self.folder / name).touch()
        yield
        (self.folder / name).unlink()

    def lose(self, name: str) -> None:
        """End a job that nobody knows any more."""
        for options in self.folder.glob("jobs/*/options"):
            if json.loads(options.read_text())["job-name"] == name:
                options.unlink()
                os.killpg(int((options.parent / "pid").read_text()), 9)

    def executor(self) -> SlurmExecutor:
        return SlurmExecutor(self.section)

    def end(self) -> None:
        for pid in self.folder.glob("jobs/*/pid"):
            with suppress(ProcessLookupError):
                os.killpg(int(pid.read_text()), 9)
        shutil.rmtree(self.folder, ignore_errors=True)
