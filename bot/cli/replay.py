"""`herald replay`: this configuration on the history that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.opening import read_config
from bot.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, LocaleOption, SecretsOption
from bot.text.locales import ENGLISH


def replay(  # noqa: PLR0917  a command's options are named by whoever types them
    name: Annotated[
        str | None, typer.Argument(metavar="[PIPELINE]", help="A pipeline; all of them, unless given.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    secrets_dir: SecretsOption = None,
    since: Annotated[str, typer.Option(help="Where to begin: so long ago (90d), or a day (2026-09-01).")] = "90d",
    sweep: Annotated[
        list[str] | None,
        typer.Option(help="Settings to try: min_effect=0.5%,1%,2% or preset=quiet,sensitive; may be repeated."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put the setting that was chosen into the configuration; comments stay.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option("--html", help="Write a page with charts there, which needs nothing else.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides where drops are planted and how noise is drawn.")] = 0,
    locale: LocaleOption = ENGLISH,
    as_json: JsonOption = False,
) -> None:
    """Show what this configuration would have filed, missed, and got wrong on the history in MLflow.

    Nothing is filed and nothing is changed: MLflow is only read, and no state is made. Drops of known size are planted
    into the history to see which would have been caught; its noise alone shows how many tickets would have been false.
    """
    from bot.cli.output.replay import print_replay, write_page
    from bot.cli.output.terminal import progress
    from bot.cli.replay_input import read_since, read_sweep
    from bot.connections import make_run_store
    from bot.errors import HeraldError
    from bot.replay.replaying import Replaying
    from bot.runtime.clock import wall_clock

    found, _ = read_config(config, secrets_dir, needs_secrets=False)
    now = wall_clock()
    variants = read_sweep(sweep or [], write=write)
    replaying = Replaying(found, make_run_store(found), read_since(since, now), now, seed, variants)
    try:
        with progress("replaying the history") as on_progress:
            replayed = replaying.all([name] if name else None, on_progress)
    except KeyboardInterrupt:
        raise HeraldError(
            "replay: stopped, and nothing was changed; what was read of the history is kept for the next time"
        ) from None
    if page is not None:
        write_page(page, replayed, found, locale, now)
    print_replay(replayed, found, locale, as_json=as_json)
    if write:
        from bot.cli.output.replay import print_written
        from bot.replay.writing import write_settings

        if any(each.chosen for each in replayed.done):
            print_written(config, write_settings(config, replayed.done), as_json=as_json)
