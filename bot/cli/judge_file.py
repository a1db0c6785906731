"""The judge on anyone's numbers: JSON lines or CSV in, findings out."""

from __future__ import annotations

import csv
import itertools
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO, TypeAlias

import numpy as np

from bot.domain.judge import Finding, Outcome, Reason
from bot.domain.judge.guards import broken_value
from bot.domain.judge.offline import change_points, measure_stretches
from bot.domain.judge.overtime import judge_series, name_onset, smallest_effect, tell, watch_metric
from bot.domain.judge.paired import holm, measure_pairs, moderated_p
from bot.domain.judge.track import Signal, Track
from bot.domain.policy import Direction, MetricPolicy, MinEffect, Preset, is_usable, read_share, settle
from bot.domain.runs import Bools, Floats
from bot.reports.findings import Words, finding_as_json, pairs_as_json, stretches_as_json, words_in
from bot.text.locales import ENGLISH, Locale

Json: TypeAlias = Mapping[str, Any]

TIME_COLUMNS = ("time", "timestamp", "date", "datetime")
ORDER_COLUMNS = (*TIME_COLUMNS, "order", "step", "index", "run", "epoch")
DELIMITERS = (",", ";", "\t")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
MISSING = frozenset({"", "-", "n/a", "na", "nan", "none", "null"})
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 40  # newest runs drawn
NARROWEST = 10  # of them where the terminal is narrow
ROOM_FOR_NUMBERS = 62  # columns that the rest of the table takes
NO_EFFECT = MinEffect(0.0)
LONGEST_LINE = 64_000_000  # characters
MOST_CSV = 64_000_000


class LinesError(ValueError):
    """A line or cell that cannot be read; the message says which, and what would be right."""


def read_min_effect(text: str) -> MinEffect:
    """Read ``2 %`` as relative, a bare number as in the metric's own unit.

    :raises LinesError: for anything else.
    """
    if (share := read_share(text)) is not None:
        return share
    try:
        size = float(text)
    except ValueError:
        size = math.nan
    if not 0 <= size < math.inf:
        raise LinesError(f"--min-effect: {text!r} should be a share such as '2 %', or a number of 0 or more")
    return MinEffect(size, relative=False)


def judge_lines(
    lines: Iterable[str], *, preset: Preset, min_effect: MinEffect = NO_EFFECT, locale: Locale = ENGLISH
) -> Iterator[str]:
    """Answer each JSON line in kind: alerts for ``values``, change points for ``offline``, a verdict for pairs.

    Each answer also holds the finding's numbers and a sentence in the language *locale*.

    :raises LinesError: at the first line that is none of these.
    """
    import scipy.special  # noqa: F401 - here, not at the first value that needs it

    words = words_in(locale)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record = parse_record(line, number)
        try:
            answer = {"id": record.get("id"), **judge_record(record, preset, min_effect, words)}
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise LinesError(f"line {number}: {explain(error)}") from error
        yield json.dumps(finite(answer), ensure_ascii=False)


def bounded(lines: TextIO, longest: int = LONGEST_LINE, most: int | None = None) -> Iterator[str]:
    """Yield lines without ever holding more than one of them.

    :raises LinesError: at a line longer than *longest*, or where all of them are more than *most* characters.
    """
    read = 0
    while line := lines.readline(longest + 1):
        line = line if read else line.removeprefix("\ufeff")
        read += len(line) or 1
        if len(line) > longest:
            raise LinesError(f"a line of more than {longest:,} characters: no numbers that anybody judges")
        if most is not None and read > most:
            raise LinesError(
                f"more than {most:,} characters; give it in parts, or as JSON lines, which are read one by one"
            )
        yield line


