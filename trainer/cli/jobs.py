"""The commands that carry out a job file: fit and evaluate."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.cli.launchers import LaunchedPlace, launched_place

if TYPE_CHECKING:
    from trainer.run import Finished
    from trainer.task import Command

JobArgument = Annotated[Path, typer.Argument(metavar="JOB.toml", help="The job file.", show_default=False)]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the job file, such as seed=3 or train.lr=1e-4 (repeatable).",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", metavar="auto|cpu|cuda|mps", help="On what to compute, instead of what device.kind says."),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option("--precision", metavar="auto|fp32|bf16|fp16", help="In which, instead of what device.precision says."),
]


def fit(
    job: JobArgument,
    overrides: SetOption = None,
    resume: Annotated[
        str,
        typer.Option(
            metavar="auto|never|FOLDER",
            help="Go on where a fit of the same job was killed, begin anew, or go on from the checkpoint in a folder.",
        ),
    ] = "auto",
    device: DeviceOption = None,
    precision: PrecisionOption = None,
) -> None:
    """Train, score and log a model."""
    place, settings = launched_place(), [*(overrides or ()), *device_settings(device, precision)]
    if place is None:
        _carry_out(job, "fit", settings, resume=resume)
    else:
        _fit_together(job, settings, resume, place)


def evaluate(
    job: JobArgument,
    overrides: SetOption = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A saved folder or models:/NAME@ALIAS instead of the job's."),
    ] = None,
    split: Annotated[str | None, typer.Option(metavar="PART", help="train, valid or test: the rows to score.")] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
) -> None:
    """Score a saved model alone, and log it."""
    settings = [*(overrides or ()), *device_settings(device, precision)]
    _carry_out(job, "evaluate", [*settings, *([] if split is None else [f"part={split}"])], model)


def device_settings(device: str | None, precision: str | None) -> list[str]:
    """Give what was chosen on the command line as keys of a job file."""
    given = {"device.kind": device, "device.precision": precision}
    return [f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None]


def _carry_out(
    path: Path, command: "Command", overrides: Sequence[str], model: str | None = None, resume: str = "auto"
) -> None:
    from trainer.jobs.file import load_job
    from trainer.run import run_job

    job = load_job(path, overrides, model=model)
    _tell(run_job(job, command, resume), job.output)


def _fit_together(path: Path, overrides: Sequence[str], resume: str, place: LaunchedPlace) -> None:
    from trainer.environment import let_threads_sleep, tell_the_hub_nothing

    let_threads_sleep()  # both before torch is loaded
    tell_the_hub_nothing()
    from trainer.jobs.file import load_job
    from trainer.models.crew import Crew, joined, speaking_once
    from trainer.results.following import follow
    from trainer.run import run_job

    crew = Crew(place.rank, place.size, place.local_rank, place.local_size)
    with joined(crew), speaking_once(crew):  # first of all: whoever ends from here on is noticed
        if crew.rank:
            follow(lambda: load_job(path, overrides), crew)
        else:
            job = load_job(path, overrides)
            _tell(run_job(job, "fit", resume, crew=crew), job.output)


def _tell(finished: "Finished", output: Path) -> None:
    from trainer.results.summary import plain_table

    lines = (
        plain_table(finished.compared, finished.name, finished.intervals),
        f"run {finished.result.run_id}",
        f"output {output}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
