"""The options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.text.locales import Locale, known_locales, read_locale


def _read_locale(name: str) -> Locale:
    try:
        return read_locale(name)
    except ValueError as error:
        raise typer.BadParameter(f"{name!r} {error}") from None


LocaleOption = Annotated[
    Locale,
    typer.Option(help="The language of the sentences.", parser=_read_locale, metavar=f"<{'|'.join(known_locales())}>"),
]
ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", envvar="HERALD_CONFIG", help="The configuration.", show_default="config.toml")
]
SecretsOption = Annotated[
    Path | None,
    typer.Option("--secrets-dir", envvar="HERALD_SECRETS_DIR", help="A folder with one file a secret."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Start no job, send nothing, change nothing: print what would be sent.")
]
DEFAULT_CONFIG = Path("config.toml")