def finite(value: Any) -> Any:
    """Return what JSON can say: null where a number is none."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: finite(each) for key, each in value.items()}
        case list() | tuple():
            return [finite(each) for each in value]
    return value


def parse_record(line: str, number: int) -> Json:
    try:
        record = json.loads(line)
    except RecursionError:
        raise LinesError(f"line {number}: not JSON that can be read (it is nested too deep)") from None
    except ValueError as error:
        hint = "" if number > 1 else "; is it a CSV? Then add --format csv"
        raise LinesError(f"line {number}: not JSON ({error}){hint}") from error
    if not isinstance(record, dict):
        raise LinesError(f"line {number}: expected an object with 'values' or 'baseline' and 'candidate'")
    return record


def explain(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"key {error} is missing; a line has 'values', or 'baseline' and 'candidate'"
    return str(error)


def judge_record(record: Json, preset: Preset, min_effect: MinEffect, words: Words) -> Json:
    if "baseline" in record:
        return judge_pairs(record, words)
    if record.get("mode") == "offline":
        return judge_whole(record, words)
    return judge_online(record, preset, min_effect, words)


def metric_name(record: Json, words: Words) -> str:
    return str(record.get("metric") or words.word("the_metric"))


def numbers(values: Sequence[float | None]) -> Floats:
    """Return *values* with NaN for what is missing, and for what no difference can be taken of."""
    return np.array([settle(value) if is_usable(value := as_float(each)) else math.nan for each in values])


def as_float(value: float | str | None) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf


def orientation(record: Json) -> int:
    return 1 if record.get("higher_is_better", True) else -1


def judge_online(record: Json, preset: Preset, min_effect: MinEffect, words: Words) -> Json:
    """Return the runs at which a fall is first told, and where each began, from 0; and what the newest run shows."""
    direction = Direction.UP if orientation(record) > 0 else Direction.DOWN
    policy = MetricPolicy(metric_name(record, words), direction, min_effect)
    track, alerts, changes = Track(), [], []
    watched: list[int] = []
    finding = Finding(policy.name, Outcome.NO_BASELINE, Reason.FIRST_RUNS)
    values = [as_float(each) for each in record["values"]]
    for number, given in enumerate(values):
        broken = Reason.MISSING if math.isnan(given) else broken_value(given, policy)
        if broken is not None:
            finding = Finding(policy.name, Outcome.INVALID, broken, value=None if math.isnan(given) else given)
            continue
        value = settle(given)
        watched.append(number)
        effect = smallest_effect(track, policy)
        track, view = watch_metric(track, value, policy, preset)
        if view.sight is Signal.FELL and view.onset is not None:
            alerts.append(number)
            changes.append(watched[view.onset])
        if number == len(values) - 1:
            finding = name_onset(tell(view, value, effect, policy, preset), lambda seen: str(watched[seen]))
    found = finding_as_json(finding, words)
    return {"alerts": alerts, "changes": changes, "finding": found, "sentence": words.say_series(finding)}


def judge_whole(record: Json, words: Words) -> Json:
    """Return where a whole series changed its level, from 0, and by how much."""
    values = numbers(record["values"])
    points = change_points(values)
    found = measure_stretches(values, points)
    return {
        "change_points": points,
        "finding": None if found is None else stretches_as_json(found, words),
        "sentence": words.say_stretches(metric_name(record, words), found, int(np.isfinite(values).sum())),
    }


def judge_pairs(record: Json, words: Words) -> Json:
    """Say whether the mean over rows fell, and in which slices, at the level ``alpha`` (Holm over the slices)."""
    baseline, candidate = numbers(record["baseline"]), numbers(record["candidate"])
    if len(baseline) != len(candidate):
        raise ValueError(
            f"{len(baseline)} rows of baseline but {len(candidate)} of candidate; they must be the same rows"
        )
    alpha = float(record.get("alpha", 0.05))
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}; it must lie between 0 and 1")
    sign, metric = orientation(record), metric_name(record, words)
    known = np.isfinite(baseline) & np.isfinite(candidate)
    if known.sum() < 2:  # noqa: PLR2004 - no variance
        sentence = words.say_pairs(metric, None, (), 0, regressed=False)
        return {"regressed": False, "slices": [], "finding": None, "sentence": sentence}
    found = measure_pairs(baseline[known], candidate[known], sign, alpha)
    slices = split_rows(sign * (candidate - baseline), known, record.get("slices") or {})
    adjusted = holm(moderated_p(sign * (candidate - baseline)[known], list(slices.values())))
    fallen = [name for name, p in zip(slices, adjusted, strict=True) if p < alpha]
    regressed = found.p < alpha
    return {
        "regressed": regressed,
        "slices": fallen,
        "finding": pairs_as_json(found, words),
        "sentence": words.say_pairs(metric, found, fallen, len(slices), regressed=regressed),
    }


def split_rows(differences: Floats, known: Bools, rows: Mapping[str, Sequence[int]]) -> dict[str, Floats]:
    """Return the known differences of each slice that has two or more."""
    parts = {name: differences[chosen][known[chosen]] for name, chosen in rows.items() if len(chosen)}
    return {name: part for name, part in parts.items() if len(part) > 1}


@dataclass(frozen=True, slots=True)
class JudgedSeries:
    """One metric's values in order, with the finding on each."""

    metric: str
    order: tuple[str, ...]
    values: tuple[float | None, ...]
    findings: tuple[Finding, ...]


