"""The judge on anyone's numbers: each JSON line answered in kind, each column of a CSV judged as a series."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bot.cli.judge_input import (
    Json,
    JudgeInputError,
    as_float,
    column,
    ends_of,
    is_order,
    numbers,
    parse_record,
    put_in_order,
    read_csv,
)
from bot.domain.judge import Finding, Outcome, Reason
from bot.domain.judge.offline import change_points, measure_stretches
from bot.domain.judge.paired import holm, measure_pairs, moderated_p
from bot.domain.policy import Direction, MetricPolicy, MinEffect, Policies, Preset
from bot.domain.runs import Bools, Floats
from bot.domain.whole_series import as_runs, judge_series
from bot.reports.judge_json import finding_as_json, pairs_as_json, stretches_as_json
from bot.reports.judge_sentences import JudgeSentences, sentences_in
from bot.text.locales import ENGLISH, Locale

NO_EFFECT = MinEffect(0.0)


def judge_lines(
    lines: Iterable[str], *, preset: Preset, min_effect: MinEffect = NO_EFFECT, locale: Locale = ENGLISH
) -> Iterator[str]:
    """Answer each JSON line in kind: alerts for ``values``, change points for ``offline``, a verdict for pairs.

    Each answer also holds the finding's numbers and a sentence in the language *locale*.

    :raises JudgeInputError: at the first line that is none of these.
    """
    import scipy.special  # noqa: F401 - here, not at the first value that needs it

    words = sentences_in(locale)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record = parse_record(line, number)
        try:
            answer = {"id": record.get("id"), **judge_record(record, preset, min_effect, words)}
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise JudgeInputError(f"line {number}: {explain(error)}") from error
        yield json.dumps(finite(answer), ensure_ascii=False)


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


def explain(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"key {error} is missing; a line has 'values', or 'baseline' and 'candidate'"
    return str(error)


def judge_record(record: Json, preset: Preset, min_effect: MinEffect, words: JudgeSentences) -> Json:
    if "baseline" in record:
        return judge_pairs(record, words)
    if record.get("mode") == "offline":
        return judge_whole(record, words)
    return judge_online(record, preset, min_effect, words)


def metric_name(record: Json, words: JudgeSentences) -> str:
    return str(record.get("metric") or words.word("the_metric"))


def orientation(record: Json) -> int:
    return 1 if record.get("higher_is_better", True) else -1


def judge_online(record: Json, preset: Preset, min_effect: MinEffect, words: JudgeSentences) -> Json:
    """Return the runs that would open a ticket, or be told in one as a further fall; and what the newest run shows.

    Runs count from 0; beside each of the first stands the one at which the fall began.
    """
    direction = Direction.UP if orientation(record) > 0 else Direction.DOWN
    policy = MetricPolicy(metric_name(record, words), direction, min_effect)
    alerts, changes = [], []
    finding = Finding(policy.name, Outcome.NO_BASELINE, Reason.FIRST_RUNS)
    values = [as_float(each) for each in record["values"]]
    runs = as_runs({} if math.isnan(value) else {policy.name: value} for value in values)
    for number, said in enumerate(judge_series(runs, Policies((policy,), preset=preset))):
        (finding,) = said.assessment.findings
        if said.told:
            alerts.append(number)
            changes.append(int(finding.onset or number))
    found = finding_as_json(finding, words)
    return {"alerts": alerts, "changes": changes, "finding": found, "sentence": words.say_series(finding)}


def judge_whole(record: Json, words: JudgeSentences) -> Json:
    """Return where a whole series changed its level, from 0, and by how much."""
    values = numbers(record["values"])
    points = change_points(values)
    found = measure_stretches(values, points)
    return {
        "change_points": points,
        "finding": None if found is None else stretches_as_json(found, words),
        "sentence": words.say_stretches(metric_name(record, words), found, int(np.isfinite(values).sum())),
    }


def judge_pairs(record: Json, words: JudgeSentences) -> Json:
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
    semicolon or tab that the header has; beside semicolons a comma may stand in a number. Each row is a run, and its
    columns are judged together, as the metrics of a run; where no dates order the rows, runs are a day apart.

    :raises JudgeInputError: when there is no header, no column of numbers, or something else in a column of numbers.
    """
    try:
        rows = read_csv(lines)
    except csv.Error as error:
        raise JudgeInputError(f"not CSV: {error}") from error
    names = list(rows[0]) if rows else []
    order = next((name for name in names if is_order(rows, name)), None)
    rows = put_in_order(rows, order)
    unknown = sorted(set(lower_is_better) - set(names))
    if unknown:
        raise JudgeInputError(f"no column {unknown[0]!r}; there are {', '.join(map(repr, names))}")
    found = {name: column(rows, name) for name in names if name != order}
    columns = {name: values for name, values in found.items() if values is not None}
    if not columns:
        raise JudgeInputError(
            "no column of numbers under a header; expected a time or order column and one column a metric"
        )
    directions = {name: Direction.DOWN if name in lower_is_better else Direction.UP for name in columns}
    metrics = tuple(MetricPolicy(name, direction, min_effect) for name, direction in directions.items())
    given = [{name: value for name in columns if (value := columns[name][i]) is not None} for i in range(len(rows))]
    runs = as_runs(given, ends_of(rows, order))
    said = [one.assessment.findings for one in judge_series(runs, Policies(metrics, preset=preset))]
    labels = tuple(row[order] if order else str(i) for i, row in enumerate(rows))
    return [
        JudgedSeries(name, labels, columns[name], tuple(findings[place] for findings in said))
        for place, name in enumerate(columns)
    ]
