"""The commands that make data ready: clean and prepare."""

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.jobs import JobArgument


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; 2017-11-01 is right") from None


def clean(
    job: JobArgument,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to make.", show_default=False)],
) -> None:
    """Clean the log of a job: events, items, data card."""
    from trainer.data.interactions import write_interactions
    from trainer.errors import JobError
    from trainer.jobs.data import InteractionsData
    from trainer.jobs.file import load_job

    data = load_job(job).data
    if not isinstance(data, InteractionsData):
        raise JobError(f"{job}: key 'data.kind' is {data.kind!r}: \"interactions\" is what can be cleaned")
    card = write_interactions(data, folder)
    explained = card.explained or {}
    dropped = (f"{count:9} {why}: {explained[why]}" for why, count in card.dropped.items() if count)
    mended = (f"{count:9} {what}, mended" for what, count in (card.mended or {}).items())
    lines = (
        f"{card.rows_kept} of {card.rows_in} rows kept",
        *dropped,
        *mended,
        f"{card.users} users, {card.catalogue_size} items from {card.first_day} to {card.last_day}",
        f"clean tables {folder}, hash {card.hash[:12]}",
    )
    sys.stdout.write("\n".join(lines) + "\n")


def prepare(
    snapshot: Annotated[Path, typer.Argument(metavar="SNAPSHOT", help="The folder to make.", show_default=False)],
    raw: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Transactions and products as parquet or CSV (default: the installed package)."
        ),
    ] = None,
    item_ids: Annotated[
        Path | None,
        typer.Option(
            metavar="SNAPSHOT",
            help="An earlier snapshot: products stay the items they were there, whatever their texts say now.",
        ),
    ] = None,
    test_from: Annotated[
        date | None,
        typer.Option(
            parser=_day,
            metavar="DAY",
            help="Each household's first trip from this day on is the test (default: 2017-11-01).",
        ),
    ] = None,
    until: Annotated[
        date | None, typer.Option(parser=_day, metavar="DAY", help="The first day left out (default: none).")
    ] = None,
    min_households: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Leave out items that fewer households bought before the split."),
    ] = 10,
    households: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="A small cut: the first N households.")
    ] = None,
) -> None:
    """Make a snapshot of completejourney's baskets, split in time."""
    from trainer.data.completejourney import TEST_FROM, Options
    from trainer.data.completejourney import prepare as write

    card = write(raw, snapshot, Options(test_from or TEST_FROM, until, min_households, households), item_ids)
    dropped = ", ".join(f"{count} {reason}" for reason, count in card.dropped.items() if count) or "none"
    lines = (
        f"{card.rows_kept} of {card.rows_in} rows kept; dropped: {dropped}",
        f"{card.catalogue_size} items with {card.distinct_texts} distinct texts",
        f"{card.users} households, {card.trips} trips from {card.first_day} to {card.last_day}",
        f"test: {card.test_targets} items of {card.test_examples} households from {card.test_from}",
        f"snapshot {snapshot}, hash {card.hash[:12]}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
