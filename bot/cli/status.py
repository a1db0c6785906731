"""`herald status`: how every pipeline stands."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.opening import open_state
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, SecretsOption

_INCIDENTS_NAMED = 3  # of each pipeline


def status(
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    name_all: Annotated[
        bool, typer.Option("--all", help="Name every open incident, not only the latest of each pipeline.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how every pipeline stands.

    Its last run and finding, its main metric over the newest runs, when it is due next, and its open incidents with
    their tickets: the latest ones, and how many there are. With --json all of them.
    """
    from bot.cli.output.status import print_status
    from bot.reports.overview import overview

    limit = None if name_all or as_json else _INCIDENTS_NAMED
    print_status(overview(open_state(config, secrets_dir), limit), as_json=as_json)
