"""The judge on anyone's numbers: JSON lines or CSV in, findings out."""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from bot.domain.judge import Finding, Outcome
from bot.domain.judge.offline import change_points
from bot.domain.judge.overtime import judge_series
from bot.domain.judge.paired import holm, moderated_p, paired_p
from bot.domain.judge.track import Sight, Track, watch
from bot.domain.policy import Direction, MetricPolicy, MinEffect, Preset
from bot.domain.runs import Floats

Json: TypeAlias = Mapping[str, Any]

ORDER_COLUMNS = ("time", "timestamp", "date", "datetime", "order", "step", "index", "run", "epoch")
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 40  # newest runs drawn
NO_EFFECT = MinEffect(0.0)


class LinesError(ValueError):
    """A line or cell that cannot be read; the message says which, and what would be right."""


def judge_lines(lines: Iterable[str], *, preset: Preset, min_effect: MinEffect = NO_EFFECT) -> Iterator[str]:
    """Answer each JSON line in kind: alerts for ``values``, change points for ``offline``, a verdict for pairs.

    :raises LinesError: at the first line that is none of these.
    """
    import scipy.special  # noqa: F401 - here, not at the first value that needs it

    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record = parse_record(line, number)
        try:
            yield json.dumps({"id": record.get("id"), **judge_record(record, preset, min_effect)})
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise LinesError(f"line {number}: {explain(error)}") from error


def parse_record(line: str, number: int) -> Json:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise LinesError(f"line {number}: not JSON ({error})") from error
    if not isinstance(record, dict):
        raise LinesError(f"line {number}: expected an object with 'values' or 'baseline' and 'candidate'")
    return record


