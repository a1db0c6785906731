"""Looks for the examples that lost most, with what they say, where a team has asked for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bot.config.slices import ExamplesSection
from bot.domain.job_protocol import TABLE_FILE
from bot.domain.judge import Assessment, SeriesState
from bot.domain.runs import Baseline, ExampleTexts, ExplainedExample, RunResult, Trouble, Unread
from bot.domain.worst_examples import WorstExamples, find_worst, look_closer
from bot.errors import RunStoreError, in_short
from bot.judging.context import JudgingContext
from bot.runtime.log import get_logger, journal
from bot.text.masking import NAMED, strike_out

EXPLAINED = 3  # of a run's worst examples, where its job says why they were answered so

Found = Mapping[str, WorstExamples]

log = get_logger(__name__)


def gather_examples(
    context: JudgingContext, result: RunResult, said: Assessment, baseline: Baseline, before: SeriesState
) -> tuple[RunResult, Found]:
    """Return the worst examples of what is told anew of a run, by the finding's key; and the run with what was amiss.

    Nothing leaves MLflow for it where config has no section `examples`.
    """
    section = context.section.examples
    if section is None or result.examples is None:
        return result, {}
    try:
        closer = look_closer(said.findings, before, context.section.metrics)
        most = max(section.shown, section.attached)
        found = find_worst(result, baseline, said, closer, context.section.policies, most)
        texts = _read(context, result, found, section) if section.text_columns and found else ExampleTexts({})
    except Exception as error:
        log.exception("shown without examples", pipeline=context.name, run=result.run.run_id, named=result.run.name)
        why = Unread(TABLE_FILE, Trouble.NOT_COMPARED, f"{type(error).__name__}: {in_short(error)}")
        return replace(result, unread=(*result.unread, why)), {}
    explained = tuple(mask_why(each, section) for each in texts.explained[:EXPLAINED])
    shown = {
        key: replace(_masked(worst.with_texts(section.text_columns, texts.of), section), explained=explained)
        for key, worst in found.items()
    }
    return replace(result, unread=(*result.unread, *texts.unread)), shown


def _read(context: JudgingContext, result: RunResult, found: Found, section: ExamplesSection) -> ExampleTexts:
    """Read their texts; where they cannot be had, the examples are shown without."""
    ids = {row.example_id for worst in found.values() for row in worst.rows}
    try:
        return context.run_store.texts(result.run, section.text_columns, ids)
    except RunStoreError as error:  # the verdict stands without them
        log.warning("texts of examples cannot be had", pipeline=context.name, error=in_short(error))
        return ExampleTexts({}, (Unread(TABLE_FILE, Trouble.NOT_HAD, in_short(error)),))


def mask_why(each: ExplainedExample, section: ExamplesSection) -> ExplainedExample:
    """Strike out what config says of one explanation; of its id, not its digits."""
    asked, product, *words = (
        strike_out(journal.mask(text), section.mask) for text in (each.asked, each.product, *each.words)
    )
    names = [pattern for pattern in section.mask if pattern != NAMED["number"]]
    example_id = strike_out(journal.mask(each.example_id), names)
    method = journal.mask(each.method)
    return replace(each, example_id=example_id, asked=asked, product=product, words=tuple(words), method=method)


def _masked(worst: WorstExamples, section: ExamplesSection) -> WorstExamples:
    """Strike out what config says; of an id, not its digits, which it may be made of."""
    names = [pattern for pattern in section.mask if pattern != NAMED["number"]]
    rows = (
        replace(
            row,
            example_id=strike_out(journal.mask(row.example_id), names),
            texts=tuple(strike_out(journal.mask(text), section.mask) for text in row.texts),
        )
        for row in worst.rows
    )
    return replace(worst, rows=tuple(rows))
