"""`herald preview`: every text that Herald writes, as its readers see it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.opening import open_state, read_config
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, SecretsOption
from bot.errors import HeraldError
from bot.text.locales import Locale, known_locales, read_locale

if TYPE_CHECKING:
    from bot.preview.stage import Stage


def preview(
    what: Annotated[
        str,
        typer.Argument(
            help="A template such as 'jira/ticket.wiki.j2', a folder of them, a service such as 'slack', or 'chart'.",
            show_default="everything",
        ),
    ] = "",
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="An incident's id or the key of its ticket: what the state holds of it; or 'digest', of now.",
            show_default="samples",
        ),
    ] = None,
    locale: Annotated[
        str | None,
        typer.Option(help=f"The language: {', '.join(known_locales())}.", show_default="that of the configuration"),
    ] = None,
    once: Annotated[Path | None, typer.Option(help="Write the page to this file, and serve nothing.")] = None,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 0,
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
) -> None:
    """Show texts in the browser as their readers see them.

    With samples, or with what the state holds of an incident; in your own templates, where the configuration names a
    folder of them, and anew whenever one of them is edited. Until Ctrl-C, for this machine alone.
    """
    stage, own = _stage(config, secrets_dir, from_)
    try:
        spoken = own if locale is None else read_locale(locale)
    except ValueError as error:
        raise HeraldError(f"--locale: {locale!r} {error}") from None
    if once is not None:
        _write(once, stage.compose(what, spoken))
        return
    stage.choose(what, spoken)  # what is wrong with the question is said here
    _serve(stage, what, spoken, port)


def _stage(config: Path, secrets_dir: Path | None, from_: str | None) -> tuple[Stage, Locale]:
    """Set up what there is to look at; without a configuration, the samples in Herald's own templates."""
    from bot.preview.cases import sample_cases
    from bot.preview.from_state import cases_from
    from bot.preview.stage import Stage, all_readers, readers_in

    if from_ is not None:
        reader = open_state(config, secrets_dir, needs_secrets=False)
        cases = partial(cases_from, reader, from_)
        return Stage(cases, readers_in(reader.config), reader.overrides), reader.config.locale
    if config == DEFAULT_CONFIG and not config.exists():
        return Stage(sample_cases, all_readers()), Locale("en")
    found, folder = read_config(config, secrets_dir, needs_secrets=False)
    return Stage(sample_cases, all_readers(), folder / found.templates if found.templates else None), found.locale


def _write(file: Path, page: str) -> None:
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise HeraldError(f"--once {file}: cannot be written: {error.strerror or error}") from None


def _serve(stage: Stage, what: str, locale: Locale, port: int) -> None:
    from bot.preview.server import PreviewServer

    try:
        server = PreviewServer(stage, what, locale, port)
    except OSError as error:
        raise HeraldError(f"--port {port}: cannot be used: {error.strerror or error}") from None
    with server:
        typer.echo(f"{server.url}   Ctrl-C ends it.")
        server.serve_forever()
