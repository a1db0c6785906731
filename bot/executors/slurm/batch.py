"""From a job to what sbatch is given: its options, and the script on its input."""

from __future__ import annotations

import math
import shlex
from pathlib import PurePosixPath

from bot.executors.slurm.answers import comment_of
from bot.executors.slurm.config import SlurmSection
from bot.ports import Job

_MEGABYTE = 1024**2  # as Slurm counts
_MINUTE = 60


def options_of(job: Job, section: SlurmSection) -> list[str]:
    """Return the options: nothing in them is secret, since everybody on the host sees them."""
    log = log_file(job, section)
    own = [
        "--parsable",
        f"--job-name={job.name}",
        f"--comment={comment_of(job.owner)}",
        "--export=NONE",  # the account's own environment on the node, and what the script sets
        "--dependency=singleton",  # should one of the name be there after all, this one waits, and is cancelled
        "--no-requeue",
        "--nodes=1",
        "--ntasks=1",
        "--chdir=/",
        f"--time={max(math.ceil(job.timeout.total_seconds() / _MINUTE), 1)}",
        f"--output={log if log is not None else '/dev/null'}",
        "--open-mode=append",
    ]
    return [*own, *resources(section, cpus=job.cpus, gpus=job.gpus, memory=job.memory)]


def resources(section: SlurmSection, *, cpus: int | None, gpus: int | None, memory: int | None) -> list[str]:
    """Return the options that say what a job needs, and where it is to run."""
    wanted = {
        "partition": section.partition,
        "account": section.account,
        "qos": section.qos,
        "constraint": section.constraint,
        "cpus-per-task": cpus,
        "gres": f"{section.gpu_resource}:{gpus}" if gpus else None,
        "mem": f"{math.ceil(memory / _MEGABYTE)}M" if memory else None,
    }
    return [*(f"--{name}={value}" for name, value in wanted.items() if value), *section.arguments]


def log_file(job: Job, section: SlurmSection) -> PurePosixPath | None:
    return PurePosixPath(section.logs, f"{job.name}.log") if section.logs else None


def batch_script(job: Job, section: SlurmSection) -> str:
    """Write the script: it sets the job's environment, goes to its folder and becomes the command.

    A shell that was given a part of it, by a connection that broke, finds no end of the group and starts nothing.
    """
    exports = [f"export {shlex.quote(name)}={shlex.quote(value)}" for name, value in sorted(job.environment.items())]
    start = PurePosixPath(section.workdir) / job.cwd.as_posix()
    folder = shlex.quote(str(start)) if start.is_absolute() else f'"$HOME"/{shlex.quote(str(start))}'
    return "\n".join(
        [
            "#!/bin/sh",
            "{",
            *exports,
            "export SLURM_EXPORT_ENV=ALL",  # what srun starts within it gets the same
            f"cd {folder} || exit 126",
            f"exec {shlex.join(job.command)}",
            "}",
            "",
        ]
    )
