"""The command line: prepare, fit, evaluate, compare, recommend."""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from trainer.cli.results import add_compare, add_recommend
from trainer.errors import InputError, Stopped, TrainerError
from trainer.tracking.progress import say

OK, FAILED, BAD_INPUT, SIGNALLED = 0, 1, 2, 128
DESCRIPTION = "Fine-tunes and scores text recommenders, one job file at a time (docs/trainer-seam.md)."
EPILOG = "exit codes: 0 done; 1 failed, the MLflow run says FAILED; 2 bad input, nothing written; 143 stopped, KILLED"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = build_parser()
    options = parser.parse_args(arguments)
    from trainer.run import stoppable

    try:
        with stoppable():
            return int(options.call(options))
    except InputError as error:
        say(f"trainer: {error}")
        return BAD_INPUT
    except TrainerError as error:
        say(f"trainer: {error}")
        return FAILED
    except Stopped as error:
        say("trainer: stopped")
        return SIGNALLED + error.signal_number
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: no second complaint
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last line of defence: a sentence, the details being in MLflow
        say(f"trainer: {type(error).__name__}: {error}")
        return FAILED


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer", description=DESCRIPTION, epilog=EPILOG)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, text in (("fit", "train, score and log a model"), ("evaluate", "score a saved model alone, and log it")):
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.add_argument("job", type=Path, metavar="JOB.toml")
        command.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            dest="overrides",
            help="override a key of the job file, such as seed=3 or train.lr=1e-4 (repeatable)",
        )
        command.set_defaults(call=_run, command=name, model=None, split=None)
        if name == "evaluate":
            command.add_argument(
                "--model", metavar="MODEL", help="a saved folder or models:/NAME@ALIAS instead of the job's"
            )
            command.add_argument("--split", metavar="PART", help="train, valid or test: the rows to score")
    add_compare(commands.add_parser("compare", help="what differs between two runs, example by example"))
    add_recommend(commands.add_parser("recommend", help="ask a saved model for products"))
    clean = commands.add_parser("clean", help="write the clean events of a job's log, and the data card")
    clean.description = "Clean the log that a job file names and write events, items and the data card."
    clean.add_argument("job", type=Path, metavar="JOB.toml")
    clean.add_argument("folder", type=Path, metavar="FOLDER", help="the folder to make")
    clean.set_defaults(call=_clean)
    _add_prepare(commands.add_parser("prepare", help="make a snapshot of completejourney's baskets"))
    return parser


def _add_prepare(command: argparse.ArgumentParser) -> None:
    command.description = "Clean and count completejourney's baskets, split them in time, write a snapshot."
    command.add_argument("snapshot", type=Path, metavar="SNAPSHOT", help="the folder to make")
    command.add_argument(
        "--raw",
        type=Path,
        metavar="DIR",
        help="transactions and products as parquet or CSV (default: the installed package)",
    )
    command.add_argument(
        "--item-ids",
        type=Path,
        metavar="SNAPSHOT",
        help="an earlier snapshot: products stay the items they were there, whatever their texts say now",
    )
    command.add_argument(
        "--test-from",
        type=_day,
        default=date(2017, 11, 1),
        metavar="DAY",
        help="each household's first trip from this day on is the test (default: %(default)s)",
    )
    command.add_argument("--until", type=_day, metavar="DAY", help="the first day left out (default: none)")
    command.add_argument(
        "--min-households",
        type=_count,
        default=10,
        metavar="N",
        help="leave out items that fewer households bought before the split (default: %(default)s)",
    )
    command.add_argument("--households", type=_count, metavar="N", help="a small cut: the first N households")
    command.set_defaults(call=_prepare)


def _run(options: argparse.Namespace) -> int:
    from trainer.jobs.file import load_job
    from trainer.results.summary import plain_table
    from trainer.run import run_job

    job = load_job(options.job, [*options.overrides, *_chosen(options)], model=options.model)
    finished = run_job(job, options.command)
    lines = (
        plain_table(finished.compared, finished.name, finished.intervals),
        f"run {finished.result.run_id}",
        f"output {job.output}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return OK


def _chosen(options: argparse.Namespace) -> list[str]:
    return [f"part={options.split}"] if options.split is not None else []


def _clean(options: argparse.Namespace) -> int:
    from trainer.data.interactions import write_interactions
    from trainer.errors import JobError
    from trainer.jobs.data import InteractionsData
    from trainer.jobs.file import load_job

    data = load_job(options.job).data
    if not isinstance(data, InteractionsData):
        raise JobError(f"{options.job}: key 'data.kind' is {data.kind!r}: \"interactions\" is what can be cleaned")
    card = write_interactions(data, options.folder)
    explained = card.explained or {}
    dropped = (f"{count:9} {why}: {explained[why]}" for why, count in card.dropped.items() if count)
    mended = (f"{count:9} {what}, mended" for what, count in (card.mended or {}).items())
    lines = (
        f"{card.rows_kept} of {card.rows_in} rows kept",
        *dropped,
        *mended,
        f"{card.users} users, {card.catalogue_size} items from {card.first_day} to {card.last_day}",
        f"clean tables {options.folder}, hash {card.hash[:12]}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return OK


def _prepare(options: argparse.Namespace) -> int:
    from trainer.data.completejourney import Options, prepare

    chosen = Options(options.test_from, options.until, options.min_households, options.households)
    card = prepare(options.raw, options.snapshot, chosen, options.item_ids)
    dropped = ", ".join(f"{count} {reason}" for reason, count in card.dropped.items() if count) or "none"
    lines = (
        f"{card.rows_kept} of {card.rows_in} rows kept; dropped: {dropped}",
        f"{card.catalogue_size} items with {card.distinct_texts} distinct texts",
        f"{card.users} households, {card.trips} trips from {card.first_day} to {card.last_day}",
        f"test: {card.test_targets} items of {card.test_examples} households from {card.test_from}",
        f"snapshot {options.snapshot}, hash {card.hash[:12]}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return OK


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; 2017-11-01 is right") from None


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
