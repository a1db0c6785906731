"""The command that makes a tuned model smaller: candidates, their table, the gate, the run of the choice."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.cli.jobs import JobArgument, SetOption

if TYPE_CHECKING:
    from trainer.compression.comparing import Compared
    from trainer.compression.gate import Measured
    from trainer.results.appendix import Appendix

TABLE = "compress.json"


def compress(
    job: JobArgument,
    overrides: SetOption = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="What a fit saved, or models:/NAME@ALIAS, instead of the job's."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a tuned model smaller and faster, measured, and log the cheapest that loses too little to matter."""
    from trainer.compression.comparing import compare_candidates, of_candidate
    from trainer.compression.gate import GateError
    from trainer.compression.table import as_json as told
    from trainer.compression.table import tell
    from trainer.jobs.file import load_job
    from trainer.results.output_folder import check_places
    from trainer.results.registered_models import fetched
    from trainer.run import run_job
    from trainer.tasks.on_device import check_device
    from trainer.tracking.mlflow import check_tracking
    from trainer.tracking.progress import say

    loaded = load_job(job, overrides or (), model=model)
    check_places(loaded)
    check_device(loaded)
    check_tracking(loaded.tracking)  # candidates take hours, and their run begins behind them
    say("trainer: compress: makes, measures and scores on the processor in fp32, for which it makes models")
    questions = "pairs" if loaded.task == "relevance" else "queries"
    with fetched(loaded) as local, TemporaryDirectory(prefix="trainer-") as scratch:
        compared = compare_candidates(local, Path(scratch))
        try:
            chosen = compared.choice()
        except GateError:
            # What was measured took long, and says what to change.
            _write(json.dumps(told(compared, None), indent=2) if as_json else tell(compared, questions))
            raise
        if not as_json:
            _write(tell(compared, questions))
        taken = of_candidate(local, compared.folder_of(chosen))
        finished = run_job(taken, "compress", beside=_appendix(local.model.folder, compared, chosen, questions))
    made = {"run_id": finished.result.run_id, "output": str(loaded.output), "metrics": finished.result.metrics}
    if as_json:
        _write(json.dumps({**told(compared, chosen), **made}, indent=2))
    else:
        _write(f"taken: {chosen.name}\nrun {finished.result.run_id}\noutput {loaded.output}")


def _appendix(folder: Path | None, compared: "Compared", chosen: "Measured", questions: str) -> "Appendix":
    from trainer.compression.table import as_json, cost_metrics, page
    from trainer.results.appendix import Appendix

    gate = compared.gate
    params: dict[str, str | int | float | bool] = {
        "model.folder": str(folder),
        "compress.taken": chosen.name,
        "compress.metric": gate.metric,
        "compress.max_quality_loss": gate.max_quality_loss,
        "compress.min_speedup": gate.min_speedup,
        "compress.judged_on": compared.judged_on,
    }
    costs = cost_metrics(compared, chosen)
    return Appendix(params, costs, page(compared, questions), TABLE, as_json(compared, chosen))


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
