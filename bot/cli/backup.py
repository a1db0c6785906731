"""`herald backup` and `herald restore`: the state in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.opening import make, make_only_reading
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, SecretsOption


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")],
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
) -> None:
    """Copy the state into one file.

    Herald may be at work meanwhile.
    """
    from bot.store.backup import back_up

    count = back_up(make_only_reading(config, secrets_dir).database, file)
    typer.echo(f"{file}: {count} rows")


def restore(
    file: Annotated[Path, typer.Argument(help="What `herald backup` wrote.")],
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of a state that is there.")] = False,
) -> None:
    """Bring a backup back.

    Into SQLite or PostgreSQL, while no Herald is at work. What was owed then is looked for in the services before
    it is sent, and runs that ended since are read as the past.
    """
    from bot.store.backup import restore as bring_back

    herald = make(config, secrets_dir)
    count = bring_back(herald.database, file, herald.around.clock(), replace=replace)
    typer.echo(f"{herald.database.address}: {count} rows")
