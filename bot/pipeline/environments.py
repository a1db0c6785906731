"""Environments that reruns are set to: each is made once from what a lock file says, by a job of its own."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bot.config.diagnose import EnvironmentSection
from bot.config.pipeline import JobSection
from bot.domain.fires import Fire
from bot.domain.rerun_troubles import TroubleKind
from bot.errors import JobError
from bot.executors import environment_builder
from bot.executors.lock_files import read_lock
from bot.judging.context import JudgingContext
from bot.ports import Job
from bot.runtime.private_files import make_folder
from bot.text.toml_keys import key_path


@dataclass(frozen=True, slots=True)
class Environment:
    """What a lock file says is installed, in a folder named by its hash."""

    folder: Path
    lock: bytes
    section: EnvironmentSection

    def is_whole(self) -> bool:
        return environment_builder.ready_file(self.folder).exists() and self.folder.is_dir()

    def mark_used(self) -> None:
        """Note that it is wanted still: those used last are kept."""
        with suppress(OSError):
            environment_builder.ready_file(self.folder).touch()

    def variables(self, before: Mapping[str, str]) -> dict[str, str]:
        """Return what lets a command that names `python` take that of the environment."""
        path = before.get("PATH") or os.environ.get("PATH", os.defpath)
        return {"PATH": os.pathsep.join((str(self.folder / "bin"), path)), "VIRTUAL_ENV": str(self.folder)}

    def write_plan(self) -> Path:
        """Write down how it is made, and the lock file beside it."""
        lock = self.folder.with_name(f"{self.folder.name}.lock{Path(self.section.lock).suffix}")
        filled = {"{folder}": str(self.folder), "{python}": str(self.folder / "bin" / "python"), "{lock}": str(lock)}
        plan = {
            "folder": str(self.folder),
            "make": [_fill(word, filled) for word in self.section.make],
            "install": [_fill(word, filled) for word in self.section.install],
            "size": self.section.size,
            "keep": self.section.keep,
        }
        path = self.folder.with_name(f"{self.folder.name}.plan")
        try:
            make_folder(self.folder.parent)
            lock.write_bytes(self.lock)
            path.write_text(json.dumps(plan), encoding="utf-8")
        except OSError as error:
            raise JobError(f"{path}: cannot be written: {error.strerror or error}") from error
        return path


@dataclass(frozen=True, slots=True)
class EnvironmentMaker:
    """Knows the environments of one pipeline's reruns."""

    context: JudgingContext
    folder: Path  # that relative paths of the config start from

    def of(self, fire: Fire) -> Environment | None:
        """Return the environment that a rerun is set to; None where it has the job's own.

        Raises:
            JobError: where its lock file cannot be read.
        """
        return self.made_from(fire.recipe.lock) if fire.recipe.lock else None

    @property
    def place(self) -> Path:
        """The folder that they are in."""
        return self._jobs.resolve() / "environments"

    def made_from(self, lock_name: str) -> Environment:
        """Return the environment that a lock file says.

        Raises:
            JobError: where that cannot be read.
        """
        diagnose = self.context.section.diagnose
        section = None if diagnose is None else diagnose.environment
        if section is None or not section.lock:
            where = f"[{key_path('pipeline', self.context.name, 'diagnose', 'environment')}]"
            said = f"{where} has no lock any more"
            raise JobError(f"{lock_name}: nothing can be made of it: {said}", TroubleKind.NO_LOCK, said=said)
        lock = read_lock(self.folder, section.git, lock_name)
        text = json.dumps([section.make, section.install, lock.decode(errors="replace")])
        name = hashlib.sha256(text.encode()).hexdigest()[:32]
        return Environment(self.place / name, lock, section)

    def job_that_makes(self, environment: Environment, fire: Fire, config: JobSection) -> Job:
        """Return the job that makes an environment: it is given what the pipeline's own is given, and no more."""
        builder = [sys.executable, "-I", environment_builder.__file__, str(environment.write_plan())]
        return Job(
            fire_id=f"{fire.fire_id}-environment",
            command=tuple(builder),
            folder=self._jobs / f"{fire.fire_id}-environment",
            cwd=self.folder / config.cwd,
            environment=config.environment,
            timeout=environment.section.timeout,
            memory=config.memory,
            cpus=config.cpus,
            log_limit=config.log_limit,
        )

    @property
    def _jobs(self) -> Path:
        return self.folder / self.context.config.jobs_folder / self.context.name


def _fill(word: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word
