"""The command line: from clean and prepare over fit, evaluate and search to compare, recommend and explain."""

import atexit
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from errno import ENAMETOOLONG
from pathlib import Path
from typing import NoReturn

import typer

from trainer.cli.compression import compress
from trainer.cli.datasets import clean, prepare
from trainer.cli.explaining import explain
from trainer.cli.images import images
from trainer.cli.jobs import evaluate, fit
from trainer.cli.labelling import label
from trainer.cli.launchers import check_alone
from trainer.cli.results import compare, recommend, upload
from trainer.cli.search import search
from trainer.cli.standard_streams import hold_standard_streams
from trainer.cli.transfer import transfer
from trainer.errors import InputError, Stopped, TrainerError, tell_error
from trainer.stopping import ignore_stops, stoppable
from trainer.tracking.progress import say

FAILED, BAD_INPUT, SIGNALLED = 1, 2, 128

app = typer.Typer(
    help="Fine-tunes and scores text recommenders, one job file at a time (docs/job-protocol.md).",
    epilog="exit codes: 0 done; 1 failed, the run says FAILED; 2 bad input, nothing written; 143 stopped, KILLED",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def begin(context: typer.Context) -> None:
    """Let no command but fit be one of many processes: each would read, ask or write the same."""
    if context.invoked_subcommand not in (None, "fit"):
        check_alone(context.invoked_subcommand)


for command in (fit, evaluate, search, transfer, compress, compare, recommend, explain, upload, clean, prepare):
    app.command()(command)
app.add_typer(label, name="label")
app.add_typer(images, name="images")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code; what goes wrong is one sentence on standard error."""
    hold_standard_streams()
    try:
        Path.cwd()  # what paths of the command line begin at
    except OSError as error:
        say(f"trainer: the folder that this was started in cannot be found: {error.strerror}")
        return BAD_INPUT
    if sys.flags.optimize > 1:
        say(
            "trainer: PYTHONOPTIMIZE=2 (python -OO) takes away docstrings, which transformers reads: 1 or none is right"
        )
        return BAD_INPUT
    try:
        with stoppable():
            app(arguments, prog_name="python -m trainer")
    except SystemExit as ended:  # typer's way to end: done, or a command line that it has told about already
        return int(ended.code or 0)
    except InputError as error:
        say(f"trainer: {error}")
        return BAD_INPUT
    except TrainerError as error:
        say(f"trainer: {error}")
        return FAILED
    except Stopped as error:
        say("trainer: stopped")
        return SIGNALLED + error.signal_number
    except Exception as error:  # noqa: BLE001 - the last line of defence: a sentence, the details being in MLflow
        if isinstance(error, OSError) and error.errno == ENAMETOOLONG:  # only what was handed in can be
            say(f"trainer: {error.filename}: is too long for the name of a file")
            return BAD_INPUT
        say(f"trainer: {tell_error(error)}")
        return FAILED
    return 0


def end_with(code: int) -> NoReturn:
    """End the process without taking Python apart: with torch loaded that costs seconds, also of a stop's grace."""
    ignore_stops()  # whoever asks once more would end it in a trace, and by another code
    atexit._run_exitfuncs()  # noqa: SLF001 - what would run at the end runs
    with suppress(OSError):  # whoever read what was printed may be gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    end_with(main())
