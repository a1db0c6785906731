"""The command that looks for a job's rate and batch."""

import sys
from typing import Annotated

import typer

from trainer.cli.jobs import JobArgument, SetOption
from trainer.errors import JobError


def search(
    job: JobArgument,
    overrides: SetOption = None,
    trials: Annotated[int, typer.Option(min=1, metavar="N", help="How many fits are tried before the last.")] = 12,
    rates: Annotated[
        str | None,
        typer.Option(metavar="LOW:HIGH", help="Bounds of train.lr (default: a tenth to ten times the job's)."),
    ] = None,
    batches: Annotated[
        str | None,
        typer.Option(metavar="N,N,...", help="Values of train.batch (default: half, once and twice the job's)."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="What is best on the valid rows (default: auc or ndcg_at_10).")
    ] = None,
) -> None:
    """Try rates and batches on the valid rows, each as a nested run, and fit the best."""
    from trainer.jobs.file import load_job
    from trainer.results.summary import plain_table
    from trainer.search.trials import REACH, Space, search_job

    read = load_job(job, overrides or ())
    lr, batch = read.train.lr, read.train.batch
    low, high = (lr / REACH, lr * REACH) if rates is None else _bounds(rates)
    chosen = tuple(sorted({max(2, batch // 2), batch, batch * 2})) if batches is None else _counts(batches)
    found = search_job(read, trials, Space(low, high, chosen), metric)
    rows = [
        f"{number}  {one.lr:.3g}  {one.batch}  {'failed' if one.value is None else f'{one.value:.4f}'}"
        for number, one in enumerate(found.trials, start=1)
    ]
    lines = (
        f"trial  train.lr  train.batch  {found.metric} of the valid rows",
        *rows,
        f"fitted: train.lr = {found.best.lr:.3g}, train.batch = {found.best.batch}",
        plain_table(found.finished.compared, found.finished.name, found.finished.intervals),
        f"run {found.finished.result.run_id}",
        f"output {read.output}",
    )
    sys.stdout.write("\n".join(lines) + "\n")


def _bounds(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        low = high = 0.0
    if not 0 < low < high:
        raise JobError(f"--rates {text}: two rates, the lower first, are right, such as 1e-5:1e-3")
    return low, high


def _counts(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 1 for part in parts):
        raise JobError(f"--batches {text}: whole numbers from 2 on are right, such as 16,32,64")
    return tuple(sorted({int(part) for part in parts}))
