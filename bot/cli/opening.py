"""What a command begins with: the configuration, and a Herald of it that is closed when the command ends."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from bot.app import Herald, Surroundings
    from bot.config.models import Config
    from bot.reports.reader import Reader
    from bot.store import Database

PATIENCE = timedelta(seconds=60)  # with which a command waits until what it owes is delivered
at_the_end = ExitStack()  # of a command


def read_config(config: Path, secrets_dir: Path | None, *, needs_secrets: bool = True) -> tuple[Config, Path]:
    from bot.config.file import load_config, secrets_of
    from bot.runtime.log import journal

    found = load_config(config, secrets_dir, needs_secrets=needs_secrets)
    journal.hide(secrets_of(found))
    return found, config.resolve().parent


def make(config: Path, secrets_dir: Path | None, around: Surroundings | None = None) -> Herald:
    from bot.app import make_herald

    return _until_the_end(make_herald(*read_config(config, secrets_dir), around=around))


def say_of_template(words: str) -> None:
    typer.echo(f"herald: a template of yours is broken, and Herald's own was used: {words}", err=True)


def open_state(config: Path, secrets_dir: Path | None, *, needs_secrets: bool = True) -> Reader:
    """Open the state for a command that needs nothing else."""
    from bot.reports.reader import open_reader

    reader = open_reader(*read_config(config, secrets_dir, needs_secrets=needs_secrets))
    at_the_end.callback(reader.database.close)
    _tell_of_nothing(reader.database)
    return reader


def make_only_reading(config: Path, secrets_dir: Path | None) -> Herald:
    """Build a Herald for a command that only looks; says so where there is nothing to look at yet."""
    from bot.app import make_reader

    herald = _until_the_end(make_reader(*read_config(config, secrets_dir)))
    _tell_of_nothing(herald.database)
    return herald


def _tell_of_nothing(database: Database) -> None:
    if database.is_stand_in:
        typer.echo(f"herald: {database.address}: there is no state yet; the first run makes it", err=True)


def _until_the_end(herald: Herald) -> Herald:
    """Let the state be closed when the command has ended."""
    at_the_end.callback(herald.close)
    return herald


def count_left(herald: Herald, pipeline: str, began: datetime) -> int:
    from bot.store import backlog

    with herald.database.begin() as tx:
        return backlog.count_left(tx, pipeline, began)