def judge_csv(
    lines: Iterable[str],
    *,
    preset: Preset,
    min_effect: MinEffect = NO_EFFECT,
    lower_is_better: Collection[str] = (),
) -> list[JudgedSeries]:
    """Judge every metric column of a CSV with a header.

    A column named time, date, step, run or the like orders the rows (a later row of the same time replaces the earlier:
    a value logged late, or again), unless it holds names alone; without one the rows are in order. Cells that are
    empty, or say so (`n/a`, `null`), are missing values. Columns of text are left out. Cells are parted by the comma,
    semicolon or tab that the header has; beside semicolons a comma may stand in a number.

    :raises LinesError: when there is no header, no column of numbers, or something else in a column of numbers.
    """
    try:
        rows = read_csv(lines)
    except csv.Error as error:
        raise LinesError(f"not CSV: {error}") from error
    names = list(rows[0]) if rows else []
    order = next((name for name in names if is_order(rows, name)), None)
    rows = put_in_order(rows, order)
    unknown = sorted(set(lower_is_better) - set(names))
    if unknown:
        raise LinesError(f"no column {unknown[0]!r}; there are {', '.join(map(repr, names))}")
    judged = []
    for name in names:
        values = None if name == order else column(rows, name)
        if values is None:
            continue
        direction = Direction.DOWN if name in lower_is_better else Direction.UP
        policy = MetricPolicy(name, direction, min_effect)
        labels = tuple(row[order] if order else str(i) for i, row in enumerate(rows))
        judged.append(JudgedSeries(name, labels, values, tuple(judge_series(values, policy, preset))))
    if not judged:
        raise LinesError("no column of numbers under a header; expected a time or order column and one column a metric")
    return judged


def read_csv(lines: Iterable[str]) -> list[dict[str, str]]:
    """Return the rows under their header, cells without the spaces around them."""
    lines = iter(lines)
    header = next(lines, "")
    delimiter = max(DELIMITERS, key=header.count)
    rows = csv.DictReader(itertools.chain([header], lines), delimiter=delimiter, restval="")
    return [
        {
            name.strip(): as_number(cell.strip(), delimiter)
            for name, cell in row.items()
            if name is not None and name.strip()
        }
        for row in rows
    ]


def as_number(cell: str, delimiter: str) -> str:
    """Write a number of a table that semicolons part as one with a point."""
    return cell.replace(",", ".") if delimiter == ";" and DECIMAL_COMMA.fullmatch(cell) else cell


def is_order(rows: Sequence[Mapping[str, str]], name: str) -> bool:
    """Say by its name whether a column orders the rows; one that holds names alone, such as of runs, does not."""
    known = name.lower()
    return known in TIME_COLUMNS or (known in ORDER_COLUMNS and any(is_moment(row[name]) for row in rows))


def is_moment(text: str) -> bool:
    try:
        moment(text)
    except ValueError:
        return False
    return True


def put_in_order(rows: list[dict[str, str]], order: str | None) -> list[dict[str, str]]:
    if order is None:
        return rows
    latest = {row[order]: row for row in rows}
    try:
        return sorted(latest.values(), key=lambda row: moment(row[order]))
    except ValueError as error:
        raise LinesError(f"column {order!r}: {error}; expected numbers, or dates like 2026-03-01T12:00") from error


def moment(text: str) -> float:
    """Read a place in an order."""
    try:
        place = float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()
    if math.isnan(place):
        raise ValueError(f"{text!r} is no place in an order")
    return place


def column(rows: Sequence[Mapping[str, str]], name: str) -> tuple[float | None, ...] | None:
    """Return the numbers of a column, None for missing ones; None if it holds text, or nothing.

    :raises LinesError: at a cell that is no number, where half of the others are.
    """
    cells = [row[name] for row in rows]
    read = [None if cell.lower() in MISSING else as_cell(cell) for cell in cells]
    odd = [number for number, value in enumerate(read) if isinstance(value, str)]
    known = sum(isinstance(value, float) for value in read)
    if odd and known < len(odd):
        return None
    if odd:
        words = "leave a cell empty where there is no number"
        raise LinesError(f"column {name!r}, row {odd[0] + 1}: {cells[odd[0]]!r} is no number; {words}")
    return tuple(value for value in read if not isinstance(value, str)) if known else None


def as_cell(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def sparkline(values: Sequence[float | None], width: int = SPARK_WIDTH) -> str:
    """Draw the newest *width* values, a blank for what is missing."""
    shown = [math.nan if value is None else value for value in values[-width:]]
    known = [value for value in shown if is_usable(value)]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    step = (high - low) / (len(SPARKS) - 1) or 1.0
    return "".join(SPARKS[round((value - low) / step)] if is_usable(value) else " " for value in shown)


def marks(findings: Sequence[Finding], width: int = SPARK_WIDTH) -> str:
    """Draw under a sparkline where runs regressed (v), improved (^), looked suspicious (?) or were invalid (x)."""
    signs = {Outcome.REGRESSED: "v", Outcome.IMPROVED: "^", Outcome.SUSPICIOUS: "?", Outcome.INVALID: "x"}
    return "".join(signs.get(finding.outcome, " ") for finding in findings[-width:])


def print_table(judged: Sequence[JudgedSeries], locale: Locale = ENGLISH) -> None:
    """Print a table for a person at a terminal, and under it a sentence on the newest run of each metric."""
    from rich.markup import escape

    from bot.text.tables import Stacking, WholeConsole

    words, console = words_in(locale), WholeConsole()
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
