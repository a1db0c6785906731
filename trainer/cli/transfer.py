"""The command that measures what carries over from one set of rows to another."""

import json
import sys
from typing import Annotated

import typer

from trainer.cli.jobs import JobArgument, SetOption


def transfer(
    job: JobArgument,
    overrides: SetOption = None,
    *,
    resume: Annotated[
        str,
        typer.Option(metavar="auto|never", help="Take the cells that an earlier try has measured, or none of them."),
    ] = "auto",
    language: Annotated[
        str | None, typer.Option(metavar="en|zh", help="Of what is printed (default: transfer.language).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fit on each source, score on each target, with none and with few of its rows: what carries over."""
    from trainer.environment import let_threads_sleep, tell_the_hub_nothing

    let_threads_sleep()  # both before torch is loaded
    tell_the_hub_nothing()
    from trainer.jobs.file import load_job, load_sets
    from trainer.transfer.running import measure_transfer
    from trainer.transfer.sentences import sentences

    given = [] if language is None else [f"transfer.language={json.dumps(language)}"]
    settings = [*(overrides or ()), *given]
    loaded = load_job(job, overrides or ())
    if loaded.transfer is not None:
        loaded = load_job(job, settings)
    done = measure_transfer(loaded, load_sets(job, settings) if loaded.transfer is not None else {}, resume)
    if as_json:
        made = {"run_id": done.result.run_id, "output": str(loaded.output)}
        sys.stdout.write(json.dumps({**done.content, **made}, indent=2, ensure_ascii=False) + "\n")
        return
    assert loaded.transfer is not None  # else it was refused
    lines = (*sentences(done.matrix, loaded.transfer.language), f"run {done.result.run_id}", f"output {loaded.output}")
    sys.stdout.write("\n".join(lines) + "\n")
