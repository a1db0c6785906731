"""What config says of a Slurm cluster."""

from __future__ import annotations

from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bot.executors.cluster_section import ClusterSection
from bot.sections import Duration

_OURS = (
    *("--parsable", "--job-name", "-J", "--comment", "--export", "--export-file", "--dependency", "-d", "--requeue"),
    *("--no-requeue", "--output", "-o", "--error", "-e", "--chdir", "-D", "--time", "-t", "--array", "-a", "--wrap"),
    *("--wait", "-W", "--test-only", "--open-mode", "--input", "-i"),
)


def _read_whole_path(path: str) -> str:
    if path and not PurePosixPath(path).is_absolute():
        raise ValueError('should be a whole path, such as "/shared/herald"')
    return path


def _read_arguments(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what would take a job from under Herald's eyes."""
    for argument in arguments:
        name = argument.partition("=")[0]
        if not argument.startswith("-"):
            raise ValueError(f"{argument!r} should be an option with its value, such as --reservation=night")
        if name in _OURS:
            raise ValueError(f"{name} is Herald's to set")
    return arguments


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