def explain(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"key {error} is missing; a line has 'values', or 'baseline' and 'candidate'"
    return str(error)


def judge_record(record: Json, preset: Preset, min_effect: MinEffect) -> Json:
    if "baseline" in record:
        return judge_pairs(record)
    if record.get("mode") == "offline":
        return {"change_points": change_points(numbers(record["values"]))}
    return judge_online(record, preset, min_effect)


def numbers(values: Sequence[float | None]) -> Floats:
    """Return *values* with NaN for what is missing."""
    return np.array([math.nan if value is None else float(value) for value in values])


def orientation(record: Json) -> int:
    return 1 if record.get("higher_is_better", True) else -1


def judge_online(record: Json, preset: Preset, min_effect: MinEffect) -> Json:
    """Return the runs at which a fall is first told, and where each began; both count from 0."""
    sign = orientation(record)
    track, alerts, changes = Track(), [], []
    watched: list[int] = []
    for number, value in enumerate(numbers(record["values"]).tolist()):
        if not math.isfinite(value):
            continue
        watched.append(number)
        level = abs(track.values[0]) if track.values else 0.0
        track, view = watch(track, sign * value, preset, min_effect.against(level))
        if view.sight is Sight.FELL and view.onset is not None:
            alerts.append(number)
            changes.append(watched[view.onset])
    return {"alerts": alerts, "changes": changes}


def judge_pairs(record: Json) -> Json:
    """Say whether the mean over rows fell, and in which slices, at the level ``alpha`` (Holm over the slices)."""
    baseline, candidate = numbers(record["baseline"]), numbers(record["candidate"])
    if len(baseline) != len(candidate):
        raise ValueError(
            f"{len(baseline)} rows of baseline but {len(candidate)} of candidate; they must be the same rows"
        )
    differences = orientation(record) * (candidate - baseline)
    alpha = float(record.get("alpha", 0.05))
    known = np.isfinite(differences)
    slices = {}
    for name, rows in (record.get("slices") or {}).items():
        part = differences[rows]
        slices[name] = part[np.isfinite(part)]
    slices = {name: part for name, part in slices.items() if len(part) > 1}
    differences = differences[known]
    if len(differences) < 2:  # noqa: PLR2004 - no variance
        return {"regressed": False, "slices": []}
    adjusted = holm(moderated_p(differences, list(slices.values())))
    fallen = [name for name, p in zip(slices, adjusted, strict=True) if p < alpha]
    return {"regressed": bool(paired_p(differences) < alpha), "slices": fallen}


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
    a value logged late, or again); without one the rows are in order. Empty cells are missing values. Columns with text
    in them are left out.

    :raises LinesError: when there is no header, or no column of numbers.
    """
    rows = list(csv.DictReader(lines))
    names = list(rows[0]) if rows else []
    order = next((name for name in names if name and name.strip().lower() in ORDER_COLUMNS), None)
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


def put_in_order(rows: list[dict[str, str]], order: str | None) -> list[dict[str, str]]:
    if order is None:
        return rows
    latest = {row[order]: row for row in rows}
    try:
        return sorted(latest.values(), key=lambda row: moment(row[order]))
    except ValueError as error:
        raise LinesError(f"column {order!r}: {error}; expected numbers, or dates like 2026-03-01T12:00") from error


def moment(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()


def column(rows: Sequence[Mapping[str, str]], name: str) -> tuple[float | None, ...] | None:
    """Return the numbers of a column, None for empty cells; None if it holds text, or nothing."""
    cells = [(row[name] or "").strip() for row in rows]
    try:
        values = tuple(float(cell) if cell else None for cell in cells)
    except ValueError:
        return None
    return values if any(value is not None for value in values) else None


def sparkline(values: Sequence[float | None], width: int = SPARK_WIDTH) -> str:
    """Draw the newest *width* values, a blank for what is missing."""
    shown = [math.nan if value is None else value for value in values[-width:]]
    known = [value for value in shown if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    step = (high - low) / (len(SPARKS) - 1) or 1.0
    return "".join(SPARKS[round((value - low) / step)] if math.isfinite(value) else " " for value in shown)


def marks(findings: Sequence[Finding], width: int = SPARK_WIDTH) -> str:
    """Draw under a sparkline where runs regressed (v), improved (^), looked suspicious (?) or were invalid (x)."""
    signs = {Outcome.REGRESSED: "v", Outcome.IMPROVED: "^", Outcome.SUSPICIOUS: "?", Outcome.INVALID: "x"}
    return "".join(signs.get(finding.outcome, " ") for finding in findings[-width:])


def print_table(judged: Sequence[JudgedSeries], say: Callable[[Finding], str]) -> None:
    """Print a table for a person at a terminal; *say* makes a sentence of the newest finding."""
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "runs", "newest", "outcome", "change", "history", "in words")
    for series in judged:
        newest = series.findings[-1]
        change = "" if newest.relative is None else f"{newest.relative:+.1%}"
        value = "" if newest.value is None else f"{newest.value:.4g}"
        history = f"{sparkline(series.values)}\n{marks(series.findings)}"
        cells = (series.metric, str(len(series.values)), value, newest.outcome.value, change, history, say(newest))
        table.add_row(*cells)
    Console().print(table)


def say_briefly(finding: Finding) -> str:
    """Put a finding into the fewest words: its reason and its numbers."""
    words = [finding.reason.value.replace("_", " ")]
    if finding.onset is not None:
        words.append(f"since run {finding.onset}")
    if finding.change_low is not None and finding.change_high is not None:
        words.append(f"change {finding.change_low:.4g} to {finding.change_high:.4g}")
    if finding.detectable is not None:
        words.append(f"smallest change that could have shown: {finding.detectable:.3g}")
    return ", ".join(words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge a file or standard input."""
    parser = argparse.ArgumentParser(prog="python -m bot.judge_lines", description=main.__doc__)
    parser.add_argument("--format", choices=["jsonl", "csv"], default="jsonl")
    parser.add_argument("--preset", type=Preset, choices=list(Preset), default=Preset.QUIET)
    parser.add_argument("--lower-is-better", action="append", default=[], metavar="COLUMN")
    parser.add_argument("file")
    chosen = parser.parse_args(arguments)
    try:
        with sys.stdin if chosen.file == "-" else Path(chosen.file).open(encoding="utf-8", newline="") as lines:
            if chosen.format == "csv":
                print_table(judge_csv(lines, preset=chosen.preset, lower_is_better=chosen.lower_is_better), say_briefly)
            else:
                for answer in judge_lines(lines, preset=chosen.preset):
                    sys.stdout.write(answer + "\n")
    except (LinesError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
