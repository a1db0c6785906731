"""`herald chat`: tries a chat of the configuration."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.opening import read_config
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, SecretsOption

app = typer.Typer(help="Try a chat of the configuration.", no_args_is_help=True)


@app.command("test")
def say_test(
    name: Annotated[
        str | None, typer.Argument(help="A chat of the configuration; may be left out where there is one.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option(help="The channel.", show_default="those that pipelines and the digest name")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
) -> None:
    """Post a test message to a chat's channels.

    One to each, and it is said where it stands. Nothing is posted twice: where it is not known whether a message
    arrived, that is said, and ends with 1.
    """
    from bot.cli.try_chat import try_chat

    read, _ = read_config(config, secrets_dir)
    failed = False
    for tried in try_chat(read, name, channel):
        typer.echo(tried.said, err=not tried.ok)
        failed |= not tried.ok
    if failed:
        raise typer.Exit(1)
