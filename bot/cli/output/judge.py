"""What `herald judge` prints of a CSV."""

from __future__ import annotations

from collections.abc import Sequence

from bot.cli.judge_answers import JudgedSeries
from bot.cli.output.sparklines import SPARK_WIDTH, sparkline
from bot.domain.judge import Finding, Outcome
from bot.reports.judge_sentences import sentences_in
from bot.text.locales import ENGLISH, Locale

NARROWEST = 10  # of them where the terminal is narrow
ROOM_FOR_NUMBERS = 62  # columns that the rest of the table takes


def marks(findings: Sequence[Finding], width: int = SPARK_WIDTH) -> str:
    """Draw under a sparkline where runs regressed (v), improved (^), looked suspicious (?) or were invalid (x)."""
    signs = {Outcome.REGRESSED: "v", Outcome.IMPROVED: "^", Outcome.SUSPICIOUS: "?", Outcome.INVALID: "x"}
    return "".join(signs.get(finding.outcome, " ") for finding in findings[-width:])


def print_table(judged: Sequence[JudgedSeries], locale: Locale = ENGLISH) -> None:
    """Print a table for a person at a terminal, and under it a sentence on the newest run of each metric."""
    from rich.markup import escape

    from bot.text.tables import Stacking, WholeConsole

    words, console = sentences_in(locale), WholeConsole()
    table = Stacking(*words.columns)
    width = min(SPARK_WIDTH, max(console.width - ROOM_FOR_NUMBERS, NARROWEST))
    for series in judged:
        newest = series.findings[-1]
        row = words.row(newest)
        history = f"{sparkline(series.values, width)}\n{marks(series.findings, width)}"
        outcome = words.outcome(newest.outcome)
        table.add_row(escape(series.metric), str(len(series.values)), row.value, outcome, row.relative, history)
    table.print(console)
    for series in judged:
        told = words.say_series(series.findings[-1], series.order)
        name = "" if series.metric in told else f"{series.metric}: "
        console.print(escape(name + told), highlight=False)
