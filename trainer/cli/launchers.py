"""Launchers of many processes: each would carry out the whole job, and all would write the same output."""

import os
from collections.abc import Mapping

from trainer.errors import JobError

COUNTS = {  # variable -> who sets it to how many processes there are
    "WORLD_SIZE": "torchrun",
    "OMPI_COMM_WORLD_SIZE": "mpirun",
    "PMI_SIZE": "mpiexec",
    "SLURM_STEP_NUM_TASKS": "srun",
}
PLACES = {"RANK": "torchrun", "LOCAL_RANK": "torchrun", "OMPI_COMM_WORLD_RANK": "mpirun", "PMI_RANK": "mpiexec"}


def check_alone(environment: Mapping[str, str] = os.environ) -> None:
    """Raise JobError where this process is one of many that were started for one job."""
    for variables, most in ((COUNTS, 1), (PLACES, 0)):
        for name, launcher in variables.items():
            if _number(environment.get(name)) > most:
                raise JobError(
                    f"{name} is {environment[name]}, as {launcher} sets it for many processes: the trainer runs as one"
                    " (threads in the job file uses more cores); start python -m trainer itself"
                )


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.strip().isdecimal() else 0
