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
    is_order,
    numbers,
    parse_record,
    put_in_order,
    read_csv,
)
from bot.domain.judge import Finding, Outcome, Reason
from bot.domain.judge.guards import broken_value
from bot.domain.judge.many_metrics import extra_by_run
from bot.domain.judge.offline import change_points, measure_stretches
from bot.domain.judge.over_time import judge_series, name_onset, smallest_effect, tell, watch_metric
from bot.domain.judge.paired import holm, measure_pairs, moderated_p
from bot.domain.judge.track import Signal, Track
from bot.domain.policy import Direction, MetricPolicy, MinEffect, Preset, settle
from bot.domain.runs import Bools, Floats
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
        if view.sight in {Signal.FELL, Signal.FELL_FURTHER} and view.onset is not None:
            alerts.append(number)
            changes.append(watched[view.onset])
        if number == len(values) - 1:
            finding = name_onset(tell(view, value, effect, policy, preset), lambda seen: str(watched[seen]))
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
    semicolon or tab that the header has; beside semicolons a comma may stand in a number. More is asked of each column
    the more of them there are, as of the metrics of a run.

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
    extra = extra_by_run(list(columns.values()))
    judged = []
    for name, values in columns.items():
        direction = Direction.DOWN if name in lower_is_better else Direction.UP
        policy = MetricPolicy(name, direction, min_effect)
        labels = tuple(row[order] if order else str(i) for i, row in enumerate(rows))
        judged.append(JudgedSeries(name, labels, values, tuple(judge_series(values, policy, preset, extra))))
    if not judged:
        raise JudgeInputError(
            "no column of numbers under a header; expected a time or order column and one column a metric"
        )
    return judged
