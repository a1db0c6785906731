"""What config says of a Slurm cluster."""

from __future__ import annotations

from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bot.executors.cluster_section import ClusterSection
from bot.sections import Duration

_OURS = (  # options that Herald sets, or that would take a job to where it does not look
    *(
        "--parsable",
        "--job-name",
        "--comment",
        "--export",
        "--export-file",
        "--dependency",
        "--requeue",
        "--no-requeue",
    ),
    *(
        "--output",
        "--error",
        "--chdir",
        "--time",
        "--array",
        "--wrap",
        "--wait",
        "--test-only",
        "--open-mode",
        "--input",
    ),
    *("--clusters", "--cluster", "--uid", "--gid"),
)
_OURS_IN_SHORT = frozenset("JdoeDtaWiM")
_WITH_VALUE = frozenset("AbBcCFGLmnNpqSwxkg")  # what stands behind these letters is their value


def _read_whole_path(path: str) -> str:
    if path and not PurePosixPath(path).is_absolute():
        raise ValueError('should be a whole path, such as "/shared/herald"')
    return path


def _read_arguments(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what would take a job from under Herald's eyes."""
    for argument in arguments:
        if not argument.startswith("-") or argument in {"-", "--"}:
            raise ValueError(f"{argument!r} should be an option with its value, such as --reservation=night")
        if _is_ours(argument):
            raise ValueError(f"{argument} sets what is Herald's to set")
    return arguments


def _is_ours(argument: str) -> bool:
    """Read an option as sbatch does: a long one by its beginning, short ones one after the other."""
    if argument.startswith("--"):
        name = argument.partition("=")[0]
        return any(each.startswith(name) for each in _OURS)
    for letter in argument[1:]:
        if letter in _OURS_IN_SHORT or letter in _WITH_VALUE:
            return letter in _OURS_IN_SHORT
    return False


def _read_host(host: str) -> str:
    if host.startswith("-") or any(letter.isspace() for letter in host):
        raise ValueError('should be a host as ssh knows it, such as "herald@login.example.com"')
    return host


WholePath = Annotated[str, AfterValidator(_read_whole_path)]


class SlurmSection(ClusterSection):
    kind: Literal["slurm"] = "slurm"
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""  # features that its nodes should have
    gpu_resource: str = "gpu"  # the generic resource of which job.gpus asks for so many: gpu, or gpu:h100
    arguments: Annotated[tuple[str, ...], AfterValidator(_read_arguments)] = ()  # more options of sbatch
    workdir: WholePath = ""  # where jobs start, as nodes see it; the home of the account where there is none
    logs: WholePath = ""  # a folder that the nodes and Herald (or the host of ssh) see; jobs have no log without it
    ssh: Annotated[str, AfterValidator(_read_host)] = ""  # the host whose commands are asked, where not this one
    timeout: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=30)  # of one command

    @property
    def place(self) -> str:
        return f"Slurm of {self.ssh.rpartition('@')[2]}" if self.ssh else "Slurm of Herald's own host"
