"""`herald digest`: what those who plan the work should know, shown or told."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from bot.cli.opening import PATIENCE, count_left, make, make_only_reading
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, DryRunOption, JsonOption, SecretsOption
from bot.errors import HeraldError
from bot.text.locales import Locale, known_locales, read_locale


def digest(
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    since: Annotated[
        str | None, typer.Option(help="How far back to look, such as 7d.", show_default="the last digest, or 7d")
    ] = None,
    locale: Annotated[
        str | None,
        typer.Option(help=f"The language: {', '.join(known_locales())}.", show_default="that of where it is posted"),
    ] = None,
    post: Annotated[bool, typer.Option("--post", help="Post it where the configuration says.")] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show or post what planners should know.

    In at most 15 lines: what needs somebody, what got better, what is being watched, what comes next. With --post
    it is also told, as it is on schedule.
    """
    from bot.cli.output.terminal import print_json
    from bot.config.models import DIGEST
    from bot.reports.digest import compose_digest, preview
    from bot.reports.digest_owing import owe_digest
    from bot.reports.due_dates import find_missed

    if locale is not None and post:
        raise HeraldError("--locale: is for what is shown; what --post posts is in the language of its channel")
    herald = make(config, secrets_dir) if post and not dry_run else make_only_reading(config, secrets_dir)
    now = herald.around.clock()
    begin = None if since is None else now - _length(since)
    missed = find_missed(herald)
    made = compose_digest(herald, begin, locale=_locale(locale), missed=missed)
    view, text = made.view, preview(herald, made)
    if as_json:
        print_json({"tone": view.tone, "quiet": view.is_quiet, "text": text, "parts": [asdict(p) for p in view.parts]})
    else:
        typer.echo(text)
    if not post or dry_run:
        return
    if herald.config.digest is None:
        raise HeraldError("digest: is missing in the configuration; it says where to post: chat and channel, or wiki")
    if not owe_digest(herald, now, begin, missed):
        typer.echo("herald: a quiet time, which the configuration skips: nothing was posted", err=True)
        return
    drained = herald.dispatcher.drain(PATIENCE)
    if count_left(herald, DIGEST, now):
        for words in drained.failures_of(DIGEST) or ["the digest is not delivered yet; see herald outbox"]:
            typer.echo(f"herald: {words}", err=True)
        raise typer.Exit(1)


def _locale(name: str | None) -> Locale | None:
    try:
        return None if name is None else read_locale(name)
    except ValueError as error:
        raise HeraldError(f"--locale: {name!r} {error}") from None


def _length(text: str) -> timedelta:
    from bot.sections import read_duration

    try:
        return read_duration(text)
    except ValueError as error:
        raise HeraldError(f"--since: {text!r} {error}") from None
