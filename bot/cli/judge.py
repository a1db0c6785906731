"""`herald judge`: the judge on anyone's numbers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from bot.cli.options import LocaleOption
from bot.errors import HeraldError
from bot.text.locales import ENGLISH


def judge(
    file: Annotated[str, typer.Argument(help="A file, or - for standard input.")],
    form: Annotated[
        Literal["jsonl", "csv"] | None,
        typer.Option("--format", help="What the file holds.", show_default="csv for .csv and .tsv, else jsonl"),
    ] = None,
    preset: Annotated[Literal["quiet", "sensitive"], typer.Option(help="How readily a fall is told.")] = "quiet",
    lower_is_better: Annotated[
        list[str] | None, typer.Option(help="A CSV column in which lower is better; may be repeated.")
    ] = None,
    min_effect: Annotated[
        str, typer.Option(help="Changes up to this size are never told: '2 %', or 0.005 in the metric's own unit.")
    ] = "0",
    locale: LocaleOption = ENGLISH,
) -> None:
    """Judge anyone's numbers.

    JSON lines are answered in kind: {"id", "values"} with the runs at which a fall is told, with "mode": "offline" with
    change points, {"id", "baseline", "candidate"} with a verdict; each answer has the finding's numbers and a sentence.
    A CSV has an order or time column and one column a metric; it is answered by a table.
    """
    from bot.cli.judge_answers import judge_csv, judge_lines
    from bot.cli.judge_input import MOST_CSV, JudgeInputError, bounded, read_min_effect
    from bot.cli.output.judge import print_table
    from bot.domain.policy import Preset

    try:
        effect = read_min_effect(min_effect)
        with sys.stdin if file == "-" else Path(file).open(encoding="utf-8", newline="") as read:
            if form == "csv" or (form is None and file.lower().endswith((".csv", ".tsv"))):
                columns = lower_is_better or []
                held = bounded(read, most=MOST_CSV)
                judged = judge_csv(held, preset=Preset(preset), min_effect=effect, lower_is_better=columns)
                print_table(judged, locale)
            else:
                held = bounded(read)
                for answer in judge_lines(held, preset=Preset(preset), min_effect=effect, locale=locale):
                    sys.stdout.write(answer + "\n")
    except (JudgeInputError, OSError, UnicodeDecodeError) as error:
        raise HeraldError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
