"""The commands that carry out a job file: fit and evaluate."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.cli.launchers import check_alone

if TYPE_CHECKING:
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
) -> None:
    """Train, score and log a model."""
    _carry_out(job, "fit", overrides or (), resume=resume)


def evaluate(
    job: JobArgument,
    overrides: SetOption = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A saved folder or models:/NAME@ALIAS instead of the job's."),
    ] = None,
    split: Annotated[str | None, typer.Option(metavar="PART", help="train, valid or test: the rows to score.")] = None,
) -> None:
    """Score a saved model alone, and log it."""
    _carry_out(job, "evaluate", [*(overrides or ()), *([] if split is None else [f"part={split}"])], model)


def _carry_out(
    path: Path, command: "Command", overrides: Sequence[str], model: str | None = None, resume: str = "auto"
) -> None:
    check_alone()
    from trainer.jobs.file import load_job
    from trainer.results.summary import plain_table
    from trainer.run import run_job

    job = load_job(path, overrides, model=model)
    finished = run_job(job, command, resume)
    lines = (
        plain_table(finished.compared, finished.name, finished.intervals),
        f"run {finished.result.run_id}",
        f"output {job.output}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
