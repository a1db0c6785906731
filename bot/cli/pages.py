"""`herald pages`: the pages as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.opening import open_state
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, SecretsOption
from bot.text.locales import Locale, known_locales, read_locale


def _read(name: str) -> Locale:
    try:
        return read_locale(name)
    except ValueError as error:
        raise typer.BadParameter(f"{name!r} {error}") from None


def pages(
    folder: Annotated[Path, typer.Argument(help="Where they are written; other files there are left alone.")],
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    locale: Annotated[
        Locale | None,
        typer.Option(
            help="Their language; that of the configuration, unless given.",
            parser=_read,
            metavar=f"<{'|'.join(known_locales())}>",
        ),
    ] = None,
) -> None:
    """Write the pages of `herald serve --http` into a folder, as they are now.

    The ways between them are relative, so that they can be opened as files or put behind any web server. Nothing is
    asked of MLflow or any service, and nothing of the state is changed.
    """
    from bot.web.folder import PageFolder

    reader = open_state(config, secrets_dir)
    written = PageFolder(reader, folder, locale or reader.config.locale).write()
    typer.echo(f"{written.count:,} pages in {folder}")
    for each in written.failed:
        typer.echo(f"herald: not written: {each}", err=True)
    if written.failed:
        raise typer.Exit(1)
