"""The examples that lost most: a few for people to read, and all of them as a file."""

from __future__ import annotations

import hashlib

from bot.config.metric import MetricSection
from bot.domain.headlines import exampled
from bot.domain.incidents import Step
from bot.domain.runs import ExplainedExample
from bot.domain.views import ExampleRow, ExamplesView, ExplainedRow, FileView
from bot.domain.worst_examples import WorstExample, WorstExamples
from bot.judging.views.metric_rows import shown_value
from bot.judging.views.occasion import Occasion
from bot.text import formats
from bot.text.spreadsheet import write_csv

_SHOWN_TEXT = 140  # characters of a text that a ticket or page shows
_MOST_CHARS = 250_000  # of a file, which the state keeps as long as what it told


def examples_view(on: Occasion, step: Step | None = None) -> ExamplesView | None:
    """Return the few worst examples of the finding that is spoken of; None where none are shown."""
    found, section = _told(on, step), on.config.examples
    if found is None or section is None:
        return None
    file = _file_of(found)
    return ExamplesView(
        place=", ".join(part.place for part in found.parts),
        columns=found.columns,
        rows=tuple(_row(on, found.metric, row) for row in found.rows[: section.shown]),
        lost=f"{found.lost:,}",
        of=f"{found.of:,}",
        listed=f"{len(_listed(found)):,}",
        file=file.filename if section.attached else "",
        explained=tuple(map(_explained_row, found.explained)),
    )


def examples_file(on: Occasion, step: Step | None = None) -> FileView | None:
    """Return the list of the worst examples, as a CSV that no spreadsheet calculates with."""
    found = _told(on, step)
    return None if found is None else _file_of(found)


def _told(on: Occasion, step: Step | None) -> WorstExamples | None:
    key = exampled(on.assessment, step, on.worst)
    return None if key is None else on.worst[key]


def _row(on: Occasion, metric: str, row: WorstExample) -> ExampleRow:
    section = on.config.metrics.get(metric, MetricSection())
    scale = max(abs(row.before), abs(row.now))
    return ExampleRow(
        example=_shortened(row.example_id),
        before=shown_value(row.before, section, scale),
        now=shown_value(row.now, section, scale),
        change=formats.number(row.change, scale=scale, signed=True),
        texts=tuple(map(_shortened, row.texts)),
    )


def _explained_row(each: ExplainedExample) -> ExplainedRow:
    scale = max(each.named, each.by_chance)
    return ExplainedRow(
        asked=_shortened(each.asked),
        product=_shortened(each.product),
        words=", ".join(each.words),
        method=each.method,
        named=formats.number(each.named, scale=scale),
        by_chance=formats.number(each.by_chance, scale=scale),
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}…"


def _listed(found: WorstExamples) -> tuple[WorstExample, ...]:
    room, kept = _MOST_CHARS, 0
    for row in found.rows:
        room -= len(row.example_id) + sum(map(len, row.texts))
        if room < 0:
            break
        kept += 1
    return found.rows[:kept]


def _file_of(found: WorstExamples) -> FileView:
    header = ("example_id", "before", "now", "change", *found.columns)
    rows: list[list[str | float]] = [
        [row.example_id, row.before, row.now, row.change, *row.texts] for row in _listed(found)
    ]
    content = write_csv(header, rows)
    digest = hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:8]
    return FileView(f"worst-examples-{digest}.csv", content)
