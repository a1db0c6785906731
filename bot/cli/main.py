"""The command line: every command by its name, what goes wrong in one, and the exit code."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Sequence
from copy import copy
from typing import Annotated

import typer

from bot import __version__
from bot.cli import (
    backup,
    chat,
    demo,
    diagnose,
    digest,
    doctor,
    init,
    judge,
    outbox,
    pages,
    precision,
    preview,
    replay,
    run,
    sandbox,
    serve,
    status,
    triage,
)
from bot.cli.opening import at_the_end
from bot.errors import ConfigError, HeraldError
from bot.runtime.standard_streams import hold_standard_streams

_SELDOM = 200_000  # objects made between two looks for garbage: nearly all that a command imports and reads stays

app = typer.Typer(
    name="herald",
    help="Watches your experiments in MLflow, decides whether anything truly got worse, and tells the people who plan.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run.run)
app.command()(serve.serve)
app.command()(status.status)
app.command()(digest.digest)
app.command()(pages.pages)
app.command()(precision.precision)
app.command()(judge.judge)
app.command()(diagnose.diagnose)
app.command()(replay.replay)
app.command()(preview.preview)
app.command()(init.init)
app.command()(doctor.doctor)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(sandbox.sandbox)
app.command()(demo.demo)
app.add_typer(chat.app, name="chat")
app.add_typer(outbox.app, name="outbox")
app.add_typer(triage.app, name="triage")


def main() -> None:
    """Run a command; what goes wrong is one sentence on standard error and a non-zero exit code: 2 of bad input."""
    hold_standard_streams()
    gc.set_threshold(_SELDOM)
    try:
        _without_others(sys.argv[1:])(prog_name="herald")
    except HeraldError as error:
        from bot.runtime.log import journal

        for line in journal.mask(str(error)).splitlines():
            print(f"herald: {line}", file=sys.stderr)  # noqa: T201  the one place that speaks of errors
        raise SystemExit(2 if isinstance(error, ConfigError) else 1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:  # noqa: BLE001  a fault of ours: what was at hand may be secret, so no traceback
        from bot.runtime.log import describe

        print(f"herald: broke: {describe(error)}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    finally:
        gc.freeze()  # the process ends: it need not look through all that it made once more


def _without_others(words: Sequence[str]) -> typer.Typer:
    """Give the one command that is named, if one is: to make each other of its signature takes a few milliseconds."""
    only = copy(app)
    wanted = next((word for word in words if not word.startswith("-")), "")
    commands = [each for each in app.registered_commands if each.callback and each.callback.__name__ == wanted]
    groups = [each for each in app.registered_groups if each.name == wanted]
    if commands or groups:  # else all are listed, or asked which of them is meant
        only.registered_commands, only.registered_groups = commands, groups
    return only


def _show_version(wanted: bool) -> None:  # noqa: FBT001  typer's form of a callback
    if wanted:
        typer.echo(f"herald {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log each step to standard error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version
    context.call_on_close(at_the_end.close)
    from bot.runtime.log import set_up

    set_up(logging.INFO if verbose else logging.CRITICAL)
