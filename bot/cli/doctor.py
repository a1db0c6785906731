"""`herald doctor`: every connection, permission and name, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.opening import read_config
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, SecretsOption


def doctor(
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Make what is missing and safe to make: Trello lists and labels, parent pages."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every connection and say what to do.

    Every permission and name, too. Nothing is posted, filed or changed, unless --fix says so. Ends with 1 where
    something is wrong.
    """
    from bot.cli.output.checks import print_examined
    from bot.doctor import examine
    from bot.runtime.clock import wall_clock

    if not print_examined(examine(*read_config(config, secrets_dir), wall_clock, fix=fix), as_json=as_json):
        raise typer.Exit(1)
