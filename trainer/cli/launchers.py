"""Launchers of many processes: torchrun's fit one model together; else each would write the same output."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from trainer.errors import JobError

COUNTS = {  # variable -> who sets it to how many processes there are
    "WORLD_SIZE": "torchrun",
    "OMPI_COMM_WORLD_SIZE": "mpirun",
    "PMI_SIZE": "mpiexec",
    "SLURM_STEP_NUM_TASKS": "srun",
}
PLACES = {"RANK": "torchrun", "LOCAL_RANK": "torchrun", "OMPI_COMM_WORLD_RANK": "mpirun", "PMI_RANK": "mpiexec"}
TOGETHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # of torchrun, all


@dataclass(frozen=True, slots=True)
class LaunchedPlace:
    """Which of the processes of a launcher this is."""

    rank: int
    size: int
    local_rank: int  # on this machine
    local_size: int


def launched_place(environment: Mapping[str, str] = os.environ) -> LaunchedPlace | None:
    """Give this process's place among torchrun's, None where it is alone; raise JobError for other launchers'."""
    if not all(environment.get(name) for name in TOGETHER) or _number(environment.get("WORLD_SIZE")) < 2:  # noqa: PLR2004
        check_alone("fit", environment)
        return None
    check_alone("fit", {name: value for name, value in environment.items() if name not in TOGETHER})
    rank, size, local_rank, local_size = (_number(environment[name]) for name in TOGETHER[:4])
    return LaunchedPlace(rank, size, local_rank, local_size)


def check_alone(command: str, environment: Mapping[str, str] = os.environ) -> None:
    """Raise JobError where this process is one of many that were started for one job of a command."""
    others = " or as several of torchrun's" if command == "fit" else "; fit alone runs as several of torchrun's"
    for variables, most in ((COUNTS, 1), (PLACES, 0)):
        for name, launcher in variables.items():
            if _number(environment.get(name)) > most:
                raise JobError(
                    f"{name} is {environment[name]}, as {launcher} sets it for many processes: {command} runs as one"
                    f" (threads in the job file uses more cores){others}; start python -m trainer {command} itself"
                )


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.strip().isdecimal() else 0
