"""`herald run`: one cycle of one pipeline, now."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.opening import PATIENCE, count_left, make, read_config, say_of_template
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, DryRunOption, JsonOption, SecretsOption
from bot.errors import RunStoreError


def run(
    name: Annotated[str, typer.Argument(help="A pipeline of the configuration.")],
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run one cycle of one pipeline now.

    Its job runs (if it has one), new runs are judged, what is suspicious is confirmed, and what has to be told is told.
    Ends with 1 where something of that stays untold, or where its runs could not be looked at: what is owed is told
    then too.
    """
    from bot.app import Surroundings
    from bot.cli.output.cycle import print_cycle, print_dry_run
    from bot.cli.output.terminal import progress

    around = Surroundings(complain=say_of_template)
    if dry_run:
        from bot.cli.dry_run import run_dry

        print_dry_run(run_dry(*read_config(config, secrets_dir), name, around), as_json=as_json)
        return
    from bot.pipeline.cycle_report import CycleReport
    from bot.reports.overview import filed_since

    herald = make(config, secrets_dir, around)
    began = herald.around.clock()
    unseen: RunStoreError | None = None
    with progress(f"{name}: job and verdict") as advance:
        cycle = herald.cycle(name, advance)
        try:
            report = cycle.run(began, by_hand=True)
        except RunStoreError as error:  # what is owed is told all the same, this too where it has lasted
            unseen, report = error, CycleReport(unseen=str(error))
    with progress("telling"):
        drained = herald.dispatcher.drain(PATIENCE)
    left = count_left(herald, name, began)
    print_cycle(name, report, drained, left, filed_since(herald, name, began), as_json=as_json)
    if unseen is not None:
        raise unseen
    if report.busy or report.elsewhere or report.trouble or left:
        raise typer.Exit(1)
